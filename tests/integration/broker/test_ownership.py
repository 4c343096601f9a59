"""The rule of every script that ends a try: what somebody else owns by now is not touched at all."""

from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis

from asynq_py.broker.broker import Broker, Owned
from tests.state import NOW, State, dump, kept, lease, message_of, seed, state

LOCK = "asynq:{q}:unique:t:"
OURS = Owned("a", 7)
FIELDS = {"unique_key": LOCK, "result": "theirs", "crashes": 1}

ENDINGS: dict[str, Callable[[Broker], Awaitable[list[bool] | bool]]] = {
    "done": lambda broker: broker.done("q", [(OURS, LOCK)]),
    "complete": lambda broker: broker.complete("q", [(OURS, LOCK, message_of("a", completed_at=1), 5)]),
    "retry": lambda broker: broker.retry("q", [(OURS, message_of("a", retried=9), 5, True)]),
    "archive": lambda broker: broker.archive("q", [(OURS, message_of("a", error_msg="x"))]),
    "requeue": lambda broker: broker.requeue("q", [OURS]),
    "recover_owned": lambda broker: broker.recover_owned("q", [OURS]),
    "extend": lambda broker: broker.extend("q", [OURS], expires_at=int(NOW) + 500),
    "write_result": lambda broker: broker.write_result("q", "a", 7, b"ours"),
}
TAKEN: dict[str, State] = {
    "by another server": state(active=[kept("a", lease(8), fields=FIELDS)]),
    "by another fetch of this server": state(active=[kept("a", lease(7_000), fields=FIELDS)]),
    "by a Go worker": state(active=[kept("a", NOW + 30, fields=FIELDS)]),
    "by the recoverer": state(pending=[kept("a", fields=FIELDS)]),
    "to be tried again": state(retry=[kept("a", NOW + 5, fields=FIELDS)]),
    "and completed": state(completed=[kept("a", NOW + 5, fields=FIELDS)]),
    "and archived": state(archived=[kept("a", NOW - 8_000_000, fields=FIELDS)]),
    "and forgotten": {},
}


@pytest.mark.parametrize("taken", TAKEN)
@pytest.mark.parametrize("ending", ENDINGS)
async def test_a_stale_token_changes_nothing(broker: Broker, redis: Redis, ending: str, taken: str) -> None:
    before = TAKEN[taken] | state(locks={LOCK: "a"})
    await seed(redis, before)

    answer = await ENDINGS[ending](broker)

    assert answer in (False, [False])
    assert await dump(redis) == before


@pytest.mark.parametrize("ending", ["done", "complete", "retry", "archive", "requeue"])
async def test_a_lease_without_a_running_task_ends_nothing(broker: Broker, redis: Redis, ending: str) -> None:
    before = state(retry=[kept("a", NOW + 5)]) | {"asynq:{q}:lease": {"a": lease(7)}}
    await seed(redis, before)

    assert await ENDINGS[ending](broker) == [False]
    assert await dump(redis) == before


@pytest.mark.parametrize("ending", ENDINGS)
async def test_the_right_token_is_let_through(broker: Broker, redis: Redis, ending: str) -> None:
    await seed(redis, before := state(active=[kept("a", lease(7), fields=FIELDS)]))

    assert await ENDINGS[ending](broker) in (True, [True])
    assert await dump(redis) != before
