"""Somebody who sits before the dashboard: presses keys, and waits until the screen shows something."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from textual.pilot import Pilot
from textual.widgets import DataTable, Static, Tab

from asynq_py import Inspector
from asynq_py.dash.app import Dashboard
from asynq_py.dash.confirm_screen import ConfirmScreen
from asynq_py.dash.desk import Desk
from asynq_py.dash.table import NamedTable
from tests.clock import ManualClock
from tests.eventually import eventually

T = TypeVar("T")
PLACE: Final = "redis://localhost:6379/0"
SIZE: Final = (140, 40)
NEVER: Final = 3600.0  # seconds between two looks: tests have the dashboard look when they want it to


def desk(inspector: Inspector, clock: ManualClock, *, is_read_only: bool = False) -> Desk:
    return Desk(inspector, lambda: datetime.fromtimestamp(clock.time(), UTC), is_read_only)


def dashboard(
    inspector: Inspector, clock: ManualClock, *, is_read_only: bool = False, interval: float = NEVER
) -> Dashboard:
    return Dashboard(desk(inspector, clock, is_read_only=is_read_only), place=PLACE, interval=interval)


class Seat:
    def __init__(self, app: Dashboard, pilot: Pilot[Any]) -> None:
        self.app = app
        self._pilot = pilot

    async def press(self, *keys: str) -> None:
        await self._pilot.press(*keys)

    async def click(self, selector: str, offset: tuple[int, int] = (0, 0)) -> None:
        await self._pilot.click(selector, offset=offset)

    async def write(self, text: str) -> None:
        await self._pilot.press(*("space" if char == " " else char for char in text))

    async def until(self, read: Callable[[], T], holds: Callable[[T], bool] = bool) -> T:
        """Wait until what is shown will do."""

        async def settled() -> T:
            await self._pilot.pause()
            return read()

        return await eventually(settled, holds)

    async def until_is(self, read: Callable[[], T], value: T) -> None:
        await self.until(read, lambda seen: seen == value)

    async def until_status(self, part: str) -> None:
        await self.until(lambda: self.status, lambda text: part in text)

    async def laid_out(self) -> None:
        """Wait until columns are as wide as what they hold, and nothing moves on the screen any more."""
        await self.until(lambda: not any(table._require_update_dimensions for table in self._tables()))
        shots: list[str] = []
        await self.until(
            lambda: shots.append(self.app.export_screenshot()),
            lambda _: len(set(shots[-3:])) == 1 < len(shots) - 1,
        )

    def _tables(self) -> list[DataTable[Any]]:
        return [table for screen in self.app.screen_stack for table in screen.query(DataTable).results()]

    @property
    def status(self) -> str:
        """The status line of the screen in front; of the one behind a question, too."""
        for screen in reversed(self.app.screen_stack):
            for line in screen.query("#status").results(Static):
                return str(line.render())
        return ""

    def table(self, name: str) -> NamedTable:
        return self.app.screen.query_one(f"#{name}", NamedTable)

    def rows(self, name: str) -> list[list[str]]:
        """What a table says, marks left out."""
        table = self.table(name)
        return [[cell.plain.strip() for cell in table.get_row_at(at)[1:]] for at in range(table.row_count)]

    def column(self, name: str, at: int = 0) -> list[str]:
        return [row[at] for row in self.rows(name)]

    def text(self, selector: str) -> str:
        return str(self.app.screen.query_one(selector, Static).render())

    @property
    def tabs(self) -> list[str]:
        return [tab.label_text for tab in self.app.screen.query(Tab)]

    async def filter(self, wanted: str) -> None:
        await self._pilot.press("slash")
        await self.write(wanted)
        await self._pilot.press("enter")

    @property
    def is_asked(self) -> bool:
        return isinstance(self.app.screen, ConfirmScreen)

    async def question(self) -> str:
        """Wait to be asked."""
        await self.until(lambda: self.is_asked)
        await self.until(lambda: self.app.screen.focused is not None)
        return self.text("#question")

    @property
    def told(self) -> list[str]:
        """What was said in passing."""
        return [notice.message for notice in self.app._notifications]

    @property
    def footer(self) -> set[str]:
        """What the footer offers."""
        return {
            found.binding.description
            for found in self.app.screen.active_bindings.values()
            if found.enabled and found.binding.show
        }


@asynccontextmanager
async def seat(app: Dashboard, size: tuple[int, int] = SIZE) -> AsyncGenerator[Seat]:
    async with app.run_test(size=size) as pilot:
        yield Seat(app, pilot)


@asynccontextmanager
async def before(redis_url: str, clock: ManualClock, *, is_read_only: bool = False) -> AsyncGenerator[Seat]:
    """Sit before a dashboard of that Redis, when it has looked once."""
    async with (
        Inspector(redis_url, clock=clock) as inspector,
        seat(dashboard(inspector, clock, is_read_only=is_read_only)) as somebody,
    ):
        await somebody.until_status("queues")
        yield somebody
