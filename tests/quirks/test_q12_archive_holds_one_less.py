"""Q-12: the archive of 10 000 held 9 999."""

import pytest
from redis.asyncio import Redis

from asynq_py.broker.broker import Broker, Owned
from asynq_py.wire import limits
from tests.state import NOW, dump, kept, lease, message_of, seed, state


async def test_q12_an_archive_holds_as_many_as_it_says(
    broker: Broker, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "ARCHIVE_SIZE", 3)
    await seed(redis, state(archived=[kept("a", NOW - 2), kept("b", NOW - 1)], active=[kept("c", lease(7))]))

    await broker.archive("q", [(Owned("c", 7), message_of("c"))])

    kept_ids = (await dump(redis))["asynq:{q}:archived"]
    assert set(kept_ids) == {"a", "b", "c"}


def test_q12_the_archive_is_as_large_as_go_means_it_to_be() -> None:
    assert limits.ARCHIVE_SIZE == 10_000
