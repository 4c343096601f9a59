"""Gates: what stands before a limit. Each asks and takes in one step; the refused hear when to come again.

`who`: stands in line under this name until it is let in; "": does not wait. Spans are seconds.
All methods raise BrokerUnavailableError (see its `maybe_done`) and BrokerError.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from typing import Final

from asynq_py.broker.lane import Command, Reply, Sender
from asynq_py.broker.scripts import load
from asynq_py.clock import Clock
from asynq_py.wire.keys import LimitKeys, line

_TAKE_TOKEN: Final = load("take_token")
_TAKE_TURN: Final = load("take_turn")
_TAKE_HOLD: Final = load("take_hold")
_RENEW_HOLD: Final = load("renew_hold")
_FREE_HOLD: Final = load("free_hold")


class Gates:
    def __init__(self, lane: Sender, clock: Clock) -> None:
        self._lane = lane
        self._clock = clock

    async def take_token(self, keys: LimitKeys, who: str, *, count: int, period: float, burst: int) -> float:
        """Take one of the tokens, `count` of which come in each `period`. Returns 0, or how long to wait."""
        arguments = (self._now(), who, count, micros(period), burst)
        return _wait(await self._lane.post(_TAKE_TOKEN([keys.tokens, line(keys.tokens)], arguments)))

    async def take_turn(self, keys: LimitKeys, who: str, *, count: int, period: float) -> float:
        """Take one of `count` turns in any `period`. Returns 0, or how long to wait."""
        arguments = (self._now(), who, count, micros(period), secrets.token_hex(8))
        return _wait(await self._lane.post(_TAKE_TURN([keys.turns, line(keys.turns)], arguments)))

    async def take_hold(self, keys: LimitKeys, who: str, *, size: int, name: str, lease: float) -> float:
        """Become one of `size` holds at once, for `lease`. Returns 0, or how long to wait: a guess."""
        arguments = (self._now(), who, size, name, micros(lease))
        return _wait(await self._lane.post(_TAKE_HOLD([keys.holds, line(keys.holds), keys.pace], arguments)))

    async def renew_hold(self, keys: LimitKeys, name: str, *, lease: float, held: float) -> bool:
        """Hold on for another `lease`. Returns False when it is too late."""
        arguments = (self._now(), name, micros(lease), micros(held))
        return bool(await self._lane.post(_RENEW_HOLD([keys.holds, keys.pace], arguments)))

    def free_hold(self, keys: LimitKeys, name: str, *, held: float) -> asyncio.Future[Reply]:
        """Give a hold back that lasted `held`. Sent before what is asked later. Brings 0 if it was lost."""
        return self._lane.post(_FREE_HOLD([keys.holds, keys.pace], (name, micros(held))))

    def leave(self, gate: str, who: str) -> asyncio.Future[Reply]:
        """Wait no longer. `gate`: the key of its tokens, turns or holds."""
        return self._lane.post(Command(("ZREM", line(gate), who)))

    def _now(self) -> int:
        return micros(self._clock.time())


def micros(seconds: float) -> int:
    return round(seconds * 1_000_000)


def _wait(reply: Sequence[int]) -> float:
    admitted, wait = reply
    return 0.0 if admitted else wait / 1_000_000
