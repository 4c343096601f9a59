import pytest
from redis.asyncio import Redis

from asynq_py.broker.broker import Broker
from tests.state import NOW, NOW_NS, Hash, State, dump, kept, lease, seed, state


def without_lease(seen: State, *ids: str) -> State:
    for task_id in ids:
        del seen["asynq:{q}:lease"][task_id]
    if not seen["asynq:{q}:lease"]:
        del seen["asynq:{q}:lease"]
    return seen


async def test_tasks_without_a_lease_run_next_in_their_order_and_no_crash_is_counted(
    broker: Broker, redis: Redis
) -> None:
    """F62."""
    running = kept("running", lease(7))
    active = [kept("a", fields={"crashes": 1}, retried=1), running, kept("b")]
    await seed(redis, without_lease(state(active=active, pending=[kept("waiting")]), "a", "b"))

    assert await broker.reclaim("q", [b"a", b"b"]) == ["a", "b"]

    back = [
        kept("a", fields={"crashes": 1, "pending_since": NOW_NS}, retried=1),
        kept("b", fields={"pending_since": NOW_NS}),
    ]
    assert await dump(redis) == state(active=[running], pending=[*back, kept("waiting")])


async def test_one_that_got_a_lease_or_ended_meanwhile_is_not_touched(broker: Broker, redis: Redis) -> None:
    await seed(redis, before := state(active=[kept("a", lease(7))], retry=[kept("b", NOW + 9)]))

    assert await broker.reclaim("q", [b"a", b"b", b"gone"]) == []
    assert await dump(redis) == before


async def test_one_that_waits_elsewhere_is_only_taken_off_active(broker: Broker, redis: Redis) -> None:
    there = state(retry=[kept("a", NOW + 9)])
    await seed(redis, there | {"asynq:{q}:active": ["a"]})

    assert await broker.reclaim("q", [b"a"]) == []
    assert await dump(redis) == there


@pytest.mark.parametrize(
    ("key", "left"),
    [
        pytest.param(None, {}, id="nothing"),
        pytest.param(Hash(state="active"), {}, id="no message"),
        pytest.param("text", {"asynq:{q}:t:a": "text"}, id="no hash"),
    ],
)
async def test_an_id_without_a_task_is_dropped_and_its_neighbours_are_handed_back(
    broker: Broker, redis: Redis, key: Hash | str | None, left: State
) -> None:
    """F60: ghosts."""
    before = without_lease(state(active=[kept("a"), kept("b")]), "a", "b")
    del before["asynq:{q}:t:a"]
    await seed(redis, before | ({} if key is None else {"asynq:{q}:t:a": key}))

    assert await broker.reclaim("q", [b"a", b"b"]) == ["b"]
    assert await dump(redis) == left | state(pending=[kept("b", fields={"pending_since": NOW_NS})])


async def test_a_task_whose_message_cannot_be_read_is_handed_back_like_any_other(
    broker: Broker, redis: Redis
) -> None:
    """F61: whoever fetches it archives it."""
    before = without_lease(state(active=[kept("a")]), "a")
    before["asynq:{q}:t:a"]["msg"] = b"\xff\xff"
    await seed(redis, before)

    assert await broker.reclaim("q", [b"a"]) == ["a"]
    assert (await dump(redis))["asynq:{q}:pending"] == ["a"]
