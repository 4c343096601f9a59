"""One flow: how it stands, and its steps as a tree, a page at a time; the way to their tasks."""

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

from asynq_py import FlowInfo, FlowNotFoundError, StepState, TaskInfo
from asynq_py.cli.wording import instant, printable, when
from asynq_py.dash.deeds import FLOW_VERBS, SomeFlows, allows_flow
from asynq_py.dash.desk import Desk
from asynq_py.dash.flow_rows import FLOW_COLOURS, STEP_COLUMNS, Branch, done, step_row, tree
from asynq_py.dash.how_far import Place, looked_up
from asynq_py.dash.live import LiveScreen
from asynq_py.dash.requests import LookAgain
from asynq_py.dash.table import NamedTable
from asynq_py.dash.task_screen import TaskScreen

PAGE: Final = 50
BAR: Final = 30  # characters
TASKS: Final = (StepState.SENT, StepState.FAILED)  # whose tasks have something to tell


@dataclass(frozen=True, slots=True)
class FlowSeen:
    """`info`: None: there is no such flow any more. `tasks`: by ID, those of the steps of the page."""

    page: int
    info: FlowInfo | None
    branches: Sequence[Branch] = ()
    tasks: Mapping[str, TaskInfo] | None = None

    @property
    def pages(self) -> int:
        return max(1, -(-len(self.branches) // PAGE))

    @property
    def shown(self) -> Sequence[Branch]:
        first = (self.page - 1) * PAGE
        return self.branches[first : first + PAGE]


class FlowScreen(LiveScreen[FlowSeen]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "app.pop_screen", "Back"),
        Binding("n,right_square_bracket", "page(1)", "Next"),
        Binding("p,left_square_bracket", "page(-1)", "Previous"),
        Binding("g", "edge(1)", "First page", show=False),
        Binding("G", "edge(0)", "Last page", show=False),
        Binding("c", "do('cancel')", "Cancel"),
        Binding("r", "do('retry')", "Retry"),
    ]
    CHANGES = frozenset({"do"})

    def __init__(self, desk: Desk, flow: str) -> None:
        super().__init__(desk)
        self._flow = flow
        self._page = 1
        self._seen: FlowSeen | None = None
        self._is_gone = False
        self.sub_title = f"flow {printable(flow)}"

    def body(self) -> Iterable[Widget]:
        yield Static(id="flow")
        yield NamedTable(*STEP_COLUMNS, id="steps")

    @property
    def table(self) -> NamedTable:
        return self.query_one("#steps", NamedTable)

    @property
    def status(self) -> str:
        seen = self._seen
        if self._is_gone:
            return "the flow is no more; this is how it was" if seen else "there is no such flow"
        if seen is None or seen.info is None or seen.page != self._page:
            return "…"
        return f"{seen.info.state}; page {seen.page:,} of {seen.pages:,}, {len(seen.branches):,} steps"

    # -- looking ------------------------------------------------------------------------------------------

    async def look(self) -> FlowSeen:
        page, inspector = self._page, self.desk.inspector
        try:
            info = await inspector.flow(self._flow)
        except FlowNotFoundError:
            return FlowSeen(page, None)
        seen = FlowSeen(page, info, tree(info.steps))
        # what is enqueued is a task, which tells more
        sent = [
            branch.step for branch in seen.shown if branch.step.state in (StepState.SENT, StepState.FAILED)
        ]
        tasks = await looked_up(inspector, [Place(step.queue, step.task_id) for step in sent])
        return FlowSeen(page, info, seen.branches, tasks)

    def show(self, seen: FlowSeen) -> None:
        self._is_gone = seen.info is None
        if seen.info is not None and seen.page == self._page:
            if seen.page > seen.pages:
                self._go(seen.pages)
                return
            self._seen = seen
            self._draw(seen, seen.info)
        self.refresh_bindings()

    def _draw(self, seen: FlowSeen, info: FlowInfo) -> None:
        self.query_one("#flow", Static).update(_facts(info, self.desk.now()))
        tasks = seen.tasks or {}
        self.table.present(
            {branch.step.id: step_row(branch, tasks.get(branch.step.task_id)) for branch in seen.shown}
        )

    # -- what users do ------------------------------------------------------------------------------------

    def _go(self, page: int) -> None:
        self._page = page
        self.say(self.status)
        self.post_message(LookAgain())

    def action_page(self, by: int) -> None:
        pages = 1 if self._seen is None else self._seen.pages
        page = min(max(1, self._page + by), pages)
        if page != self._page:
            self._go(page)

    def action_edge(self, page: int) -> None:
        self._go(page or (1 if self._seen is None else self._seen.pages))

    @on(DataTable.RowSelected)
    def _opened(self) -> None:
        for branch in self._seen.shown if self._seen is not None else ():
            if branch.step.id == self.table.current:
                self.app.push_screen(TaskScreen(self.desk, branch.step.queue, branch.step.task_id))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "do":
            info = None if self._seen is None or self._is_gone else self._seen.info
            if info is None or not allows_flow(str(parameters[0]), info.state):
                return False
        return super().check_action(action, parameters)

    def action_do(self, verb: str) -> None:
        self.ask(SomeFlows(FLOW_VERBS[verb], (self._flow,)))


def _facts(info: FlowInfo, now: datetime) -> Text:
    colour = f"bold {FLOW_COLOURS[info.state]}"
    text = Text.assemble("state         ", (info.state, colour), "\nname          ", printable(info.name))
    text.append("\nsteps done    ").append_text(done(info, BAR))
    text.append(f"\nbegan         {instant(info.created_at)}  {when(info.created_at, now)}")
    if info.ended_at is not None:
        text.append(f"\nended         {instant(info.ended_at)}  {when(info.ended_at, now)}")
    if info.failed_step is not None:
        text.append(f"\nfailed in     step {printable(info.failed_step)}")
    if info.error is not None:
        text.append("\nerror         ").append(printable(info.error), "red")
    return text
