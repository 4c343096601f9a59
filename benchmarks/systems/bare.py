"""The bare loop: the least that a worker on this wire must do, as a yardstick for the real one.

redis-py, protobuf, one asyncio task per message, batches in both directions, and the same state changes in
Redis: pending → active with lease → gone, counted. Nothing else: no deadline, no retry, no log, no heartbeat,
no wake-up but a quick poll.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from redis.asyncio import Redis

from asynq_py.wire.messages import TaskMessage
from benchmarks.adapter import Handler, Request, System, needs_one_queue
from benchmarks.answering import main

PREFIX = "asynq:{default}:"
BATCH = 500

FETCH = """
local ids = redis.call('LRANGE', KEYS[1], -tonumber(ARGV[3]), -1)
local messages, leases, taken = {}, {}, {}
for i = #ids, 1, -1 do
  local id, n = ids[i], #messages
  local key = ARGV[2] .. id
  messages[n + 1] = redis.call('HGET', key, 'msg')
  redis.call('HSET', key, 'state', 'active')
  redis.call('HDEL', key, 'pending_since')
  leases[2 * n + 1], leases[2 * n + 2], taken[n + 1] = ARGV[1], id, id
end
if #ids > 0 then
  redis.call('LTRIM', KEYS[1], 0, -#ids - 1)
  redis.call('LPUSH', KEYS[2], unpack(taken))
  redis.call('ZADD', KEYS[3], unpack(leases))
end
return messages
"""

DONE = """
for i = 2, #ARGV do
  redis.call('LREM', KEYS[1], -1, ARGV[i])
  redis.call('ZREM', KEYS[2], ARGV[i])
  redis.call('DEL', ARGV[1] .. ARGV[i])
end
redis.call('INCRBY', KEYS[3], #ARGV - 1)
redis.call('INCRBY', KEYS[4], #ARGV - 1)
return #ARGV - 1
"""

ENQUEUE = """
for i = 2, #ARGV, 2 do
  local key = KEYS[2] .. ARGV[i]
  if redis.call('EXISTS', key) == 0 then
    redis.call('HSET', key, 'msg', ARGV[i + 1], 'state', 'pending', 'pending_since', ARGV[1])
    redis.call('LPUSH', KEYS[1], ARGV[i])
  end
end
return 1
"""


class Bare(System):
    def __init__(self, request: Request) -> None:
        super().__init__(request)
        needs_one_queue(request)
        self._redis = Redis.from_url(request.url, protocol=2)
        self._enqueue = self._redis.register_script(ENQUEUE)
        self._fetch = self._redis.register_script(FETCH)
        self._done = self._redis.register_script(DONE)

    async def enqueue(self, payload: bytes) -> None:
        await self.enqueue_batch([payload])

    async def enqueue_batch(self, payloads: Sequence[bytes]) -> None:
        for start in range(0, len(payloads), BATCH):
            arguments: list[Any] = [time.time_ns()]
            for payload in payloads[start : start + BATCH]:
                arguments += _message(payload)
            await self._enqueue(keys=[PREFIX + "pending", PREFIX + "t:"], args=arguments)

    async def work(self, handler: Handler, ended: asyncio.Event) -> None:
        loop = asyncio.create_task(_Loop(self._fetch, self._done, handler, self.request.concurrency).run())
        await ended.wait()
        while not loop.done():  # the driver may swallow one cancelation (Python 3.11)
            loop.cancel()
            await asyncio.wait([loop], timeout=0.05)

    async def aclose(self) -> None:
        await self._redis.aclose()


class _Loop:
    """Fetches, runs and acknowledges until it is cancelled."""

    def __init__(self, fetch: Any, done: Any, handle: Handler, concurrency: int) -> None:
        self._fetch = fetch
        self._done = done
        self._handle = handle
        self._concurrency = concurrency
        self._running = 0
        self._ended: list[str] = []
        self._changed = asyncio.Event()
        self._has_ended = asyncio.Event()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._acknowledge())
            while True:
                free = self._concurrency - self._running
                if not free:
                    self._changed.clear()
                    await self._changed.wait()
                    continue
                keys = [PREFIX + "pending", PREFIX + "active", PREFIX + "lease"]
                found = await self._fetch(keys=keys, args=[int(time.time()) + 30, PREFIX + "t:", free])
                if not found:
                    await asyncio.sleep(0.001)
                for data in found:
                    self._running += 1
                    group.create_task(self._try(TaskMessage.FromString(data)))

    async def _try(self, task: TaskMessage) -> None:
        await self._handle(task.payload)
        self._running -= 1
        self._ended.append(task.id)
        self._changed.set()
        self._has_ended.set()

    async def _acknowledge(self) -> None:
        keys = [PREFIX + "active", PREFIX + "lease", PREFIX + "processed:today", PREFIX + "processed"]
        while True:
            await self._has_ended.wait()
            self._has_ended.clear()
            ended, self._ended = self._ended, []
            await self._done(keys=keys, args=[PREFIX + "t:", *ended])


def _message(payload: bytes) -> tuple[str, bytes]:
    task_id = str(uuid4())
    message = TaskMessage(type="bench", payload=payload, id=task_id, queue="default", retry=25, timeout=1800)
    return task_id, message.SerializeToString()


if __name__ == "__main__":
    main(Bare)
