"""One task: all that is known of it, with payload and result decoded."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import ClassVar, Final

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Static

from asynq_py import Progress, TaskInfo, TaskNotFoundError
from asynq_py.cli.wording import NOTHING, instant, printable, span, when
from asynq_py.dash.cells import COLOURS
from asynq_py.dash.deeds import TASK_VERBS, SomeTasks, allows_one
from asynq_py.dash.desk import Desk
from asynq_py.dash.how_far import bar
from asynq_py.dash.live import LiveScreen
from asynq_py.dash.payload import readable

BAR: Final = 30  # characters


class TaskScreen(LiveScreen[TaskInfo | None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "app.pop_screen", "Back"),
        Binding("r", "do('run')", "Run"),
        Binding("a", "do('archive')", "Archive"),
        Binding("d", "do('delete')", "Delete"),
        Binding("c", "do('cancel')", "Cancel"),
        Binding("j", "scroll_by(1)", show=False),
        Binding("k", "scroll_by(-1)", show=False),
    ]
    CHANGES = frozenset({"do"})

    def __init__(self, desk: Desk, queue: str, task_id: str) -> None:
        super().__init__(desk)
        self._queue = queue
        self._task_id = task_id
        self._info: TaskInfo | None = None
        self._is_gone = False
        self.sub_title = f"task {printable(task_id)}"

    def body(self) -> Iterable[Widget]:
        with VerticalScroll(id="task"):
            yield Static(id="facts")
            for name in ("error", "payload", "result"):
                yield Static(id=name, classes="block", markup=False)

    @property
    def status(self) -> str:
        if self._is_gone:
            return "the task is no more; this is how it was" if self._info else "there is no such task"
        return "" if self._info is None else f"{self._info.state} in queue {printable(self._queue)}"

    async def look(self) -> TaskInfo | None:
        try:
            return await self.desk.inspector.task_info(self._queue, self._task_id)
        except TaskNotFoundError:
            return None

    def show(self, seen: TaskInfo | None) -> None:
        self._is_gone = seen is None
        if seen is not None and seen != self._info:
            self._info = seen
            self._block("error", seen.last_error or "", "last error")
            for name, data in (("payload", seen.payload), ("result", seen.result)):
                decoded = readable(data)
                self._block(name, decoded.text, f"{name}: {decoded.title}")
        if self._info is not None:
            self.query_one("#facts", Static).update(_facts(self._info, self.desk))
        self.refresh_bindings()

    def _block(self, name: str, text: str, title: str) -> None:
        block = self.query_one(f"#{name}", Static)
        block.border_title = title
        block.display = bool(text) or name == "payload"
        block.update(text)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "do":
            is_there = self._info is not None and not self._is_gone
            if not (is_there and self._info and allows_one(str(parameters[0]), self._info.state)):
                return False
        return super().check_action(action, parameters)

    def action_do(self, verb: str) -> None:
        self.ask(SomeTasks(TASK_VERBS[verb], self._queue, (self._task_id,)))

    def action_scroll_by(self, lines: int) -> None:
        self.query_one("#task", VerticalScroll).scroll_relative(y=lines, animate=False)


def _facts(info: TaskInfo, desk: Desk) -> Text:
    now = desk.now()
    pairs = {
        "id": info.id,
        "type": info.type,
        "queue": info.queue,
        "group": info.group or NOTHING,
        "tries": f"{info.retried} of {info.max_retry} retries taken",
        **({} if info.progress is None else {"progress": _how_far(info.progress, now)}),
        "next try": f"{instant(info.next_process_at)}  {when(info.next_process_at, now)}",
        "last failed": f"{instant(info.last_failed_at)}  {when(info.last_failed_at, now)}",
        "completed": f"{instant(info.completed_at)}  {when(info.completed_at, now)}",
        "timeout": span(info.timeout) if info.timeout else NOTHING,
        "deadline": f"{instant(info.deadline)}  {when(info.deadline, now)}",
        "retention": span(info.retention) if info.retention else NOTHING,
    }
    pairs |= {f"header {printable(name)}": value for name, value in info.headers.items()}
    text = Text.assemble(f"{'state':<14}", (info.state, f"bold {COLOURS[info.state]}"))
    for name, value in pairs.items():
        nothing = not value.strip(f"{NOTHING} ")
        text.append(f"\n{name:<14}").append(
            printable(NOTHING if nothing else value), "dim" if nothing else ""
        )
    return text


def _how_far(progress: Progress, now: datetime) -> str:
    drawn = "" if progress.fraction is None else f"{bar(progress.fraction, BAR)}  "
    return f"{drawn}{progress}, {when(progress.at, now)}"
