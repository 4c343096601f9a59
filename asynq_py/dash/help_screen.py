"""All keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

KEYS: Final[Mapping[str, Mapping[str, str]]] = {
    "everywhere": {
        "1  2  3  4": "queues, servers, cron, flows",
        "↑ ↓  j k": "move; PgUp and PgDn by a screenful",
        "Enter": "open a queue, a group, a task, a flow, a step",
        "Esc  q": "back; from queues, servers, cron and flows q ends",
        "Space": "mark a row: actions then take the marked ones",
        "Ctrl-L": "look again now",
        "t": "light or dark; Ctrl-P has more colours",
    },
    "queues": {
        "z  u  d": "pause, unpause, delete with all tasks",
        "s": "sort by name, size, latency, archived",
        "/": "filter by name",
    },
    "tasks": {
        "h  l": "state before, next state",
        "n  p  g  G": "next page, page before, first, last",
        "/": "filter: email:* is a pattern of types; else any part of what is shown",
        "r  a  d  c": "run, archive, delete, cancel: the marked tasks, or the one under the cursor",
        "R  A  D  C": "the same for all of the state, or of the group",
    },
    "servers": {
        "Tab": "from the servers to what they run, and back",
        "c": "cancel the marked tasks, or the one under the cursor",
    },
    "flows": {
        "n  p  g": "next page, page before, first; of the steps of a flow, too",
        "c  r": "cancel; retry what failed: the marked flows, or the one under the cursor",
    },
}
MOUSE: Final = (
    "The mouse works, too: rows, tabs, and the keys at the bottom.\nWhatever changes something asks first."
)


class HelpScreen(ModalScreen[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark", "dismiss", "Close"),
    ]

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help"):
            yield Static(_text())


def _text() -> Text:
    text = Text()
    for where, keys in KEYS.items():
        text.append(f"{where}\n", "bold underline")
        for key, what in keys.items():
            text.append(f"  {key:<12}", "bold").append(f"{what}\n")
        text.append("\n")
    return text.append(MOUSE)
