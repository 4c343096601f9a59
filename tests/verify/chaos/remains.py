"""What is left in Redis: the books of each queue, what waits in groups, and how flows stand."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from typing import Any, Final

from asynq_py.wire.keys import FLOWS, FlowKeys, QueueKeys
from tests.books import Books, books
from tests.servers import plain_client
from tests.verify.chaos.jobs import GO, GROUPS, QUEUES

ALL_QUEUES: Final = (*QUEUES, GO)


@dataclass(frozen=True, slots=True)
class Remains:
    """`queues`: books; what waits in groups is no stray there. `grouped`: IDs that wait in groups, or in sets
    that are being aggregated. `flows`: the status of each that has begun. `wall`: Unix time minus the
    ledger's.
    """

    queues: Mapping[str, Books]
    grouped: Set[str] = frozenset()
    flows: Mapping[str, str] = field(default_factory=dict)
    wall: float = 0.0

    @property
    def is_moving(self) -> bool:
        """Should something still happen?"""
        return bool(
            self.grouped
            or "running" in self.flows.values()
            or any(
                left.pending or left.active or left.scheduled or left.retry for left in self.queues.values()
            )
        )


async def left_in(url: str, *, wall: float = 0.0) -> Remains:
    async with plain_client(url) as client:
        redis: Any = client
        queues: dict[str, Books] = {}
        grouped: set[str] = set()
        for queue in ALL_QUEUES:
            found = await _grouped(redis, QueueKeys(queue))
            left = await books(redis, queue)
            queues[queue] = replace(left, strays=left.strays - found)
            grouped |= found
        return Remains(queues, grouped, await _flows(redis), wall)


async def _grouped(redis: Any, keys: QueueKeys) -> set[str]:
    places = [keys.group(name) for name in GROUPS] + list(await redis.zrange(keys.aggregation_sets, 0, -1))
    return {member.decode() for place in places for member in await redis.zrange(place, 0, -1)}


async def _flows(redis: Any) -> dict[str, str]:
    flows: dict[str, str] = {}
    for name in await redis.zrange(FLOWS, 0, -1):
        flow = name.decode()
        status = await redis.hget(FlowKeys(flow).state, "status")
        if isinstance(status, bytes):
            flows[flow] = status.decode()
    return flows
