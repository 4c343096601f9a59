"""The tasks of a queue by state, a page at a time, filtered or not; groups first where they are in groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Final

from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import DataTable, Input, Tab, Tabs

from asynq_py.cli.states import STATES
from asynq_py.cli.wording import printable
from asynq_py.dash.cells import cell, count
from asynq_py.dash.deeds import TASK_VERBS, AllTasks, SomeTasks, allows_all, allows_one
from asynq_py.dash.desk import Desk
from asynq_py.dash.live import LiveScreen
from asynq_py.dash.requests import LookAgain
from asynq_py.dash.table import NamedTable
from asynq_py.dash.task_pages import TaskPages, TasksSeen, Wish
from asynq_py.dash.task_rows import COLUMNS, row
from asynq_py.dash.task_screen import TaskScreen

GROUP_COLUMNS: Final = ("group", "tasks")
FILTER: Final = "a type such as email:*, or a part of ID, type, payload or error"
FIRST: Final = Wish("pending")


class TasksScreen(LiveScreen[TasksSeen]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "back", "Back"),
        Binding("h", "turn(-1)", "State before", show=False),
        Binding("l", "turn(1)", "Next state", show=False),
        Binding("n,right_square_bracket", "page(1)", "Next"),
        Binding("p,left_square_bracket", "page(-1)", "Previous"),
        Binding("g", "edge(1)", "First page", show=False),
        Binding("G", "edge(0)", "Last page", show=False),
        Binding("slash", "filter", "Filter"),
        Binding("r", "some('run')", "Run"),
        Binding("a", "some('archive')", "Archive"),
        Binding("d", "some('delete')", "Delete"),
        Binding("c", "some('cancel')", "Cancel"),
        Binding("R", "all('run')", "Run all"),
        Binding("A", "all('archive')", "Archive all"),
        Binding("D", "all('delete')", "Delete all"),
        Binding("C", "all('cancel')", "Cancel all"),
    ]
    CHANGES = frozenset({"some", "all"})

    def __init__(self, desk: Desk, queue: str) -> None:
        super().__init__(desk)
        self._queue = queue
        self._pages = TaskPages(desk.inspector, queue)
        self._wish = FIRST
        self._seen: TasksSeen | None = None
        self._labels: Sequence[str] = COLUMNS
        self.sub_title = f"queue {printable(queue)}"

    def body(self) -> Iterable[Widget]:
        tabs = Tabs(*(Tab(state, id=state) for state in STATES), active=self._wish.state)
        tabs.can_focus = False  # the table keeps the keys; the mouse does not need it
        yield tabs
        yield Input(placeholder=FILTER, id="filter", classes="hidden")
        yield NamedTable(*COLUMNS, id="tasks")

    def on_mount(self) -> None:
        self.table.focus()

    @property
    def table(self) -> NamedTable:
        return self.query_one("#tasks", NamedTable)

    @property
    def status(self) -> str:
        seen, wish = self._seen, self._wish
        if seen is None or seen.wish != wish:
            return "…"
        what = "groups" if wish.is_of_groups else f"{wish.state} tasks"
        where = "" if wish.group is None else f" in group {printable(wish.group)}"
        text = f"page {wish.page:,} of {seen.pages:,}, {seen.total:,} {what}{where}"
        if wish.wanted:
            more = ", looking on" if seen.is_searching else ""
            text += f" with {printable(wish.wanted)!r}, {seen.read:,} read{more}"
        marked = len(self.table.marked)
        return f"{text}; {marked:,} marked" if marked else text

    # -- looking ------------------------------------------------------------------------------------------

    async def look(self) -> TasksSeen:
        return await self._pages.look(self._wish)

    def show(self, seen: TasksSeen) -> None:
        for state in STATES:
            label = f"{state} {getattr(seen.info, state):,}"
            tab = self.query_one(f"#{state}", Tab)
            if tab.label_text != label:
                tab.label = label
        if seen.wish != self._wish:  # the user has gone on meanwhile, and a look for that is under way
            return
        self._seen = seen
        if self._wish.page > seen.pages and not seen.is_searching:
            self._go(replace(self._wish, page=seen.pages))
            return
        self._draw(seen)
        if seen.is_searching:
            self.post_message(LookAgain())

    def _draw(self, seen: TasksSeen) -> None:
        labels = GROUP_COLUMNS if seen.wish.is_of_groups else COLUMNS
        if labels != self._labels:
            self._labels = labels
            self.table.relabel(labels)
        rows: Mapping[str, Sequence[Text]]
        if seen.wish.is_of_groups:
            rows = {info.group: [cell(info.group, "magenta"), count(info.size)] for info in seen.groups}
        else:
            now = self.desk.now()
            rows = {info.id: row(info, now) for info in seen.tasks}
        self.table.present(rows)

    def _go(self, wish: Wish) -> None:
        """Wish for something else, and have it looked for now."""
        is_other = (wish.state, wish.group, wish.wanted) != (
            self._wish.state, self._wish.group, self._wish.wanted,
        )  # fmt: skip
        if is_other:
            self.table.unmark()
        self._wish = wish
        self.refresh_bindings()
        self.say(self.status)
        self.post_message(LookAgain())

    def action_look_again(self) -> None:
        self._go(replace(self._wish, again=self._wish.again + 1))

    # -- where users go -----------------------------------------------------------------------------------

    @on(Tabs.TabActivated)
    def _turned(self, event: Tabs.TabActivated) -> None:
        state = event.tab.id or FIRST.state
        if state != self._wish.state:
            self._go(Wish(state, wanted=self._wish.wanted))

    def action_turn(self, by: int) -> None:
        tabs = self.query_one(Tabs)
        tabs.active = STATES[(STATES.index(self._wish.state) + by) % len(STATES)]

    def action_page(self, by: int) -> None:
        pages = 1 if self._seen is None else self._seen.pages
        page = min(max(1, self._wish.page + by), pages)
        if page != self._wish.page:
            self._go(replace(self._wish, page=page))

    def action_edge(self, page: int) -> None:
        self._go(replace(self._wish, page=page or (1 if self._seen is None else self._seen.pages)))

    def action_filter(self) -> None:
        field = self.query_one("#filter", Input)
        field.remove_class("hidden")
        field.focus()

    @on(Input.Submitted)
    def _filtered(self, event: Input.Submitted) -> None:
        self.table.focus()
        if not event.value:
            event.input.add_class("hidden")
        self._go(replace(self._wish, wanted=event.value, page=1))

    def action_back(self) -> None:
        """From a filter to all, from a group to the groups, from here to the queues."""
        field = self.query_one("#filter", Input)
        if not field.has_class("hidden"):
            field.value = ""
            field.add_class("hidden")
            self.table.focus()
            self._go(replace(self._wish, wanted="", page=1))
        elif self._wish.group is not None:
            self._go(Wish(self._wish.state))
        else:
            self.app.pop_screen()

    @on(DataTable.RowSelected)
    def _opened(self) -> None:
        name = self.table.current
        if name is None or self._seen is None or self._seen.wish != self._wish:
            return
        if self._wish.is_of_groups:
            self._go(replace(self._wish, group=name, page=1))
        else:
            self.app.push_screen(TaskScreen(self.desk, self._queue, name))

    # -- what users do ------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        verb = str(parameters[0]) if parameters else ""
        if action == "some":
            is_fit = not self._wish.is_of_groups and allows_one(verb, self._wish.state)
        elif action == "all":
            # of a filter only those may be taken that can be seen and marked
            is_fit = not self._wish.wanted and allows_all(verb, self._wish.state)
        else:
            is_fit = True
        return is_fit and super().check_action(action, parameters)

    def action_some(self, verb: str) -> None:
        if self.table.chosen:
            self.ask(SomeTasks(TASK_VERBS[verb], self._queue, self.table.chosen))

    def action_all(self, verb: str) -> None:
        """Of a state; of the group that is open, or under the cursor."""
        group = self.table.current if self._wish.is_of_groups else self._wish.group
        if self._wish.state == "aggregating" and group is None:
            return
        self.ask(AllTasks(TASK_VERBS[verb], self._queue, self._wish.state, group))
