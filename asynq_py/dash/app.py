"""Dashboard: the application. It holds the screens and the poller, and does what the screens ask."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Final

from textual import work
from textual.app import App
from textual.binding import Binding, BindingType

from asynq_py import AsynqError, BrokerUnavailableError
from asynq_py.cli.wording import printable
from asynq_py.dash.confirm_screen import ConfirmScreen
from asynq_py.dash.cron_screen import CronScreen
from asynq_py.dash.deeds import Deed
from asynq_py.dash.desk import Desk
from asynq_py.dash.flows_screen import FlowsScreen
from asynq_py.dash.help_screen import HelpScreen
from asynq_py.dash.live import LiveScreen
from asynq_py.dash.poller import Poller
from asynq_py.dash.queues_screen import QueuesScreen
from asynq_py.dash.requests import Ask
from asynq_py.dash.servers_screen import ServersScreen
from asynq_py.dash.table import NamedTable

INTERVAL: Final = 2.0  # seconds
TOLD: Final = 3  # failures of one deed that are told one by one


class Dashboard(App[None]):
    """`place`: where Redis is, for the title. `interval`: seconds between two looks."""

    CSS_PATH = Path(__file__).with_name("dash.tcss")
    TITLE = "asynq-py"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1", "switch_mode('queues')", "Queues"),
        Binding("2", "switch_mode('servers')", "Servers"),
        Binding("3", "switch_mode('cron')", "Cron"),
        Binding("4", "switch_mode('flows')", "Flows"),
        Binding("t", "lighter", "Light/dark", show=False),
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("q", "quit", "Quit"),
    ]

    def __init__(self, desk: Desk, *, place: str = "", interval: float = INTERVAL) -> None:
        super().__init__()
        self.title = f"asynq-py {place}".rstrip()
        self._desk = desk
        self.poller = Poller(self._in_front, interval)
        self.add_mode("queues", lambda: QueuesScreen(desk))
        self.add_mode("servers", lambda: ServersScreen(desk))
        self.add_mode("cron", lambda: CronScreen(desk))
        self.add_mode("flows", lambda: FlowsScreen(desk))

    async def on_mount(self) -> None:
        await self.switch_mode("queues")
        self.run_worker(self.poller.run(), name="poller", group="poller")

    def _in_front(self) -> LiveScreen[Any] | None:
        """The screen that is seen, be it behind a question. None at the end: screens lose their widgets."""
        if not self.is_running:
            return None
        screens = (screen for screen in reversed(self.screen_stack) if isinstance(screen, LiveScreen))
        return next(screens, None)

    def on_look_again(self) -> None:
        self.poller.look_soon()

    # -- deeds --------------------------------------------------------------------------------------------

    def on_ask(self, message: Ask) -> None:
        self._ask(message.deed)

    @work(group="deeds")
    async def _ask(self, deed: Deed) -> None:
        """Say what it would touch; on a yes do it, and say what came of it."""
        try:
            question = await deed.question(self._desk.inspector)
            if question is None:
                self._tell("there is nothing to do")
            elif await self.push_screen_wait(ConfirmScreen(printable(question))):
                await self._do(deed)
        except BrokerUnavailableError as error:
            self._tell(f"Redis is away; some of it may have been done: {error}", is_bad=True)
        except AsynqError as error:
            self._tell(str(error), is_bad=True)

    async def _do(self, deed: Deed) -> None:
        screen = self._in_front()
        outcome = await deed.do(self._desk.inspector)
        self._tell(outcome.text)
        for why in outcome.failed[:TOLD]:
            self._tell(why, is_bad=True)
        if len(outcome.failed) > TOLD:
            self._tell(f"and {len(outcome.failed) - TOLD:,} more", is_bad=True)
        if screen is not None:
            for table in screen.query(NamedTable):
                table.unmark()
            screen.action_look_again()

    def _tell(self, text: str, *, is_bad: bool = False) -> None:
        self.notify(printable(text), severity="error" if is_bad else "information", markup=False)

    # -- the rest -----------------------------------------------------------------------------------------

    def action_help(self) -> None:
        self.push_screen(HelpScreen())

    def action_lighter(self) -> None:
        self.theme = "textual-dark" if self.theme == "textual-light" else "textual-light"
