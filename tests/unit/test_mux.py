"""Which handler a task finds. Behaviour 10; trap 12."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asynq_py import ActiveTask, AsyncHandler, HandlerNotFoundError, InvalidOptionError, ServeMux
from tests.unit.tries import active_task


async def _nothing(task: ActiveTask) -> None: ...


def _mux(*patterns: str) -> ServeMux:
    mux = ServeMux()
    for pattern in patterns:
        mux.handle(pattern, _nothing)
    return mux


@pytest.mark.parametrize(
    ("task_type", "pattern"),
    [
        ("email:welcome", "email:welcome"),
        ("email:", "email:"),
        ("email:other", "email:"),
        ("email:welcome:2", "email:welcome"),
        ("emails", "email"),
        ("emai", ""),
        ("Email:welcome", ""),
        ("", ""),
    ],
)
def test_exact_beats_prefix_and_the_longest_prefix_wins(task_type: str, pattern: str) -> None:
    mux = _mux("email", "email:welcome", "email:")
    assert mux.find(task_type)[1] == pattern


@given(
    st.sets(st.text("ab:", min_size=1, max_size=4).filter(str.strip), max_size=8), st.text("ab:", max_size=6)
)
def test_the_match_is_the_longest_pattern_that_the_type_begins_with(
    patterns: set[str], task_type: str
) -> None:
    best = max((p for p in patterns if task_type.startswith(p)), key=len, default="")
    assert _mux(*patterns).find(task_type)[1] == best


async def test_the_decorator_registers_and_returns_the_function() -> None:
    mux, seen = ServeMux(), []

    @mux.handler("t")
    async def f(task: ActiveTask) -> None:
        seen.append(task.type)

    await mux(active_task("t"))
    assert seen == ["t"]
    assert mux.find("t")[0] is f


@pytest.mark.parametrize(
    ("pattern", "handler"), [("", _nothing), (" ", _nothing), (None, _nothing), ("t", _nothing), ("u", None)]
)
def test_a_blank_or_repeated_pattern_and_no_function_are_refused(pattern: Any, handler: Any) -> None:
    mux = _mux("t")
    with pytest.raises(InvalidOptionError, match=r"^(pattern|handler)="):
        mux.handle(pattern, handler)


def test_the_decorator_without_a_pattern_is_refused_at_once() -> None:
    decorator: Any = ServeMux().handler
    with pytest.raises(InvalidOptionError, match=r"^pattern=<function"):
        decorator(_nothing)


@pytest.mark.parametrize("layer", [None, 5, "trace", []])
def test_middleware_that_cannot_be_called_is_refused(layer: Any) -> None:
    with pytest.raises(InvalidOptionError, match=r"^middleware="):
        _mux("t").use(layer)


async def test_no_match_is_an_error_that_names_the_type() -> None:
    with pytest.raises(HandlerNotFoundError, match="handler not found for task 'unknown'"):
        await _mux("t")(active_task("unknown"))


async def test_middleware_wraps_every_handler_and_the_error_when_there_is_none() -> None:
    mux, seen = ServeMux(), []

    async def outer(task: ActiveTask, call_next: AsyncHandler) -> None:
        seen.append(f"outer {task.type}")
        await call_next(task)

    async def inner(task: ActiveTask, call_next: AsyncHandler) -> None:
        seen.append(f"inner {task.type}")
        await call_next(task)

    mux.handle("before", _nothing)
    mux.use(outer)
    mux.handle("after", _nothing)
    mux.use(inner)
    await mux(active_task("before"))
    await mux(active_task("after"))
    with pytest.raises(HandlerNotFoundError):
        await mux(active_task("unknown"))
    assert seen == [
        f"{layer} {type_}" for type_ in ("before", "after", "unknown") for layer in ("outer", "inner")
    ]


async def test_a_mux_is_a_handler_of_another_and_keeps_its_own_middleware() -> None:
    outer, inner, seen = ServeMux(), ServeMux(), []

    async def trace(task: ActiveTask, call_next: AsyncHandler) -> None:
        seen.append("middleware")
        await call_next(task)

    async def handler(task: ActiveTask) -> None:
        seen.append(task.type)

    outer.handle("email:", inner)
    inner.use(trace)  # what is added later counts, too
    inner.handle("email:welcome", handler)
    await outer(active_task("email:welcome"))
    assert seen == ["middleware", "email:welcome"]
    with pytest.raises(HandlerNotFoundError):
        await outer(active_task("email:other"))


def test_a_mux_that_leads_back_to_itself_is_refused() -> None:
    outer, middle, inner = ServeMux(), ServeMux(), ServeMux()
    outer.handle("a:", middle)
    middle.handle("a:b:", inner)
    for mux, handler in (
        (outer, outer),
        (inner, inner),
        (middle, outer),
        (inner, outer),
        (inner, outer.__call__),
    ):
        with pytest.raises(InvalidOptionError, match=r"^handler=.*a mux that does not lead back to this one"):
            mux.handle("a:b:c:", handler)
    assert inner.find("a:b:c:d")[1] == ""  # nothing was registered


async def test_one_mux_may_be_reached_by_several_ways() -> None:
    outer, middle, inner, seen = ServeMux(), ServeMux(), ServeMux(), []

    async def handler(task: ActiveTask) -> None:
        seen.append(task.type)

    inner.handle("a:", handler)
    middle.handle("a:x:", inner)
    outer.handle("a:", inner)
    outer.handle("a:x:", middle)
    await outer(active_task("a:1"))
    await outer(active_task("a:x:2"))
    assert seen == ["a:1", "a:x:2"]
