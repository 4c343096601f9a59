"""Q-18: of two changes of a payload one could be lost, and the unique lock stayed with the old payload."""

from __future__ import annotations

import asyncio
import hashlib

from redis.asyncio import Redis

from asynq_py import Client, Inspector, Task
from asynq_py.broker.broker import Broker
from asynq_py.broker.inspection import Inspection, Updated
from asynq_py.broker.lanes import open_lane
from asynq_py.connection import Connector
from tests.clock import ManualClock
from tests.state import NOW, dump, kept, message_of, seed, state


async def test_q18_a_change_made_from_an_old_message_is_refused(
    broker: Broker, redis: Redis, redis_url: str, clock: ManualClock
) -> None:
    await seed(redis, state(scheduled=[kept("a", NOW + 60, payload=b"newer")]))
    connector = Connector(redis_url)
    lane = open_lane(connector, role="test")

    answer = await Inspection(lane, clock).update_payload(
        "q",
        "a",
        before=message_of("a", payload=b"old"),
        after=message_of("a", payload=b"mine"),
        locks=("", ""),
    )

    await lane.aclose()
    await connector.aclose()
    assert answer is Updated.CHANGED
    assert await dump(redis) == state(scheduled=[kept("a", NOW + 60, payload=b"newer")])


async def test_q18_of_many_changes_at_once_the_last_stands_with_its_lock(
    inspector: Inspector, client: Client, redis: Redis
) -> None:
    await client.enqueue(Task("t", "old"), queue="q", task_id="a", process_in=3600, unique=600)

    await asyncio.gather(*(inspector.update_task_payload("q", "a", f"new {n}") for n in range(5)))

    payload = (await inspector.task_info("q", "a")).payload
    assert payload.startswith(b"new ")
    locks = [key for key in await dump(redis) if "unique" in key]
    assert locks == [f"asynq:{{q}}:unique:t:{hashlib.md5(payload).hexdigest()}"]
