"""A screen that shows what is in Redis: it knows how to look, once and bounded, and to show what it saw."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import ClassVar, Generic, TypeVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Footer, Header, Static

from asynq_py.dash.deeds import Deed
from asynq_py.dash.desk import Desk
from asynq_py.dash.requests import Ask, LookAgain

Seen = TypeVar("Seen")


class LiveScreen(Screen[None], Generic[Seen]):
    """`look` asks and changes nothing; what it returns is frozen. `show` asks nothing."""

    AUTO_FOCUS = "NamedTable"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+l,f5", "look_again", "Look again", show=False),
    ]

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk

    @abstractmethod
    def body(self) -> Iterable[Widget]:
        """What is between the title and the status line."""

    @abstractmethod
    async def look(self) -> Seen:
        """One bounded pass."""

    @abstractmethod
    def show(self, seen: Seen) -> None: ...

    def compose(self) -> ComposeResult:
        yield Header()
        yield from self.body()
        yield Static(id="status", markup=False)
        yield Footer(show_command_palette=False)

    # What changes something; none of it is there when the dashboard only looks.
    CHANGES: ClassVar[frozenset[str]] = frozenset()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return not (self.desk.is_read_only and action in self.CHANGES)

    def on_screen_resume(self) -> None:
        self.post_message(LookAgain())

    def action_look_again(self) -> None:
        self.post_message(LookAgain())

    def say(self, text: str, *, trouble: str = "") -> None:
        """Write the status line. Trouble stands first."""
        line = Text.assemble(
            (f" {trouble} ", "bold reverse") if trouble else "", " " if trouble else "", text
        )
        self.query_one("#status", Static).update(line)

    def on_named_table_marked(self) -> None:
        self.say(self.status)  # it counts them

    @property
    def status(self) -> str:
        """What is said of the picture when all is well."""
        return ""

    def ask(self, deed: Deed) -> None:
        """Have something done, if the user says yes."""
        self.post_message(Ask(deed))
