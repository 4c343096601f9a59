"""Agenda: when something is due next in Redis that a server would do by itself."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from typing import Final

from asynq_py.broker.groups import Rules
from asynq_py.broker.lane import Command, Reply, Sender
from asynq_py.wire.keys import QueueKeys

TICK: Final = 1e-6  # seconds; leases are that exact


class Agenda:
    """Looks at some queues. `skew`: as of the Recoverer. `rules`: of groups; None: nobody aggregates them."""

    def __init__(self, lane: Sender, queues: Collection[str], *, skew: float, rules: Rules | None) -> None:
        self._lane = lane
        self._keys = [QueueKeys(queue) for queue in queues]
        self._skew = skew
        self._rules = rules

    async def next_after(self, now: float, *, held: Collection[tuple[str, str]]) -> float:
        """Unix seconds, or infinity. `held`: queue and ID of tasks whose leases are renewed."""
        first = (f"({now!r}", "+inf", "WITHSCORES", "LIMIT", 0, 1)
        looks: list[Command] = []
        for k in self._keys:
            for key in (k.scheduled, k.retry, k.completed, k.aggregation_sets):
                looks.append(Command(("ZRANGEBYSCORE", key, *first)))  # noqa: PERF401
            looks.append(Command(("ZRANGE", k.lease, 0, -1, "WITHSCORES")))
            looks.append(Command(("SMEMBERS", k.groups)))
        answers = iter(await self._lane.call_all(*looks))
        moments: list[float] = []
        for k in self._keys:
            for _ in range(4):
                moments += (score for _, score in _pairs(next(answers)))
            moments += (
                ends_at + self._skew + TICK
                for task_id, ends_at in _pairs(next(answers))
                if (k.queue, task_id.decode("utf-8", "replace")) not in held
            )
            names = next(answers)
            if names and self._rules is not None:
                moments += await self._groups(k, names, self._rules)
        return min((moment for moment in moments if moment > now), default=math.inf)

    async def _groups(self, k: QueueKeys, names: Iterable[bytes], rules: Rules) -> list[float]:
        moments: list[float] = []
        for name in names:
            key = k.group(name.decode("utf-8", "replace"))
            oldest, newest = await self._lane.call_all(
                Command(("ZRANGE", key, 0, 0, "WITHSCORES")), Command(("ZRANGE", key, -1, -1, "WITHSCORES"))
            )
            moments += (at + math.ceil(rules.grace) for _, at in _pairs(newest))
            if rules.delay is not None:
                moments += (at + math.ceil(rules.delay) for _, at in _pairs(oldest))
        return moments


def _pairs(reply: Reply) -> list[tuple[bytes, float]]:
    return [(member, float(score)) for member, score in zip(reply[::2], reply[1::2], strict=True)]
