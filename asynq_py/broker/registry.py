"""Who is there: servers and what they run, schedulers and their entries, queues and their pause switch, and
the cancelation channel.

Global keys live in different Cluster slots, so each is touched by a command of its own. Wire format 6.
All methods raise BrokerUnavailableError and BrokerError.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Final

from asynq_py.broker.lane import Argument, Command, Sender
from asynq_py.broker.scripts import load
from asynq_py.wire import keys
from asynq_py.wire.keys import QueueKeys

_WRITE_SERVER: Final = load("write_server")
_WRITE_ENTRIES: Final = load("write_entries")
_RECORD_ENQUEUE: Final = load("record_enqueue")


class Registry:
    def __init__(self, lane: Sender) -> None:
        self._lane = lane

    async def write_server(
        self, identity: str, info: bytes, workers: Mapping[str, bytes], *, now: float, ttl: int
    ) -> None:
        """Say that a server lives. `identity`: host:pid:uuid. `workers`: by task ID. `ttl`: seconds."""
        server, running = keys.server(identity), keys.workers(identity)
        pairs: Iterable[Argument] = chain.from_iterable(workers.items())
        arguments = (ttl, info, *pairs)
        await self._lane.call_all(
            Command(("ZADD", keys.SERVERS, int(now) + ttl, server)),
            Command(("ZADD", keys.WORKERS, int(now) + ttl, running)),
            _WRITE_SERVER([server, running], arguments),
        )

    async def clear_server(self, identity: str) -> None:
        """Take a server that ends out of the lists."""
        server, running = keys.server(identity), keys.workers(identity)
        await self._lane.call_all(
            Command(("ZREM", keys.SERVERS, server)),
            Command(("ZREM", keys.WORKERS, running)),
            Command(("DEL", server)),
            Command(("DEL", running)),
        )

    async def write_entries(self, identity: str, entries: Sequence[bytes], *, now: float, ttl: int) -> None:
        """Say what a scheduler enqueues. `identity`: host:pid:uuid. `ttl`: whole seconds (Q-27)."""
        key = keys.scheduler(identity)
        await self._lane.call_all(
            Command(("ZADD", keys.SCHEDULERS, int(now) + ttl, key)), _WRITE_ENTRIES([key], (ttl, *entries))
        )

    async def clear_entries(self, identity: str) -> None:
        """Take a scheduler that ends out of the list."""
        key = keys.scheduler(identity)
        await self._lane.call_all(Command(("ZREM", keys.SCHEDULERS, key)), Command(("DEL", key)))

    async def record_enqueue(self, entry_id: str, event: bytes, *, now: float, ttl: int) -> None:
        """Remember what an entry enqueued, for `ttl` seconds (Q-26)."""
        await self._lane.post(_RECORD_ENQUEUE([keys.scheduler_history(entry_id)], (int(now), event, ttl)))

    async def clear_history(self, entry_ids: Iterable[str]) -> None:
        """Forget what entries enqueued that are no more."""
        await self._lane.call_all(
            *(Command(("DEL", keys.scheduler_history(entry_id))) for entry_id in entry_ids)
        )

    async def sweep(self, *, now: float) -> None:
        """Drop the entries of servers that died without a word, which Go leaves to a reader (Q-28)."""
        await self._lane.call_all(
            Command(("ZREMRANGEBYSCORE", keys.SERVERS, "-inf", int(now) - 1)),
            Command(("ZREMRANGEBYSCORE", keys.WORKERS, "-inf", int(now) - 1)),
        )

    async def sweep_schedulers(self, *, now: float) -> None:
        """Drop the entries of schedulers that died without a word (Q-28)."""
        await self._lane.call("ZREMRANGEBYSCORE", keys.SCHEDULERS, "-inf", int(now) - 1)

    async def queues(self) -> list[str]:
        """The names of all queues, sorted."""
        return sorted(
            name.decode("utf-8", "replace") for name in await self._lane.call("SMEMBERS", keys.QUEUES)
        )

    async def has_queue(self, queue: str) -> bool:
        return bool(await self._lane.call("SISMEMBER", keys.QUEUES, queue))

    async def pause(self, queue: str, *, now: float) -> bool:
        """Stop a queue from being fetched. Returns False if it was paused already. Wire format 7.14."""
        return await self._lane.call("SET", QueueKeys(queue).paused, int(now), "NX") is not None

    async def unpause(self, queue: str) -> bool:
        """Let a queue be fetched again. Returns False if it was not paused."""
        return bool(await self._lane.call("DEL", QueueKeys(queue).paused))

    async def cancel(self, task_id: str) -> int:
        """Ask every server to cancel the task of this ID. Returns how many heard it."""
        return int(await self._lane.call("PUBLISH", keys.CANCEL_CHANNEL, task_id))
