"""What a screen asks of the application; it does not know it otherwise."""

from __future__ import annotations

from textual.message import Message

from asynq_py.dash.deeds import Deed


class LookAgain(Message):
    """Look at Redis now rather than at the next turn."""


class Ask(Message):
    """Ask the user whether something is to be done, and do it."""

    def __init__(self, deed: Deed) -> None:
        super().__init__()
        self.deed = deed
