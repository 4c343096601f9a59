"""The flows that run or ended lately, a page at a time; the way to their steps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from textual import on
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import DataTable

from asynq_py import FlowInfo
from asynq_py.dash.deeds import FLOW_VERBS, SomeFlows
from asynq_py.dash.desk import Desk
from asynq_py.dash.flow_rows import FLOW_COLUMNS, flow_row
from asynq_py.dash.flow_screen import FlowScreen
from asynq_py.dash.live import LiveScreen
from asynq_py.dash.requests import LookAgain
from asynq_py.dash.table import NamedTable

PAGE: Final = 50


@dataclass(frozen=True, slots=True)
class FlowsSeen:
    page: int
    flows: Sequence[FlowInfo]


class FlowsScreen(LiveScreen[FlowsSeen]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n,right_square_bracket", "page(1)", "Next"),
        Binding("p,left_square_bracket", "page(-1)", "Previous"),
        Binding("g", "first", "First page", show=False),
        Binding("c", "some('cancel')", "Cancel"),
        Binding("r", "some('retry')", "Retry"),
        Binding("escape", "unmark", "Unmark", show=False),
    ]
    CHANGES = frozenset({"some"})

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.sub_title = "flows"
        self._page = 1
        self._last: int | None = None  # the last page, where it is known
        self._seen = FlowsSeen(1, ())

    def body(self) -> Iterable[Widget]:
        yield NamedTable(*FLOW_COLUMNS, id="flows")

    @property
    def table(self) -> NamedTable:
        return self.query_one("#flows", NamedTable)

    @property
    def status(self) -> str:
        if self._seen.page != self._page:
            return "…"
        flows = self._seen.flows
        running = sum(info.state == "running" for info in flows)
        last = f" of {self._last:,}" if self._last is not None else ""
        text = f"page {self._page:,}{last}, {len(flows):,} flows on it, {running:,} running"
        marked = len(self.table.marked)
        return f"{text}; {marked:,} marked" if marked else text

    async def look(self) -> FlowsSeen:
        page = self._page
        return FlowsSeen(page, await self.desk.inspector.flows(page, PAGE))

    def show(self, seen: FlowsSeen) -> None:
        if seen.page != self._page:  # the user has gone on meanwhile, and a look for that is under way
            return
        if not seen.flows and seen.page > 1:  # nobody knows beforehand how many there are
            self._last = seen.page - 1
            self._go(seen.page - 1)
            return
        if self._last is not None and seen.page >= self._last and len(seen.flows) == PAGE:
            self._last = None  # there may be more by now
        self._seen = seen
        now = self.desk.now()
        self.table.present({info.id: flow_row(info, now) for info in seen.flows})

    def _go(self, page: int) -> None:
        self._page = page
        self.say(self.status)
        self.post_message(LookAgain())

    @on(DataTable.RowSelected)
    def _opened(self) -> None:
        if self.table.current is not None:
            self.app.push_screen(FlowScreen(self.desk, self.table.current))

    def action_page(self, by: int) -> None:
        is_full = len(self._seen.flows) > 0 and self._page != self._last
        if self._seen.page == self._page and (by < 0 < self._page - 1 or (by > 0 and is_full)):
            self._go(self._page + by)

    def action_first(self) -> None:
        if self._page != 1:
            self._go(1)

    def action_unmark(self) -> None:
        self.table.unmark()

    def action_some(self, verb: str) -> None:
        if self.table.chosen:
            self.ask(SomeFlows(FLOW_VERBS[verb], self.table.chosen))
