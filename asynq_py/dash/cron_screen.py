"""What the schedulers enqueue again and again, and what the entry under the cursor has enqueued."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from textual import on
from textual.widget import Widget
from textual.widgets import DataTable, Static

from asynq_py import EnqueueEvent, SchedulerEntryInfo
from asynq_py.cli.wording import content, instant, when
from asynq_py.dash.cells import cell
from asynq_py.dash.desk import Desk
from asynq_py.dash.live import LiveScreen
from asynq_py.dash.requests import LookAgain
from asynq_py.dash.table import NamedTable
from asynq_py.dash.task_rows import LONGEST

ENTRY_COLUMNS: Final = ("spec", "type", "queue", "payload", "next", "previous")
EVENT_COLUMNS: Final = ("task", "enqueued", "ago")
EVENTS: Final = 50


@dataclass(frozen=True, slots=True)
class CronSeen:
    """`events`: the newest of the entry `of`."""

    entries: Sequence[SchedulerEntryInfo]
    of: str
    events: Sequence[EnqueueEvent]


class CronScreen(LiveScreen[CronSeen]):
    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.sub_title = "cron"
        self._seen = CronSeen((), "", ())

    def body(self) -> Iterable[Widget]:
        yield NamedTable(*ENTRY_COLUMNS, id="entries")
        yield Static("enqueued by it, newest first", classes="heading")
        yield NamedTable(*EVENT_COLUMNS, id="events")

    @property
    def entries(self) -> NamedTable:
        return self.query_one("#entries", NamedTable)

    @property
    def status(self) -> str:
        return f"{len(self._seen.entries):,} entries"

    async def look(self) -> CronSeen:
        inspector = self.desk.inspector
        entries = await inspector.scheduler_entries()
        ids = [info.id for info in entries]
        chosen = self.entries.current if self.entries.current in ids else next(iter(ids), None)
        if chosen is None:
            return CronSeen(entries, "", ())
        return CronSeen(entries, chosen, await inspector.list_scheduler_enqueue_events(chosen, 1, EVENTS))

    def show(self, seen: CronSeen) -> None:
        self._seen = seen
        now = self.desk.now()
        self.entries.present(
            {
                info.id: [
                    cell(info.spec, "bold"), cell(info.type), cell(info.options.get("queue", "default")),
                    cell(content(info.payload[:LONGEST])), cell(when(info.next_enqueue_at, now)),
                    cell(when(info.previous_enqueue_at, now)),
                ]
                for info in seen.entries
            }
        )  # fmt: skip
        self.query_one("#events", NamedTable).present(
            {
                event.task_id: [
                    cell(event.task_id), cell(instant(event.enqueued_at)), cell(when(event.enqueued_at, now))
                ]
                for event in seen.events
            }
        )  # fmt: skip

    @on(DataTable.RowHighlighted, "#entries")
    def _moved(self) -> None:
        if self.entries.current not in (None, self._seen.of):
            self.post_message(LookAgain())
