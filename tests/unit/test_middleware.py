"""A list of middleware, folded around a handler."""

from __future__ import annotations

import pytest

from asynq_py import ActiveTask, AsyncHandler, InvalidOptionError, Middleware
from asynq_py.middleware import fold
from tests.unit.tries import active_task


def _tracing(name: str, trace: list[str]) -> Middleware:
    async def middleware(task: ActiveTask, call_next: AsyncHandler) -> None:
        trace.append(f"{name} in")
        try:
            await call_next(task)
        finally:
            trace.append(f"{name} out")

    return middleware


async def test_the_first_is_the_outermost() -> None:
    trace: list[str] = []

    async def handler(task: ActiveTask) -> None:
        trace.append(task.type)

    await fold([_tracing("a", trace), _tracing("b", trace)], handler)(active_task())
    assert trace == ["a in", "b in", "t", "b out", "a out"]


async def test_an_error_passes_through_all() -> None:
    trace: list[str] = []

    async def handler(task: ActiveTask) -> None:
        raise KeyError("boom")

    with pytest.raises(KeyError):
        await fold([_tracing("a", trace), _tracing("b", trace)], handler)(active_task())
    assert trace == ["a in", "b in", "b out", "a out"]


async def test_a_middleware_may_answer_by_itself_or_call_again() -> None:
    calls: list[str] = []

    async def handler(task: ActiveTask) -> None:
        calls.append(task.type)

    async def skip(task: ActiveTask, call_next: AsyncHandler) -> None:
        pass

    async def twice(task: ActiveTask, call_next: AsyncHandler) -> None:
        await call_next(task)
        await call_next(task)

    await fold([skip], handler)(active_task())
    assert calls == []
    await fold([twice], handler)(active_task())
    assert calls == ["t", "t"]


async def test_no_middleware_leaves_the_handler_as_it_is() -> None:
    async def handler(task: ActiveTask) -> None: ...

    assert fold([], handler) is handler


async def test_a_plain_function_is_told_what_it_should_be() -> None:
    async def handler(task: ActiveTask) -> None: ...

    def plain(task: ActiveTask, call_next: AsyncHandler) -> None: ...

    with pytest.raises(InvalidOptionError, match=r"plain.*async def"):
        await fold([plain], handler)(active_task())  # type: ignore[list-item]
