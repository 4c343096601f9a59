"""Context variables go with a task, if the app is asked to carry them."""

from __future__ import annotations

import logging
from contextvars import ContextVar
from typing import Any

import pytest

from asynq_py import App, InvalidOptionError, PayloadError, Router, Task
from tests.app.test_app import serving

AWAY = "redis://127.0.0.1:1/0"

tenant: ContextVar[str] = ContextVar("tenant")
trail: ContextVar[Any] = ContextVar("trail", default=None)


def seen() -> tuple[str, Any]:
    return tenant.get("nobody"), trail.get()


@pytest.mark.parametrize("is_plain", [False, True])
async def test_a_handler_finds_what_was_set_where_the_task_was_enqueued(
    redis_url: str, is_plain: bool
) -> None:
    app, router = App(redis_url, carry=[tenant, trail], retention=60), Router("r")

    async def work() -> list[Any]:
        return list(seen())

    def plain_work() -> list[Any]:
        return list(seen())

    task = router.task(plain_work if is_plain else work)
    app.include(router)
    async with app, serving(app):
        token, other = tenant.set("äcme"), trail.set([1, {"a": None}])
        handle = await task.enqueue()
        tenant.reset(token)
        trail.reset(other)
        assert await handle.result(timeout=10) == ["äcme", [1, {"a": None}]]
        assert (await handle.info()).headers == {
            "asynq-py-context": '{"tenant":"äcme","trail":[1,{"a":null}]}'
        }
        assert await (await task.enqueue()).result(timeout=10) == ["nobody", None]


async def test_what_is_not_asked_for_is_not_carried(redis_url: str) -> None:
    app = App(redis_url, retention=60)

    @app.task
    async def work() -> str:
        return tenant.get("nobody")

    token = tenant.set("acme")
    task = work.task()
    tenant.reset(token)
    assert task.headers == {}


def test_what_json_cannot_hold_or_is_too_much_is_an_error_at_once() -> None:
    app = App(AWAY, carry=[trail])

    @app.task
    async def work() -> None: ...

    for value, problem in [(object(), "JSON cannot hold"), ("x" * 5000, "of which 4096 are allowed")]:
        token = trail.set(value)
        with pytest.raises(PayloadError, match=problem):
            work.task()
        trail.reset(token)


@pytest.mark.parametrize("text", ["{", "[]", '{"other":1}'])
async def test_a_header_that_is_not_in_order_harms_no_task(
    redis_url: str, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    app = App(redis_url, carry=[tenant], retention=60)

    @app.task
    async def work() -> str:
        return tenant.get("nobody")

    async with app, serving(app):
        info = await app.client.enqueue(Task("work", {}, headers={"asynq-py-context": text}), retention=60)
        assert await work.handle(info.id).result(timeout=10) == "nobody"
    told = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(told) == (text != '{"other":1}')


@pytest.mark.parametrize("carry", [["tenant"], [tenant, ContextVar("tenant")], tenant, "tenant"])
def test_only_context_variables_of_different_names_are_carried(carry: Any) -> None:
    with pytest.raises(InvalidOptionError, match="carry="):
        App(AWAY, carry=carry)
