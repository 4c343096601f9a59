"""LeaseWatch: tries whose lease has ended by our own clock are cancelled: others may run the task by now."""

from __future__ import annotations

from typing import Final

import anyio

from asynq_py.clock import Clock
from asynq_py.server.inflight import InFlight

LOOK: Final = 0.5  # seconds between looks


class LeaseWatch:
    """Never talks to Redis, so it works when leases cannot be extended."""

    def __init__(self, inflight: InFlight, clock: Clock) -> None:
        self._inflight = inflight
        self._clock = clock

    async def run(self) -> None:
        while True:
            self._inflight.drop_expired(self._clock.monotonic())
            await anyio.sleep(LOOK)
