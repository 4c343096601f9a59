from redis.asyncio import Redis

from asynq_py.broker.broker import Broker, Stored
from tests.state import NOW, dump, kept, new, seed, state

LOCK = "asynq:{q}:unique:t:"
LATER = int(NOW) + 60


async def test_tasks_wait_in_scheduled_by_their_time(broker: Broker, redis: Redis) -> None:
    answers = await broker.schedule("q", [(new("a"), LATER, ""), (new("b"), LATER + 1, "")])

    assert answers == [Stored.YES, Stored.YES]
    assert await dump(redis) == state(scheduled=[kept("a", LATER), kept("b", LATER + 1)], registered=True)


async def test_a_group_is_remembered_in_the_hash(broker: Broker, redis: Redis) -> None:
    await broker.schedule("q", [(new("a", group_key="g"), LATER, "g")])

    assert await dump(redis) == state(
        scheduled=[kept("a", LATER, group_key="g", fields={"group": "g"})], registered=True
    )


async def test_a_unique_task_takes_the_lock_for_its_time(broker: Broker, redis: Redis) -> None:
    await broker.schedule("q", [(new("a", lock=LOCK, lock_ms=90_000), LATER, "")])

    assert await dump(redis) == state(
        scheduled=[kept("a", LATER, unique_key=LOCK, fields={"unique_key": LOCK})],
        locks={LOCK: "a"},
        registered=True,
    )
    assert 89_000 < await redis.pttl(LOCK) <= 90_000


async def test_refused_tasks_change_nothing(broker: Broker, redis: Redis) -> None:
    before = state(pending=[kept("a")], locks={LOCK: "z"}, registered=True)
    await seed(redis, before)

    tasks = [(new("a"), LATER, ""), (new("b", lock=LOCK, lock_ms=1000), LATER, "g")]
    assert await broker.schedule("q", tasks) == [Stored.ID_IN_USE, Stored.LOCKED]

    assert await dump(redis) == before


async def test_a_repeated_request_finds_its_own_task_stored(broker: Broker, redis: Redis) -> None:
    task = (new("a", lock=LOCK, lock_ms=1_000_000), LATER, "")
    await broker.schedule("q", [task])
    before = await dump(redis)

    assert await broker.schedule("q", [task], repeated=True) == [Stored.YES]
    assert await dump(redis) == before
