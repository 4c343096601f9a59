"""The only one who looks: for the screen in front, at intervals or when asked, and never twice at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Final

from asynq_py import AsynqError, BrokerUnavailableError
from asynq_py.cli.wording import printable
from asynq_py.dash.live import LiveScreen

AWAY: Final = "Redis is away, waiting"
LONGEST_WAIT: Final = 1.0  # seconds between two looks for a Redis that is away


class Poller:
    """`current`: the screen to look for, if there is one. `interval`: seconds between two looks."""

    def __init__(self, current: Callable[[], LiveScreen[Any] | None], interval: float) -> None:
        self._current = current
        self._interval = interval
        self._asked = asyncio.Event()

    def look_soon(self) -> None:
        """Look as soon as the look that is under way has ended."""
        self._asked.set()

    async def run(self) -> None:
        """Look again and again. A Redis that is away is waited for, its errors are shown; bugs end it."""
        while True:
            self._asked.clear()
            is_away = await self.look_once()
            pause = min(self._interval, LONGEST_WAIT) if is_away else self._interval
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._asked.wait()

    async def look_once(self) -> bool:
        """Look for the screen in front. Returns whether Redis is away."""
        screen = self._current()
        if screen is None:
            return False
        try:
            seen = await screen.look()
        except BrokerUnavailableError:
            self._say(screen, AWAY)
            return True
        except AsynqError as error:
            self._say(screen, printable(str(error)))
            return False
        if screen is self._current():
            screen.show(seen)
            self._say(screen, "")
        return False

    def _say(self, screen: LiveScreen[Any], trouble: str) -> None:
        if screen is self._current():
            screen.say(screen.status, trouble=trouble)
