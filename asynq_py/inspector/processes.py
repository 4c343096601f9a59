"""The part of the Inspector for servers, schedulers and Redis itself. Behaviour 13."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from asynq_py.broker.roster import Roster
from asynq_py.clock import Clock
from asynq_py.connection import RedisSource
from asynq_py.info import (
    ClusterNode,
    EnqueueEvent,
    SchedulerEntryInfo,
    ServerInfo,
    enqueue_event,
    scheduler_entry_info,
    server_infos,
)
from asynq_py.inspector.access import Access
from asynq_py.inspector.arguments import some
from asynq_py.options import check_name
from asynq_py.wire import messages

_LAST: Final = datetime.max.replace(tzinfo=UTC)


class Processes(Access):
    """Who works on the queues, and where they are kept."""

    def __init__(self, redis: RedisSource = None, *, clock: Clock | None = None) -> None:
        super().__init__(redis, clock=clock)
        self._roster = Roster(self._lane)

    async def servers(self) -> list[ServerInfo]:
        """The servers that live and what they run, by host and process. What it tells is some seconds old."""
        now = self._clock.time()
        found, running = await self._roster.servers(now=now), await self._roster.workers(now=now)
        return server_infos(
            messages.decode_records(messages.ServerInfo, found),
            messages.decode_records(messages.WorkerInfo, running),
        )

    async def scheduler_entries(self) -> list[SchedulerEntryInfo]:
        """What the schedulers that live enqueue again and again, next first."""
        found = await self._roster.scheduler_entries(now=self._clock.time())
        infos = map(scheduler_entry_info, messages.decode_records(messages.SchedulerEntry, found))
        return sorted(infos, key=lambda info: (info.next_enqueue_at or _LAST, info.spec, info.id))

    async def list_scheduler_enqueue_events(
        self, entry_id: str, page: int = 1, size: int = 30
    ) -> list[EnqueueEvent]:
        """What an entry of a scheduler has enqueued, newest first; at most the last 1 000 are kept."""
        first, count = some(page, size)
        found = await self._roster.enqueue_events(check_name("entry_id", entry_id), first=first, count=count)
        return list(map(enqueue_event, messages.decode_records(messages.SchedulerEnqueueEvent, found)))

    async def cluster_key_slot(self, queue: str) -> int:
        """The Cluster slot of all keys of a queue, whether there is a Cluster or not."""
        return self._roster.slot(check_name("queue", queue))

    async def cluster_nodes(self, queue: str) -> list[ClusterNode]:
        """The nodes that have a queue, its master first. Raises: BrokerError: there is no Cluster."""
        nodes = await self._roster.nodes(check_name("queue", queue))
        return [ClusterNode(id=node.id, host=node.host, port=node.port) for node in nodes]

    async def redis_info(self) -> dict[str, str]:
        """What Redis says of itself, by the names of its INFO; of a Cluster, by those of CLUSTER INFO."""
        return await self._roster.cluster_info() if self._connector.cluster else await self._roster.info()
