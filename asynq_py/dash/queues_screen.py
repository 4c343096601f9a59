"""All queues, with what they did lately; the way to their tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar, Final

from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import DataTable, Input

from asynq_py import QueueInfo
from asynq_py.cli.queue import PAUSE, UNPAUSE
from asynq_py.cli.wording import span
from asynq_py.dash.cells import cell, count, number, spark
from asynq_py.dash.deeds import REMOVE, SomeQueues
from asynq_py.dash.desk import Desk
from asynq_py.dash.live import LiveScreen
from asynq_py.dash.queue_panel import QueuePanel
from asynq_py.dash.queue_watch import QueuesSeen, QueueWatch
from asynq_py.dash.requests import LookAgain
from asynq_py.dash.table import NamedTable
from asynq_py.dash.tasks_screen import TasksScreen
from asynq_py.dash.trend import Trend

COLUMNS: Final = (
    "queue", "size", "pending", "active", "retry", "archived", "processed/s", "failed/s", "latency",
)  # fmt: skip
# What a queue is sorted by, the greatest first; those not seen yet come last.
SORTS: Final[dict[str, Callable[[QueueInfo], float]]] = {
    "size": lambda info: info.size,
    "latency": lambda info: info.latency,
    "archived": lambda info: info.archived,
}
NOT_SEEN: Final = QueuesSeen((), {})


class QueuesScreen(LiveScreen[QueuesSeen]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("z", "pause", "Pause"),
        Binding("u", "unpause", "Unpause"),
        Binding("d", "delete", "Delete"),
        Binding("s", "sort", "Sort"),
        Binding("slash", "filter", "Filter"),
        Binding("escape", "unfilter", "All", show=False),
    ]

    CHANGES = frozenset({"pause", "unpause", "delete"})

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.sub_title = "queues"
        self._watch = QueueWatch(desk.inspector)
        self._seen = NOT_SEEN
        self._sort = "name"

    def body(self) -> Iterable[Widget]:
        yield Input(placeholder="a part of the name", id="filter", classes="hidden")
        yield NamedTable(*COLUMNS, id="queues")
        yield QueuePanel()

    @property
    def table(self) -> NamedTable:
        return self.query_one("#queues", NamedTable)

    @property
    def status(self) -> str:
        infos = self._seen.infos
        known = "" if len(infos) == len(self._seen.names) else f", {len(infos):,} of them looked at so far"
        paused = sum(info.is_paused for info in infos)
        size = sum(info.size for info in infos)
        return f"{len(self._seen.names):,} queues{known}, {paused:,} paused, {size:,} tasks; by {self._sort}"

    # -- looking ------------------------------------------------------------------------------------------

    async def look(self) -> QueuesSeen:
        return await self._watch.look(self.table.in_sight)

    def show(self, seen: QueuesSeen) -> None:
        self._seen = seen
        self._draw()

    def _draw(self) -> None:
        self.table.marked &= set(self._seen.names)
        self.table.present({name: _row(name, self._seen.trends.get(name)) for name in self._order()})
        self._draw_panel()

    def _draw_panel(self) -> None:
        trend = self._seen.trends.get(self.table.current or "")
        self.query_one(QueuePanel).present(trend)

    def _order(self) -> Sequence[str]:
        wanted = self.query_one("#filter", Input).value
        names = [name for name in self._seen.names if wanted in name]
        value = SORTS.get(self._sort)
        if value is None:
            return names
        infos = {info.queue: info for info in self._seen.infos}
        return sorted(names, key=lambda name: -value(infos[name]) if name in infos else 1)

    # -- what users do ------------------------------------------------------------------------------------

    @on(DataTable.RowHighlighted)
    def _moved(self) -> None:
        self._draw_panel()

    @on(DataTable.RowSelected)
    def _opened(self) -> None:
        if self.table.current is not None:
            self.app.push_screen(TasksScreen(self.desk, self.table.current))

    def action_sort(self) -> None:
        names = ["name", *SORTS]
        self._sort = names[(names.index(self._sort) + 1) % len(names)]
        self._draw()
        self.say(self.status)

    def action_filter(self) -> None:
        field = self.query_one("#filter", Input)
        field.remove_class("hidden")
        field.focus()

    def action_unfilter(self) -> None:
        field = self.query_one("#filter", Input)
        field.value = ""
        field.add_class("hidden")
        self.table.unmark()
        self.table.focus()

    @on(Input.Changed)
    def _filtered(self) -> None:
        self._draw()

    @on(Input.Submitted)
    def _done(self) -> None:
        self.table.focus()
        self.post_message(LookAgain())  # other queues are in sight now

    def action_pause(self) -> None:
        if self.table.chosen:
            self.ask(SomeQueues(PAUSE, self.table.chosen))

    def action_unpause(self) -> None:
        if self.table.chosen:
            self.ask(SomeQueues(UNPAUSE, self.table.chosen))

    def action_delete(self) -> None:
        if self.table.chosen:
            self.ask(SomeQueues(REMOVE, self.table.chosen))


def _row(name: str, trend: Trend | None) -> Sequence[Text]:
    if trend is None:
        return [cell(name, "dim"), *(cell("…", "dim") for _ in COLUMNS[1:])]
    info = trend.looks[-1]
    processed, failed = trend.processed, trend.failed
    return [
        cell(f"{name} (paused)" if info.is_paused else name, "yellow" if info.is_paused else "bold"),
        count(info.size),
        count(info.pending, "cyan"),
        count(info.active, "blue"),
        count(info.retry, "yellow"),
        count(info.archived, "red"),
        spark(processed, number(processed[-1]) if processed else "…", "green"),
        spark(failed, number(failed[-1]) if failed else "…", "red"),
        spark(trend.latency, span(info.latency), "yellow"),
    ]
