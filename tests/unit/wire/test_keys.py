"""Every key, against those that asynq (Go) uses. Wire format 2 and 14."""

from __future__ import annotations

import pytest

from asynq_py.connection.cluster import slot_of
from asynq_py.wire import keys
from asynq_py.wire.keys import LimitKeys, QueueKeys

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


def test_the_semaphore_of_a_scope_is_named_as_in_go() -> None:
    assert keys.semaphore("mail") == "asynq:sema:mail"


def test_all_keys_of_a_limit_are_in_one_slot_of_a_cluster() -> None:
    for key in ("", "acme", "}", "{", "a}b{c}", "é", "x" * 300, "\ud800"):
        k = LimitKeys("mail", key)
        names = [k.tokens, k.turns, k.holds, k.pace, *map(keys.line, (k.tokens, k.turns, k.holds))]
        assert len({slot_of(name) for name in names}) == 1, key
        assert len(set(names)) == 7


def test_the_keys_of_a_limit_differ_from_those_of_any_other() -> None:
    pairs = [("a", "b"), ("a", ""), ("a", "*"), ("a:", "b"), ("a", ":b"), ("a", "#"), ("a", "x" * 300)]
    assert len({LimitKeys(*pair).turns for pair in pairs}) == len(pairs)
    assert LimitKeys("a", "b").turns == "asynq:limit:a:{=b}:turns"
    assert LimitKeys("a").turns == "asynq:limit:a:{*}:turns"


def test_a_long_key_is_stored_as_its_digest() -> None:
    assert len(LimitKeys("a", "x" * 100_000).turns) < 100
    assert LimitKeys("a", "x" * 300).turns != LimitKeys("a", "x" * 301).turns
