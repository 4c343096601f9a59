"""What functions are given beside their payload: made for each try, shared in it, and closed after it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, NewType

import pytest

from asynq_py import (
    ActiveTask,
    App,
    AsynqError,
    Depends,
    InvalidOptionError,
    PayloadError,
    RevokeTask,
    Router,
    Server,
    Task,
    TaskFailedError,
    TaskState,
    current_task,
    injected,
)
from tests.app.test_app import serving
from tests.eventually import eventually

AWAY = "redis://127.0.0.1:1/0"


class Session:
    """Stands for what is opened for a try. No JSON could hold it."""

    def __init__(self, log: list[str]) -> None:
        self.log = log


@dataclass
class Order:
    number: int


def text() -> str:
    return "text"


async def later() -> str:
    return "later"


def yielding() -> Iterator[str]:
    yield "yielding"


async def yielding_later() -> AsyncIterator[str]:
    yield "yielding later"


@contextmanager
def managing() -> Iterator[str]:
    yield "managing"


@asynccontextmanager
async def managing_later() -> AsyncIterator[str]:
    yield "managing later"


class Made:
    def __init__(self, of: Annotated[str, Depends(text)]) -> None:
        self.of = of

    def __str__(self) -> str:
        return f"made of {self.of}"


class Caller:
    def __call__(self, of: Annotated[str, Depends(later)]) -> str:
        return f"called with {of}"


class LaterCaller:
    async def __call__(self) -> str:
        return "called later"


SOURCES: list[tuple[Callable[..., Any], str]] = [
    (text, "text"),
    (later, "later"),
    (yielding, "yielding"),
    (yielding_later, "yielding later"),
    (managing, "managing"),
    (managing_later, "managing later"),
    (Made, "made of text"),
    (Caller(), "called with later"),
    (LaterCaller(), "called later"),
    (partial(lambda a, b="": f"{a}{b}", "part", b="ial"), "partial"),
    (lambda: later(), "later"),
    (dict, "{}"),
]


@pytest.mark.parametrize(("source", "value"), SOURCES)
async def test_a_value_comes_from_whatever_can_be_called(
    redis_url: str, source: Callable[..., Any], value: str
) -> None:
    app = App(redis_url, retention=60)

    @app.task
    async def work(n: int, given: Annotated[Any, Depends(source)] = injected) -> str:
        return f"{n} {given}"

    async with app, serving(app):
        handle = await work.enqueue(1)
        assert await handle.result(timeout=10) == f"1 {value}"
        assert json.loads((await handle.info()).payload) == {"n": 1}
    assert await work(2) == f"2 {value}"


@pytest.mark.parametrize(("source", "value"), SOURCES[:-2])
async def test_plain_functions_are_given_the_same(
    redis_url: str, source: Callable[..., Any], value: str
) -> None:
    app = App(redis_url, retention=60)

    @app.task
    def work(n: int, given: Annotated[Any, Depends(source)] = injected) -> str:
        return f"{n} {given}"

    async with app, serving(app):
        assert await (await work.enqueue(1)).result(timeout=10) == f"1 {value}"


async def test_a_default_may_be_the_mark(redis_url: str) -> None:
    app = App(redis_url, retention=60)

    @app.task
    async def work(n: int, *, given: str = Depends(later)) -> str:  # that is the point
        return f"{n} {given}"

    async with app, serving(app):
        assert await (await work.enqueue(1)).result(timeout=10) == "1 later"


async def test_a_model_is_still_the_whole_payload(redis_url: str) -> None:
    app = App(redis_url, retention=60)

    @app.task
    async def place(order: Order, given: Annotated[str, Depends(text)] = injected) -> str:
        return f"{order.number} {given}"

    async with app, serving(app):
        handle = await place.enqueue(Order(7))
        assert await handle.result(timeout=10) == "7 text"
        assert json.loads((await handle.info()).payload) == {"number": 7}


async def test_one_value_is_made_for_a_try_however_many_ask(redis_url: str) -> None:
    app = App(redis_url, retention=60)
    made: list[object] = []

    def shared() -> object:
        made.append(object())
        return made[-1]

    async def first(of: Annotated[object, Depends(shared)]) -> object:
        return of

    def second(of: Annotated[object, Depends(shared)], other: Annotated[object, Depends(first)]) -> bool:
        return of is other

    @app.task
    async def work(
        same: Annotated[bool, Depends(second)] = injected, of: Annotated[object, Depends(shared)] = injected
    ) -> bool:
        return same and of is made[-1]

    async with app, serving(app):
        assert await (await work.enqueue()).result(timeout=10)
        assert await (await work.enqueue()).result(timeout=10)
    assert len(made) == 2


async def test_what_is_opened_last_is_closed_first_before_the_outcome_is_written(redis_url: str) -> None:
    app = App(redis_url, retention=60)
    log: list[str] = []

    async def outer() -> AsyncIterator[str]:
        log.append("open outer")
        yield "outer"
        log.append("close outer")

    def inner(of: Annotated[str, Depends(outer)]) -> Iterator[str]:
        log.append(f"open inner of {of}")
        yield "inner"
        log.append("close inner")

    @app.task
    async def work(given: Annotated[str, Depends(inner)] = injected) -> None:
        log.append(f"work with {given}")

    async with app, serving(app):
        await (await work.enqueue()).result(timeout=10)
        assert log == ["open outer", "open inner of outer", "work with inner", "close inner", "close outer"]


class Boom(Exception):
    pass


@pytest.mark.parametrize("is_plain", [False, True])
async def test_what_is_open_is_told_of_the_error_and_cannot_swallow_it(
    redis_url: str, is_plain: bool
) -> None:
    app = App(redis_url)
    log: list[str] = []

    async def outer() -> AsyncIterator[None]:
        try:
            yield
        except Boom as error:
            log.append(f"outer: {error}")

    def inner(of: Annotated[None, Depends(outer)]) -> Iterator[None]:
        try:
            yield
        except Boom as error:
            log.append(f"inner: {error}")

    async def work(given: Annotated[None, Depends(inner)] = injected) -> None:
        raise Boom("told")

    def plain_work(given: Annotated[None, Depends(inner)] = injected) -> None:
        raise Boom("told")

    task = app.task(max_retry=0)(plain_work if is_plain else work)
    async with app, serving(app):
        handle = await task.enqueue()
        info = await eventually(handle.info, lambda info: info.state is TaskState.ARCHIVED)
    assert info.last_error == "Boom: told"
    assert log == ["inner: told", "outer: told"]


async def test_an_error_of_what_closes_fails_the_try(redis_url: str) -> None:
    app = App(redis_url, retention=60)

    async def commit() -> AsyncIterator[None]:
        yield
        raise Boom("not committed")

    @app.task(max_retry=0)
    async def work(given: Annotated[None, Depends(commit)] = injected) -> str:
        return "done"

    async with app, serving(app):
        with pytest.raises(TaskFailedError, match="not committed"):
            await (await work.enqueue()).result(timeout=10)


async def test_a_source_that_fails_leaves_nothing_open_and_may_say_what_becomes_of_the_task(
    redis_url: str,
) -> None:
    app = App(redis_url)
    log: list[str] = []

    def outer() -> Iterator[None]:
        try:
            yield
        finally:
            log.append("closed")

    async def refusing(of: Annotated[None, Depends(outer)]) -> None:
        raise RevokeTask

    @app.task
    async def work(given: Annotated[None, Depends(refusing)] = injected) -> None:
        log.append("never")

    async with app, serving(app):
        await work.enqueue()
        await eventually(lambda: app.inspector.queue_info("default"), lambda queue: queue.processed == 1)
        assert (await app.inspector.queue_info("default")).size == 0
    assert log == ["closed"]


@pytest.mark.parametrize("how", ["timeout", "cancel", "shutdown"])
async def test_what_closes_may_wait_although_the_try_is_cancelled(redis_url: str, how: str) -> None:
    """A cancelation is repeated every tenth of a second, and more; not while something is being closed."""
    app = App(redis_url)
    begun, seen = asyncio.Event(), list[str]()

    async def session() -> AsyncIterator[None]:
        try:
            yield
        except asyncio.CancelledError:
            reason = current_task().cancel_reason
            await asyncio.sleep(0.5)  # a rollback takes its time
            seen.append(f"rolled back: {reason}")
            raise

    @app.task(timeout=1 if how == "timeout" else 60, max_retry=0)
    async def work(given: Annotated[None, Depends(session)] = injected) -> None:
        begun.set()
        await asyncio.Event().wait()

    async with app, app.server(cancel_grace=10, shutdown_timeout=0) as server:
        handle = await work.enqueue()
        await asyncio.wait_for(begun.wait(), 20)
        if how == "cancel":
            await handle.cancel()
        if how == "shutdown":
            await server.shutdown()
            assert await handle.status() is TaskState.PENDING
        else:
            await eventually(handle.status, lambda state: state is TaskState.ARCHIVED)
    assert seen == [f"rolled back: {'cancelled' if how == 'cancel' else how}"]


async def test_what_closes_is_cancelled_again_when_the_grace_is_over(redis_url: str) -> None:
    app = App(redis_url)

    async def session() -> AsyncIterator[None]:
        try:
            yield
        finally:
            await asyncio.Event().wait()

    @app.task(timeout=1, max_retry=0)
    async def work(given: Annotated[None, Depends(session)] = injected) -> None:
        await asyncio.Event().wait()

    async with app, app.server(cancel_grace=0.3):
        handle = await work.enqueue()
        await eventually(handle.status, lambda state: state is TaskState.ARCHIVED)


async def test_a_plain_function_meets_what_was_opened_in_its_own_thread(redis_url: str) -> None:
    app = App(redis_url, retention=60)
    threads: dict[str, int] = {}

    async def pool() -> AsyncIterator[str]:
        threads["pool"] = threading.get_ident()
        yield "pool"
        threads["pool closed"] = threading.get_ident()

    def session(of: Annotated[str, Depends(pool)]) -> Iterator[str]:
        threads["session"] = threading.get_ident()
        yield f"session of {of}"
        threads["session closed"] = threading.get_ident()

    @app.task
    def work(given: Annotated[str, Depends(session)] = injected) -> str:
        threads["work"] = threading.get_ident()
        return given

    async with app, serving(app):
        assert await (await work.enqueue()).result(timeout=10) == "session of pool"
    assert threads["pool"] == threads["pool closed"] == threading.get_ident()
    assert threads["session"] == threads["session closed"] == threads["work"] != threading.get_ident()


async def test_the_task_itself_is_a_source(redis_url: str) -> None:
    app = App(redis_url, retention=60)

    def tenant(task: Annotated[ActiveTask, Depends(current_task)]) -> str:
        return task.headers["tenant"]

    @app.task
    async def work(of: Annotated[str, Depends(tenant)] = injected) -> str:
        return of

    async with app, serving(app):
        assert await (await work.options(headers={"tenant": "acme"}).enqueue()).result(timeout=10) == "acme"


# -- direct calls -------------------------------------------------------------------------------------------


async def test_a_direct_call_takes_what_is_given_and_makes_only_the_rest() -> None:
    app = App(AWAY)
    made: list[str] = []

    def one() -> str:
        made.append("one")
        return "one"

    async def two(of: Annotated[str, Depends(one)]) -> str:
        made.append("two")
        return "two"

    @app.task
    async def work(
        n: int, a: Annotated[str, Depends(one)] = injected, b: Annotated[str, Depends(two)] = injected
    ) -> str:
        return f"{n} {a} {b}"

    assert await work(1, a="A", b="B") == "1 A B"
    assert await work(1, "A", "B") == "1 A B"
    assert made == []
    assert await work(1, b="B") == "1 one B"
    assert made == ["one"]
    assert await work(1, a="A") == "1 A two"
    assert made == ["one", "one", "two"]


async def test_a_direct_call_closes_what_it_opened_with_the_error() -> None:
    app = App(AWAY)
    log: list[str] = []

    async def session() -> AsyncIterator[None]:
        try:
            yield
        except Boom:
            log.append("rolled back")
            raise

    @app.task
    async def work(given: Annotated[None, Depends(session)] = injected) -> None:
        raise Boom

    with pytest.raises(Boom):
        await work()
    assert log == ["rolled back"]


def test_a_direct_call_of_a_plain_function_needs_no_loop_or_says_that_it_does() -> None:
    app = App(AWAY)

    @app.task
    def fine(given: Annotated[str, Depends(yielding)] = injected) -> str:
        return given

    @app.task
    def not_fine(given: Annotated[str, Depends(later)] = injected) -> str:
        return given

    @app.task
    def not_fine_either(given: Annotated[str, Depends(lambda: later())] = injected) -> str:
        return given

    assert fine() == "yielding"
    assert not_fine(given="a") == "a"
    with pytest.raises(AsynqError, match=r"later needs an event loop, .* pass what depends on it"):
        not_fine()
    with pytest.raises(AsynqError, match="must be awaited: make it a coroutine function"):
        not_fine_either()


def test_what_only_type_checkers_know_does_not_keep_a_function_from_being_called() -> None:
    app = App(AWAY)

    @app.task
    def work(n: Elsewhere) -> int:  # type: ignore[name-defined]  # noqa: F821  # that is the point
        return int(n) + 1

    assert work(1) == 2


@pytest.mark.parametrize("call", [lambda task: task.task(1, given="a"), lambda task: task.task(1, "a")])
def test_what_is_injected_cannot_be_enqueued(call: Callable[[Any], object]) -> None:
    app = App(AWAY)

    @app.task
    async def work(n: int, given: Annotated[str, Depends(text)] = injected) -> None: ...

    with pytest.raises(PayloadError, match="work: given: it is injected where the task runs") as caught:
        call(work)
    assert isinstance(caught.value, TypeError)
    assert caught.value.argument == "given"


async def test_a_payload_cannot_bring_what_is_injected(redis_url: str) -> None:
    app = App(redis_url)

    @app.task
    async def work(n: int, given: Annotated[str, Depends(text)] = injected) -> None: ...

    async with app, serving(app):
        sent = await app.client.enqueue(Task("work", {"n": 1, "given": "a"}))
        handle = work.handle(sent.id)
        info = await eventually(handle.info, lambda info: info.state is TaskState.ARCHIVED)
    assert info.last_error == "the payload does not fit: work: given: there is no such argument; it takes n"


# -- registration -------------------------------------------------------------------------------------------


def circle_a(b: Annotated[int, Depends(lambda b: 0)] = 0) -> int:
    return b


def circle_b(a: Annotated[int, Depends(circle_a)]) -> int:
    return a


circle_a.__annotations__["b"] = Annotated[int, Depends(circle_b)]


def needy(n: int) -> int:
    return n


def needy_below(n: Annotated[int, Depends(needy)]) -> int:
    return n


def _circular(given: Annotated[int, Depends(circle_a)] = injected) -> None: ...
def _needy(given: Annotated[int, Depends(needy)] = injected) -> None: ...
def _needy_below(given: Annotated[int, Depends(needy_below)] = injected) -> None: ...
def _unmarked(given: int = injected) -> None: ...
def _by_place(given: Annotated[int, Depends(text)], /) -> None: ...
def _many(*given: Annotated[int, Depends(text)]) -> None: ...
def _within(given: Annotated[int, Depends(text)] | None = None) -> None: ...
def _not_called(given: int = Depends) -> None: ...  # type: ignore[assignment]  # that is the point


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (_circular, "circle_a → circle_b → circle_a"),
        (_needy, r"needy\(n\)"),
        (_needy_below, r"needy\(n\)"),
        (_unmarked, "injected with an Annotated"),
        (_by_place, "can be passed by name"),
        (_many, "can be passed by name"),
        (_within, "around the whole annotation"),
        (_not_called, "called with the function that gives it"),
    ],
)
def test_what_cannot_be_injected_is_refused_where_it_is_declared(
    function: Callable[..., Any], problem: str
) -> None:
    with pytest.raises(InvalidOptionError, match=problem):
        App(AWAY).task(function)


def test_a_source_must_be_callable() -> None:
    with pytest.raises(InvalidOptionError, match="Depends='text'"):
        Depends("text")  # type: ignore[arg-type]  # that is the point


def test_a_process_is_given_nothing() -> None:
    with pytest.raises(InvalidOptionError, match="without injected parameters, such as given"):
        App(AWAY).task(executor="process")(_needy_free)


def _needy_free(given: Annotated[str, Depends(text)] = injected) -> None: ...


async def test_annotations_may_come_later_and_cycles_are_refused_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = App(AWAY)

    @app.task
    async def work(given: "Later" = injected) -> str:  # type: ignore[name-defined]  # noqa: F821, UP037
        return str(given)

    monkeypatch.setitem(globals(), "Later", Annotated[int, Depends(circle_a)])
    with pytest.raises(InvalidOptionError, match="circle_a → circle_b → circle_a"):
        app.mux()
    monkeypatch.setitem(globals(), "Later", Annotated[str, Depends(text)])
    assert await work() == "text"


def test_a_new_type_or_optional_is_only_what_it_is() -> None:
    Id = NewType("Id", int)
    app = App(AWAY)

    @app.task
    async def work(n: Id, given: Annotated[str | None, Depends(text)] = None) -> None: ...

    assert work.task(Id(1)).payload == b'{"n":1}'


# -- overrides ----------------------------------------------------------------------------------------------


async def test_a_source_can_be_replaced_while_the_server_runs(redis_url: str) -> None:
    app, router = App(redis_url, retention=60), Router("r")

    async def fake(of: Annotated[str, Depends(yielding)]) -> str:
        return f"fake, {of}"

    def nested(of: Annotated[str, Depends(text)]) -> str:
        return f"of {of}"

    @router.task
    async def work(given: Annotated[str, Depends(nested)] = injected) -> str:
        return given

    app.include(router)
    async with app, serving(app):
        assert await (await work.enqueue()).result(timeout=10) == "of text"
        with app.override(text, fake):
            assert await (await work.enqueue()).result(timeout=10) == "of fake, yielding"
            with app.override(text, lambda: "faker"):
                assert await work() == "of faker"
            assert await work() == "of fake, yielding"
            with app.override(nested, lambda: "whole"):
                assert await work() == "whole"
        assert await work() == "of text"


def test_an_override_that_could_not_work_is_refused() -> None:
    app = App(AWAY)
    with pytest.raises(InvalidOptionError, match="override=5"), app.override(text, 5):  # type: ignore[arg-type]
        pass
    with pytest.raises(InvalidOptionError, match=r"needy\(n\)"), app.override(text, needy):
        pass


async def test_an_override_that_needs_what_it_replaces_is_refused_where_it_is_used() -> None:
    app = App(AWAY)

    def fake(of: Annotated[str, Depends(text)]) -> str:
        return of

    @app.task
    async def work(given: Annotated[str, Depends(text)] = injected) -> str:
        return given

    with app.override(text, fake), pytest.raises(InvalidOptionError, match="do not need themselves"):
        await work()


async def test_two_servers_at_once_make_their_own(redis_url: str) -> None:
    app = App(redis_url, retention=60)
    open_now = {"most": 0, "now": 0}

    async def session() -> AsyncIterator[Session]:
        open_now["now"] += 1
        open_now["most"] = max(open_now.values())
        yield Session([])
        open_now["now"] -= 1

    @app.task
    async def work(n: int, given: Annotated[Session, Depends(session)] = injected) -> int:
        await asyncio.sleep(0)
        return n

    async with app, serving(app), Server(redis_url, app.mux(), poll_interval=0.05):
        handles = await work.enqueue_many(work.task(n) for n in range(20))
        results = [await handle.result(timeout=10) for handle in handles if not isinstance(handle, Exception)]
    assert results == list(range(20))
    assert open_now["now"] == 0
