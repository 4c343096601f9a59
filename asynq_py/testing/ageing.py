"""Ageing: what Redis forgets by its own clock, such as unique locks, is forgotten by a virtual one."""

from __future__ import annotations

import re
from typing import Final

from asynq_py.broker.lane import Command, Sender

AT_ONCE: Final = 1000
_STATISTICS: Final = re.compile(rb":(?:processed|failed):\d{4}-\d\d-\d\d$")  # end by the clock of a server


async def age(lane: Sender, seconds: float) -> None:
    """Let time pass for all keys of the database that have an end."""
    cursor: bytes | int = 0
    while True:
        cursor, keys = await lane.call("SCAN", cursor, "COUNT", AT_ONCE)
        keys = [key for key in keys if not _STATISTICS.search(key)]
        left = await lane.call_all(*(Command(("PTTL", key)) for key in keys))
        gone = round(seconds * 1000)
        ending = [(key, int(ms) - gone) for key, ms in zip(keys, left, strict=True) if ms >= 0]
        await lane.call_all(
            *(Command(("PEXPIRE", key, ms) if ms > 0 else ("DEL", key)) for key, ms in ending)
        )
        if int(cursor) == 0:
            return
