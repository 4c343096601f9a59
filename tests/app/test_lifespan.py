"""The lifespan of an app: around all that its servers do, and what it yields is given to tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any

import pytest

from asynq_py import (
    App,
    AsynqError,
    Depends,
    InvalidOptionError,
    Router,
    Server,
    ServerStateError,
    Shared,
    current_app_state,
    injected,
)
from tests.app.test_app import serving

AWAY = "redis://127.0.0.1:1/0"


@dataclass
class Pools:
    log: list[str] = field(default_factory=list)


async def test_tasks_share_what_the_lifespan_yields_from_before_the_first_until_after_the_last(
    redis_url: str,
) -> None:
    log: list[str] = []

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[Pools]:
        log.append("open")
        yield Pools(log)
        log.append("close")

    app = App(redis_url, lifespan=lifespan, retention=60)

    def from_pools(pools: Shared[Pools]) -> str:
        pools.log.append("source")
        return "from pools"

    @app.task
    async def by_annotation(
        pools: Shared[Pools] = injected, of: Annotated[str, Depends(from_pools)] = injected
    ) -> str:
        pools.log.append("annotation")
        return of

    @app.task
    def anywhere() -> None:
        current_app_state(Pools).log.append("thread")

    async with app:
        async with serving(app):
            assert await (await by_annotation.enqueue()).result(timeout=10) == "from pools"
            await (await anywhere.enqueue()).result(timeout=10)
            assert log == ["open", "source", "annotation", "thread"]
        assert log[-1] == "close"
        with pytest.raises(AsynqError, match="no state here"):
            current_app_state()


async def test_each_server_has_its_own_and_a_running_task_keeps_it_open(redis_url: str) -> None:
    opened: list[Pools] = []
    begun, let_end = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[Pools]:
        pools = Pools(["open"])
        opened.append(pools)
        yield pools
        pools.log.append("closed")

    app = App(redis_url, lifespan=lifespan, retention=60)

    @app.task
    async def work(pools: Shared[Pools] = injected) -> None:
        begun.set()
        await let_end.wait()
        pools.log.append("worked")

    async with app:
        server = serving(app)
        async with serving(app):
            async with server:
                assert len(opened) == 2
                assert opened[0] is not opened[1]
                handle = await work.enqueue()
                await asyncio.wait_for(begun.wait(), 20)
                ending = asyncio.create_task(server.shutdown())
                let_end.set()
            await ending
            await handle.result(timeout=10)
    assert sorted(pools.log for pools in opened) == [["open", "closed"], ["open", "worked", "closed"]]


async def test_an_error_in_it_ends_the_start_with_one_readable_line(redis_url: str) -> None:
    @asynccontextmanager
    async def lifespan() -> AsyncIterator[Pools]:
        raise KeyError("DATABASE_URL")
        yield Pools()

    app = App(redis_url, lifespan=lifespan)
    line = "the lifespan failed before the first task: KeyError: 'DATABASE_URL'"
    with pytest.raises(ServerStateError, match=line):
        await app.server(handle_signals=False).serve()
    with pytest.raises(ServerStateError, match=line):
        async with app.server():
            pytest.fail("it must not begin")


async def test_an_error_at_its_end_is_told(redis_url: str) -> None:
    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        yield
        raise OSError("cannot close")

    with pytest.raises(
        ServerStateError, match="the lifespan failed after the last task: OSError: cannot close"
    ):
        async with App(redis_url, lifespan=lifespan).server():
            pass


async def test_what_the_lifespan_itself_may_hold_open_is_no_trouble(redis_url: str) -> None:
    @asynccontextmanager
    async def lifespan() -> AsyncIterator[str]:
        async with asyncio.TaskGroup() as group, asyncio.timeout(60):
            beside = group.create_task(asyncio.Event().wait())
            yield "state"
            beside.cancel()

    app = App(redis_url, lifespan=lifespan, retention=60)

    @app.task
    async def work(state: Shared[str] = injected) -> str:
        return state

    async with app, serving(app):
        assert await (await work.enqueue()).result(timeout=10) == "state"


@pytest.mark.parametrize("swallows", [False, True])
async def test_a_server_that_is_to_end_does_not_wait_for_what_is_being_opened(
    redis_url: str, swallows: bool
) -> None:
    entering, ended = asyncio.Event(), list[str]()

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        entering.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            if not swallows:
                raise
        yield
        ended.append("left")

    server = App(redis_url, lifespan=lifespan).server(handle_signals=False)
    serving = asyncio.create_task(server.serve())
    await asyncio.wait_for(entering.wait(), 20)
    await server.shutdown()
    await serving
    assert ended == ["cancelled", *["left"] * swallows]


async def test_to_give_up_starting_ends_the_server(redis_url: str) -> None:
    entering = asyncio.Event()

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        entering.set()
        await asyncio.Event().wait()
        yield

    server = App(redis_url, lifespan=lifespan).server()
    starting = asyncio.create_task(server.start())
    await asyncio.wait_for(entering.wait(), 20)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    await server.wait_closed()


async def test_a_state_of_another_class_is_refused_before_the_first_task(redis_url: str) -> None:
    @asynccontextmanager
    async def lifespan() -> AsyncIterator[str]:
        yield "no pools"

    app = App(redis_url, lifespan=lifespan)
    router = Router("shop")

    def below(pools: Shared[Pools]) -> Pools:
        return pools

    @router.task
    async def work(of: Annotated[Pools, Depends(below)] = injected) -> None: ...

    app.include(router)
    with pytest.raises(ServerStateError, match="yields Pools, which task 'shop:work' asks for"):
        async with app.server():
            pytest.fail("it must not begin")
    with pytest.raises(InvalidOptionError, match="lifespan='str'"):
        async with app.lifespan():
            pytest.fail("nor this")


def test_an_app_whose_tasks_ask_for_a_state_needs_a_lifespan() -> None:
    app = App(AWAY)

    @app.task
    async def work(of: Shared[Pools] = injected) -> None: ...

    with pytest.raises(InvalidOptionError, match="one for the state that 'work' asks for"):
        app.server()
    with app.override(current_app_state, Pools):
        app.server()
    with pytest.raises(InvalidOptionError, match="lifespan=5"):
        App(AWAY, lifespan=5)  # type: ignore[arg-type]  # that is the point


async def test_direct_calls_and_servers_of_ones_own_share_it_in_a_block(redis_url: str) -> None:
    @asynccontextmanager
    async def lifespan() -> AsyncIterator[Pools]:
        yield Pools()

    app = App(redis_url, lifespan=lifespan, retention=60)

    @app.task
    async def work(pools: Shared[Pools] = injected) -> int:
        pools.log.append("worked")
        return len(pools.log)

    with pytest.raises(AsynqError, match=r"async with app\.lifespan"):
        await work()
    async with app.lifespan() as pools:
        assert pools is current_app_state()
        assert await work() == 1
        async with app, Server(redis_url, app.mux(), poll_interval=0.05):
            assert await (await work.enqueue()).result(timeout=10) == 2
        with pytest.raises(AsynqError, match="yields Pools, not str"):
            current_app_state(str)
    with pytest.raises(AsynqError, match="no state here"):
        current_app_state()
    with pytest.raises(InvalidOptionError, match="lifespan=None"):
        async with App(AWAY).lifespan():
            pass


async def test_a_server_without_an_app_may_have_one_too(redis_url: str) -> None:
    @asynccontextmanager
    async def lifespan() -> AsyncIterator[list[str]]:
        yield log
        log.append("closed")

    log: list[str] = []
    app = App(redis_url, retention=60)

    @app.task
    async def work() -> None:
        current_app_state(list).append("worked")

    async with (
        app,
        Server(redis_url, app.mux(), lifespan=lifespan, poll_interval=0.05).replace(concurrency=2),
    ):
        await (await work.enqueue()).result(timeout=10)
    assert log == ["worked", "closed"]


async def _bare() -> AsyncIterator[None]:
    yield


@asynccontextmanager
async def _of_an_app(app: App) -> AsyncIterator[None]:
    yield


@pytest.mark.parametrize(
    ("lifespan", "problem"), [(_bare, "decorate it"), (_of_an_app, "without parameters")]
)
def test_a_lifespan_that_could_not_be_entered_is_refused_at_once(lifespan: Any, problem: str) -> None:
    with pytest.raises(InvalidOptionError, match=problem):
        App(AWAY, lifespan=lifespan)
    with pytest.raises(InvalidOptionError, match=problem):
        Server(AWAY, App(AWAY).mux(), lifespan=lifespan)
