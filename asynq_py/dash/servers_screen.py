"""The servers that live, and what the one under the cursor runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Final

from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import DataTable, Static

from asynq_py import Progress, ServerInfo, WorkerInfo
from asynq_py.cli.wording import content, when
from asynq_py.dash.cells import cell
from asynq_py.dash.deeds import TASK_VERBS, SomeTasks
from asynq_py.dash.desk import Desk
from asynq_py.dash.how_far import Place, looked_up, short
from asynq_py.dash.live import LiveScreen
from asynq_py.dash.requests import LookAgain
from asynq_py.dash.table import NamedTable
from asynq_py.dash.task_rows import LONGEST
from asynq_py.dash.task_screen import TaskScreen

SERVER_COLUMNS: Final = ("host", "pid", "state", "running", "queues", "started")
WORKER_COLUMNS: Final = ("task", "type", "queue", "payload", "started", "deadline", "progress")
MOST: Final = 50  # tasks that one pass asks how far they have come


@dataclass(frozen=True, slots=True)
class ServersSeen:
    """`progress`: by task ID, of the tasks in sight that the server `of` runs."""

    servers: Sequence[ServerInfo]
    of: str
    progress: Mapping[str, Progress | None]


class ServersScreen(LiveScreen[ServersSeen]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "app.focus_next", "Servers or tasks"),
        Binding("c", "cancel", "Cancel task"),
    ]
    CHANGES = frozenset({"cancel"})

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.sub_title = "servers"
        self._servers: dict[str, ServerInfo] = {}
        self._seen = ServersSeen((), "", {})

    def body(self) -> Iterable[Widget]:
        yield NamedTable(*SERVER_COLUMNS, id="servers")
        yield Static("running there", classes="heading")
        yield NamedTable(*WORKER_COLUMNS, id="workers")

    @property
    def server_table(self) -> NamedTable:
        return self.query_one("#servers", NamedTable)

    @property
    def worker_table(self) -> NamedTable:
        return self.query_one("#workers", NamedTable)

    @property
    def status(self) -> str:
        running = sum(len(info.active_workers) for info in self._servers.values())
        slots = sum(info.concurrency for info in self._servers.values())
        return (
            f"{len(self._servers):,} servers, {running:,} of {slots:,} workers busy, as of some seconds ago"
        )

    async def look(self) -> ServersSeen:
        servers = await self.desk.inspector.servers()
        chosen = self.server_table.current or next((info.id for info in servers), "")
        workers = next((info.active_workers for info in servers if info.id == chosen), ())
        shown = self.worker_table.in_sight
        in_sight = [worker for worker in workers if worker.task_id in shown] or workers
        found = await looked_up(
            self.desk.inspector, [Place(worker.queue, worker.task_id) for worker in in_sight[:MOST]]
        )
        return ServersSeen(servers, chosen, {info.id: info.progress for info in found.values()})

    def show(self, seen: ServersSeen) -> None:
        self._servers = {info.id: info for info in seen.servers}
        self._seen = seen
        now = self.desk.now()
        self.server_table.present(
            {
                info.id: [
                    cell(info.host, "bold"), cell(info.pid),
                    cell(info.status, "green" if info.status == "active" else "yellow"),
                    cell(f"{len(info.active_workers)}/{info.concurrency}"), cell(_queues(info)),
                    cell(when(info.started_at, now)),
                ]
                for info in seen.servers
            }
        )  # fmt: skip
        self._draw_workers()

    def _draw_workers(self) -> None:
        now = self.desk.now()
        self.worker_table.present(
            {
                worker.task_id: _worker(worker, self._seen.progress.get(worker.task_id), now)
                for worker in self._its_workers()
            }
        )

    def _its_workers(self) -> Sequence[WorkerInfo]:
        info = self._servers.get(self.server_table.current or "")
        return () if info is None else info.active_workers

    @on(DataTable.RowHighlighted, "#servers")
    def _moved(self) -> None:
        self.worker_table.unmark()
        self._draw_workers()
        if self.server_table.current not in (None, self._seen.of):
            self.post_message(LookAgain())  # how far its tasks are

    @on(DataTable.RowSelected, "#workers")
    def _opened(self) -> None:
        for worker in self._its_workers():
            if worker.task_id == self.worker_table.current:
                self.app.push_screen(TaskScreen(self.desk, worker.queue, worker.task_id))

    def action_cancel(self) -> None:
        chosen = self.worker_table.chosen
        if chosen:
            self.ask(SomeTasks(TASK_VERBS["cancel"], "", chosen))


def _queues(info: ServerInfo) -> str:
    """The weightiest first."""
    weights = sorted(info.queues.items(), key=lambda item: (-item[1], item[0]))
    text = ", ".join(f"{name}={weight}" for name, weight in weights)
    return f"{text} (strict)" if info.strict_priority else text


def _worker(worker: WorkerInfo, progress: Progress | None, now: datetime) -> Sequence[Text]:
    return [
        cell(worker.task_id, "blue"), cell(worker.task_type, "bold"), cell(worker.queue),
        cell(content(worker.task_payload[:LONGEST])), cell(when(worker.started_at, now)),
        cell(when(worker.deadline, now)), short(progress),
    ]  # fmt: skip
