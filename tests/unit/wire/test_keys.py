"""Every key, against those that asynq (Go) uses. Wire format 2 and 14."""

from __future__ import annotations

import pytest

from asynq_py.wire import keys
from asynq_py.wire.keys import QueueKeys

DEFAULT = QueueKeys("default")
NOON = 1704196800.0  # 2024-01-02 12:00 UTC


@pytest.mark.parametrize(
    ("key", "golden"),
    [
        (keys.QUEUES, "asynq:queues"),
        (keys.SERVERS, "asynq:servers"),
        (keys.WORKERS, "asynq:workers"),
        (keys.CANCEL_CHANNEL, "asynq:cancel"),
        (keys.server("h:1:s"), "asynq:servers:{h:1:s}"),
        (keys.workers("h:1:s"), "asynq:workers:{h:1:s}"),
        (DEFAULT.prefix, "asynq:{default}:"),
        (DEFAULT.task("id1"), "asynq:{default}:t:id1"),
        (DEFAULT.group("g1"), "asynq:{default}:g:g1"),
        (DEFAULT.pending, "asynq:{default}:pending"),
        (DEFAULT.active, "asynq:{default}:active"),
        (DEFAULT.lease, "asynq:{default}:lease"),
        (DEFAULT.scheduled, "asynq:{default}:scheduled"),
        (DEFAULT.retry, "asynq:{default}:retry"),
        (DEFAULT.archived, "asynq:{default}:archived"),
        (DEFAULT.completed, "asynq:{default}:completed"),
        (DEFAULT.groups, "asynq:{default}:groups"),
        (DEFAULT.paused, "asynq:{default}:paused"),
        (DEFAULT.processed, "asynq:{default}:processed"),
        (DEFAULT.failed, "asynq:{default}:failed"),
        (DEFAULT.processed_on(NOON), "asynq:{default}:processed:2024-01-02"),
        (DEFAULT.failed_on(NOON), "asynq:{default}:failed:2024-01-02"),
        (DEFAULT.unique("t", None), "asynq:{default}:unique:t:"),
        (DEFAULT.unique("t", b""), "asynq:{default}:unique:t:d41d8cd98f00b204e9800998ecf8427e"),
        (
            DEFAULT.unique("email:send", b'{"user_id":42}'),
            "asynq:{default}:unique:email:send:1181f89307fa271072c095747d5813cc",
        ),
    ],
)
def test_a_key_is_named_as_in_go(key: str, golden: str) -> None:
    assert key == golden


@pytest.mark.parametrize(
    ("now", "day"), [(1704153599.9, "2024-01-01"), (1704153600.0, "2024-01-02")], ids=["before", "at"]
)
def test_the_day_of_a_counter_changes_at_midnight_utc(now: float, day: str) -> None:
    assert DEFAULT.processed_on(now).endswith(day)
    assert DEFAULT.failed_on(now).endswith(day)
