"""A table whose rows have names: the cursor stays on its row, and only what differs is drawn again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import DataTable

MARK: Final = Text("●", "bold")
NO_MARK: Final = Text(" ")


class NamedTable(DataTable[Text]):
    """Space marks rows, which stay marked while others are shown."""

    class Marked(Message):
        """Other rows are marked now."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "cursor_down", show=False),
        Binding("k", "cursor_up", show=False),
        Binding("space", "mark", "Mark", show=False),
    ]

    def __init__(self, *labels: str, id: str) -> None:
        super().__init__(id=id, cursor_type="row", zebra_stripes=True)
        self._labels = labels
        self._shown: dict[str, Sequence[Text]] = {}
        self.marked: set[str] = set()

    def on_mount(self) -> None:
        self.relabel(self._labels)

    def relabel(self, labels: Sequence[str]) -> None:
        """Take other columns, and no rows."""
        self.clear(columns=True)
        self._shown = {}
        self.add_column("", key="mark", width=1)
        for label in labels:
            self.add_column(label, key=label)

    @property
    def current(self) -> str | None:
        """The row of the cursor."""
        names = list(self._shown)
        return names[self.cursor_row] if self.cursor_row < len(names) else None

    @property
    def chosen(self) -> tuple[str, ...]:
        """What is to be acted on: the marked rows, else the one of the cursor."""
        if self.marked:
            return tuple(sorted(self.marked))
        return () if self.current is None else (self.current,)

    @property
    def in_sight(self) -> Sequence[str]:
        """The rows that can be seen now."""
        top = int(self.scroll_offset.y)
        return list(self._shown)[top : top + max(1, self.size.height)]

    def present(self, rows: Mapping[str, Sequence[Text]]) -> None:
        """Show these rows, in this order."""
        if list(rows) != list(self._shown):
            self._replace(rows)
        for name, cells in rows.items():
            self._update(name, cells)
        self._shown = dict(rows)

    def _replace(self, rows: Mapping[str, Sequence[Text]]) -> None:
        current, place, top = self.current, self.cursor_row, self.scroll_offset.y
        self.clear()
        for name, cells in rows.items():
            self.add_row(self._mark_of(name), *cells, key=name)
        self._shown = dict(rows)
        if rows:
            names = list(rows)
            row = names.index(current) if current in names else min(place, len(names) - 1)
            self.move_cursor(row=row, scroll=False)
            self.call_after_refresh(self._scroll_back, top, row)

    def _scroll_back(self, top: int, row: int) -> None:
        """To where the user was, but not so that the cursor is out of sight."""
        last = top + max(1, self.size.height - self.header_height) - 1
        self.scroll_to(y=top if top <= row <= last else row, animate=False)

    def _update(self, name: str, cells: Sequence[Text]) -> None:
        columns = self.ordered_columns[1:]
        for column, old, new in zip(columns, self._shown[name], cells, strict=True):
            if old != new or old.style != new.style or old.spans != new.spans:
                self.update_cell(name, column.key, new, update_width=new.cell_len > column.content_width)

    def _mark_of(self, name: str) -> Text:
        return MARK if name in self.marked else NO_MARK

    def action_mark(self) -> None:
        name = self.current
        if name is None:
            return
        self.marked ^= {name}
        self.update_cell(name, "mark", self._mark_of(name))
        self.post_message(self.Marked())
        self.action_cursor_down()

    def unmark(self) -> None:
        for name in self.marked & self._shown.keys():
            self.update_cell(name, "mark", NO_MARK)
        self.marked = set()
        self.post_message(self.Marked())
