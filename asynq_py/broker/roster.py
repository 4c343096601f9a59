"""Who is there, for those who look: servers, what they run, schedulers and what they enqueue. Wire format 6.

Looking writes nothing, so it works on a replica too (Q-43): who died is left out, and swept by the living.
All methods raise BrokerUnavailableError and BrokerError.
"""

from __future__ import annotations

from typing import NamedTuple

from asynq_py.broker.lane import Command, Sender
from asynq_py.connection.cluster import slot_of
from asynq_py.wire import keys
from asynq_py.wire.keys import QueueKeys


class NodeRow(NamedTuple):
    """A node of a Cluster as its peers know it."""

    id: str
    host: str
    port: int


class Roster:
    def __init__(self, lane: Sender) -> None:
        self._lane = lane

    async def servers(self, *, now: float) -> list[bytes]:
        """The records of the servers that live."""
        names = await self._living(keys.SERVERS, now)
        records = await self._lane.call_all(*(Command(("GET", name)) for name in names))
        return [record for record in records if record is not None]

    async def workers(self, *, now: float) -> list[bytes]:
        """The records of the tasks that they run."""
        names = await self._living(keys.WORKERS, now)
        records = await self._lane.call_all(*(Command(("HVALS", name)) for name in names))
        return [record for of_server in records for record in of_server]

    async def scheduler_entries(self, *, now: float) -> list[bytes]:
        """The records of what the schedulers that live enqueue, in the order of each."""
        names = await self._living(keys.SCHEDULERS, now)
        records = await self._lane.call_all(*(Command(("LRANGE", name, 0, -1)) for name in names))
        return [record for of_scheduler in records for record in reversed(of_scheduler)]

    async def enqueue_events(self, entry_id: str, *, first: int, count: int) -> list[bytes]:
        """The records of what an entry enqueued, newest first."""
        history = keys.scheduler_history(entry_id)
        found: list[bytes] = await self._lane.call("ZREVRANGE", history, first, first + count - 1)
        return found

    async def nodes(self, queue: str) -> list[NodeRow]:
        """The nodes of the Cluster that have a queue, its master first. Wire format 7.15."""
        slot = self.slot(queue)
        for first, last, *servers in await self._lane.call("CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return [NodeRow(s[2].decode(), (s[0] or b"").decode(), int(s[1])) for s in servers]
        return []

    async def info(self) -> dict[str, str]:
        """What a server says of itself."""
        return _fields(await self._lane.call("INFO"))

    async def cluster_info(self) -> dict[str, str]:
        """What a node says of its Cluster."""
        return _fields(await self._lane.call("CLUSTER", "INFO"))

    def slot(self, queue: str) -> int:
        return slot_of(QueueKeys(queue).pending)

    async def _living(self, name: str, now: float) -> list[bytes]:
        found: list[bytes] = await self._lane.call("ZRANGEBYSCORE", name, int(now), "+inf")
        return found


def _fields(text: bytes) -> dict[str, str]:
    """Read lines of `name:value`; headings and blank ones are no such lines."""
    lines = text.decode("utf-8", "replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line and not line.startswith("#"))
