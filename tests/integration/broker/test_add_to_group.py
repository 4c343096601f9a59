from redis.asyncio import Redis

from asynq_py.broker.broker import Broker, Stored
from tests.state import NOW, dump, kept, new, seed, state

LOCK = "asynq:{q}:unique:t:"


async def test_tasks_wait_in_their_groups_and_the_groups_are_listed(broker: Broker, redis: Redis) -> None:
    answers = await broker.add_to_group("q", [(new("a"), "g"), (new("b"), "h:1"), (new("c"), "g")])

    assert answers == [Stored.YES] * 3
    groups = {
        "g": [kept("a", NOW, fields={"group": "g"}), kept("c", NOW, fields={"group": "g"})],
        "h:1": [kept("b", NOW, fields={"group": "h:1"})],
    }
    assert await dump(redis) == state(groups=groups, registered=True)


async def test_a_unique_task_takes_the_lock_and_remembers_it(broker: Broker, redis: Redis) -> None:
    await broker.add_to_group("q", [(new("a", lock=LOCK, lock_ms=5000), "g")])

    fields = {"group": "g", "unique_key": LOCK}
    assert await dump(redis) == state(
        groups={"g": [kept("a", NOW, unique_key=LOCK, fields=fields)]}, locks={LOCK: "a"}, registered=True
    )
    assert 4000 < await redis.pttl(LOCK) <= 5000


async def test_refused_tasks_change_nothing_not_even_the_list_of_groups(broker: Broker, redis: Redis) -> None:
    before = state(pending=[kept("a")], locks={LOCK: "z"}, registered=True)
    await seed(redis, before)

    tasks = [(new("a"), "g"), (new("b", lock=LOCK, lock_ms=1000), "h")]
    assert await broker.add_to_group("q", tasks) == [Stored.ID_IN_USE, Stored.LOCKED]

    assert await dump(redis) == before


async def test_a_repeated_request_finds_its_own_task_stored(broker: Broker, redis: Redis) -> None:
    task = (new("a", lock=LOCK, lock_ms=1_000_000), "g")
    await broker.add_to_group("q", [task])
    before = await dump(redis)

    assert await broker.add_to_group("q", [task], repeated=True) == [Stored.YES]
    assert await dump(redis) == before
