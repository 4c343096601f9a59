"""Which limit a task falls under."""

from __future__ import annotations

from typing import Any

import pytest

from asynq_py import InvalidOptionError
from asynq_py.ratelimit.key import key_of
from tests.unit.tries import active_task


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (None, ""),
        ("queue", "default"),
        ("type", "mail:send"),
        ("headers.k", "v"),
        ("headers.absent", ""),
        ("payload.account", "acme"),
        ("payload.user.id", "7"),
        ("payload.user.is_paying", "true"),
        ("payload.tags.1", "b"),
        ("payload.tags.2", ""),
        ("payload.tags.x", ""),
        ("payload.tags", '["a","b"]'),
        ("payload.user", '{"id":7,"is_paying":true}'),
        ("payload.nothing", ""),
        ("payload.absent", ""),
        ("payload.account.deeper", ""),
    ],
)
def test_a_key_is_taken_from_the_task(key: str | None, value: str) -> None:
    payload = (
        b'{"account":"acme","user":{"is_paying":true,"id":7},"tags":["a","b"],"nothing":null,"queue":"no"}'
    )
    assert key_of(key)(active_task("mail:send", payload)) == value


@pytest.mark.parametrize("payload", [b"", b"{", b"\xff", b"7", b'"account"', b"[" * 100_000])
def test_tasks_without_a_fitting_payload_share_one_limit(payload: bytes) -> None:
    assert key_of("payload.account")(active_task("t", payload)) == ""


@pytest.mark.parametrize(
    ("returned", "value"), [("x", "x"), (7, "7"), (None, None), (("a", 1), '["a",1]'), ({1}, "{1}")]
)
def test_a_function_tells_the_key_and_none_means_not_limited(returned: Any, value: str | None) -> None:
    assert key_of(lambda task: returned)(active_task()) == value


@pytest.mark.parametrize(
    "key", ["", "Queue", "queue.name", "type.", "payload", "payload.", "payload..a", "headers", "headers.", 7]
)
def test_what_is_no_key_is_refused(key: Any) -> None:
    with pytest.raises(InvalidOptionError, match=r'key=.*"payload.account.id"'):
        key_of(key)
