"""The states of a server and what leads from one to the next. Behaviour 4.1."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable

import pytest
from redis.asyncio import Redis

from asynq_py import (
    ActiveTask,
    BrokerError,
    BrokerUnavailableError,
    Client,
    Inspector,
    InvalidOptionError,
    Server,
    ServerState,
    ServerStateError,
    Task,
)
from asynq_py.server.forwarder import Forwarder
from asynq_py.server.lookahead import LookAhead
from asynq_py.server.parts import Parts
from tests.books import Books, books, books_become
from tests.eventually import eventually
from tests.integration.server.conftest import LoginWith
from tests.proxy import Hold, Proxy


async def nothing(task: ActiveTask) -> None:
    pass


def test_a_server_can_be_made_without_an_event_loop_and_without_redis() -> None:
    server = Server("redis://127.0.0.1:1/0", nothing)

    assert server.state is ServerState.NEW


async def test_a_server_connects_only_once_it_is_started(proxy: Proxy) -> None:
    server = Server(proxy.url, nothing)
    server.stop()
    await server.shutdown()
    assert (proxy.connected, proxy.requests, server.state) == (0, [], ServerState.NEW)

    await server.start()
    await eventually(lambda: _number(proxy.connected))
    await server.shutdown()
    await eventually(lambda: _number(proxy.connected), lambda connected: connected == 0)


async def _number(number: int) -> int:
    return number


async def test_a_server_goes_from_new_to_active_to_stopped_to_closed(redis_url: str) -> None:
    server = Server(redis_url, nothing)
    states = [server.state]
    await server.start()
    states.append(server.state)
    server.stop()
    states.append(server.state)
    await server.shutdown()
    states.append(server.state)

    assert [str(state) for state in states] == ["new", "active", "stopped", "closed"]


async def test_stop_and_shutdown_again_change_nothing(redis_url: str) -> None:
    server = Server(redis_url, nothing)
    await server.start()
    server.stop()
    server.stop()
    assert str(server.state) == "stopped"
    await server.shutdown()
    server.stop()
    await server.shutdown()
    assert str(server.state) == "closed"


@pytest.mark.parametrize("state", ["active", "stopped", "closed"])
async def test_a_server_is_started_once(redis_url: str, state: str) -> None:
    server = Server(redis_url, nothing)
    await server.start()
    if state == "stopped":
        server.stop()
    elif state == "closed":
        await server.shutdown()

    for start in (server.start, server.serve, server.__aenter__):
        with pytest.raises(ServerStateError, match=f"the server is {state}"):
            await start()
    await server.shutdown()


async def test_a_stopped_server_ends_what_it_runs_and_fetches_no_more(
    redis_url: str, redis: Redis, client: Client
) -> None:
    started, may_end = asyncio.Event(), asyncio.Event()

    async def handler(task: ActiveTask) -> None:
        started.set()
        await may_end.wait()

    await client.enqueue_many([Task("t", task_id="a"), Task("t", task_id="b")])
    async with Server(redis_url, handler, concurrency=1) as server, asyncio.timeout(20):
        await started.wait()
        server.stop()
        may_end.set()
        await books_become(redis, Books(pending=("b",), processed=1))
    assert await books(redis) == Books(pending=("b",), processed=1)


async def test_shutdown_waits_for_running_tasks(redis_url: str, redis: Redis, client: Client) -> None:
    started, may_end = asyncio.Event(), asyncio.Event()

    async def handler(task: ActiveTask) -> None:
        started.set()
        await may_end.wait()

    await client.enqueue(Task("t"))
    server = Server(redis_url, handler, shutdown_timeout=30)
    await server.start()
    async with asyncio.timeout(20):
        await started.wait()
        ending = [asyncio.create_task(server.shutdown()) for _ in range(2)]
        await redis.ping()
        assert (server.state, [task.done() for task in ending]) == (ServerState.CLOSED, [False, False])
        may_end.set()
        await asyncio.gather(*ending)
    assert await books(redis) == Books(processed=1)


async def test_shutdown_ends_a_server_that_serves_and_waits_for_it(redis_url: str) -> None:
    server = Server(redis_url, nothing, handle_signals=False)
    serving = asyncio.create_task(server.serve())
    await asyncio.sleep(0)
    async with asyncio.timeout(20):
        await server.ping()
        await server.shutdown()
        with pytest.raises(ServerStateError, match="closed"):
            await server.ping()
        await serving


async def test_ping_asks_redis_while_the_server_runs(proxy: Proxy) -> None:
    server = Server(proxy.url, nothing)
    with pytest.raises(ServerStateError, match="new"):
        await server.ping()
    async with server:
        await server.ping()
        assert proxy.count(b"PING") > 0
        proxy.is_refusing = True
        proxy.cut_all()
        with pytest.raises(BrokerUnavailableError):
            await server.ping()
        proxy.is_refusing = False
    with pytest.raises(ServerStateError, match="closed"):
        await server.ping()


async def test_an_error_in_the_block_ends_the_server_and_goes_on(redis_url: str) -> None:
    server = Server(redis_url, nothing)
    with pytest.raises(ZeroDivisionError):
        async with server:
            raise ZeroDivisionError
    assert server.state is ServerState.CLOSED


async def test_a_cancelled_block_ends_the_server_and_hands_tasks_back(
    redis_url: str, redis: Redis, client: Client
) -> None:
    await client.enqueue(Task("t", task_id="a"))
    started = asyncio.Event()

    async def handler(task: ActiveTask) -> None:
        started.set()
        await asyncio.Event().wait()

    async def embed() -> None:
        async with Server(redis_url, handler):
            await asyncio.Event().wait()

    embedding = asyncio.create_task(embed())
    async with asyncio.timeout(20):
        await started.wait()
        embedding.cancel()
        await asyncio.sleep(0)
        embedding.cancel()  # the first one got the server to shut down, this one to hurry
        with pytest.raises(asyncio.CancelledError):
            await embedding
    assert await books(redis) == Books(pending=("a",))


async def test_a_shutdown_that_is_cancelled_hands_tasks_back_and_later_ones_return(
    redis_url: str, redis: Redis, client: Client
) -> None:
    started = asyncio.Event()

    async def endless(task: ActiveTask) -> None:
        started.set()
        await asyncio.Event().wait()

    server = Server(redis_url, endless, shutdown_timeout=60)
    await server.start()
    await client.enqueue(Task("t"))
    async with asyncio.timeout(30):
        await started.wait()
    impatient, patient = (asyncio.create_task(server.shutdown()) for _ in range(2))
    await asyncio.sleep(0)
    impatient.cancel()
    async with asyncio.timeout(30):
        with pytest.raises(asyncio.CancelledError):
            await impatient
        await patient
        await server.shutdown()

    assert len((await books(redis)).pending) == 1


async def test_serve_raises_when_redis_denies_access(redis_url: str, login_with: LoginWith) -> None:
    server = Server(await login_with("-@all"), nothing)
    with pytest.raises(BrokerError, match="denies access"):
        await server.serve()
    assert server.state is ServerState.CLOSED


async def test_shutdown_raises_what_made_an_embedded_server_fail(login_with: LoginWith) -> None:
    server = Server(await login_with("-@all"), nothing)
    await server.start()
    await eventually(lambda: _state(server), lambda state: state is ServerState.CLOSED)
    with pytest.raises(BrokerError, match="denies access"):
        await server.shutdown()


async def _state(server: Server) -> ServerState:
    return server.state


@pytest.fixture
def installed() -> Callable[[], list[object]]:
    return lambda: [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT, signal.SIGTSTP)]


@pytest.mark.parametrize("obeys", [True, False])
async def test_serve_installs_signal_handlers_unless_told_not_to_and_puts_the_old_ones_back(
    redis_url: str, redis: Redis, client: Client, installed: Callable[[], list[object]], obeys: bool
) -> None:
    before = installed()
    server = Server(redis_url, nothing, handle_signals=obeys)
    serving = asyncio.create_task(server.serve())
    await client.enqueue(Task("t"))
    await books_become(redis, Books(processed=1))
    assert [mine is theirs for mine, theirs in zip(installed(), before, strict=True)] == [not obeys] * 3

    await server.shutdown()
    await serving
    assert installed() == before


async def test_an_embedded_server_touches_no_signals(
    redis_url: str, redis: Redis, client: Client, installed: Callable[[], list[object]]
) -> None:
    before = installed()
    await client.enqueue(Task("t"))
    async with Server(redis_url, nothing):
        await books_become(redis, Books(processed=1))
        assert installed() == before


async def test_one_loop_can_run_several_servers_at_once(redis_url: str, redis: Redis, client: Client) -> None:
    both = asyncio.Barrier(2)

    async def handler(task: ActiveTask) -> None:
        await both.wait()

    await client.enqueue_many([Task("t"), Task("t")])
    async with (
        Server(redis_url, handler, concurrency=1),
        Server(redis_url, handler, concurrency=1),
    ):
        await books_become(redis, Books(processed=2))


async def test_a_replaced_server_differs_only_in_what_was_said(
    redis_url: str, client: Client, inspector: Inspector
) -> None:
    template = Server("redis://127.0.0.1:1/0", nothing, queues={"q": 6}, concurrency=3)

    async with template.replace(redis_url, concurrency=7) as server:
        (seen,) = await eventually(inspector.servers)

    assert (seen.concurrency, seen.queues) == (7, {"q": 6})
    assert (server.state, template.state) == (ServerState.CLOSED, ServerState.NEW)


def test_what_cannot_be_said_of_a_server_cannot_replace_anything() -> None:
    with pytest.raises(InvalidOptionError, match="concurrency"):
        Server(None, nothing).replace(concurrency=0)


async def test_a_server_in_the_background_that_fails_says_so_at_once(
    login_with: LoginWith, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server(await login_with("-@all"), nothing)
    await server.start()
    async with asyncio.timeout(20):
        with pytest.raises(BrokerError):
            await server.wait_closed()

    assert server.state is ServerState.CLOSED
    (said,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert said.getMessage().startswith("the server has failed: BrokerError(")
    assert said.exc_info
    for wait in (server.wait_closed, server.shutdown):  # it is told as often as somebody asks
        with pytest.raises(BrokerError):
            await wait()


async def test_a_bug_in_a_part_of_the_server_is_told_at_once(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(self: Forwarder) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Forwarder, "run", fail)
    server = Server(redis_url, nothing)
    await server.start()
    async with asyncio.timeout(20):
        with pytest.RaisesGroup(ZeroDivisionError, flatten_subgroups=True):
            await server.wait_closed()
        assert "the server has failed" in caplog.text
        with pytest.RaisesGroup(ZeroDivisionError, flatten_subgroups=True):
            await server.shutdown()


async def test_to_wait_for_the_end_of_a_server_does_not_end_it(redis_url: str) -> None:
    server = Server(redis_url, nothing)
    with pytest.raises(ServerStateError, match="new"):
        await server.wait_closed()
    async with server, asyncio.timeout(20):
        waiting = [asyncio.create_task(server.wait_closed()) for _ in range(2)]
        await server.ping()
        waiting[0].cancel()
        await asyncio.wait(waiting[:1])
        await server.ping()
        assert (server.state, waiting[1].done()) == (ServerState.ACTIVE, False)
    await waiting[1]
    await server.wait_closed()


async def test_what_is_known_of_a_task_is_written_though_telling_of_it_fails_and_the_server_ends(
    redis_url: str, redis: Redis, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """With nothing else to do, too: a filter of the user that fails is told as soon as it did."""

    def fail(record: logging.LogRecord) -> bool:
        if record.getMessage().startswith("done"):
            raise ZeroDivisionError
        return True

    told = logging.getLogger("asynq_py.server.attempt")
    caplog.set_level(logging.INFO, told.name)
    server = Server(redis_url, nothing)
    told.addFilter(fail)
    try:
        await server.start()
        await client.enqueue(Task("t"))
        async with asyncio.timeout(20):
            with pytest.raises(ZeroDivisionError):
                await server.wait_closed()
    finally:
        told.removeFilter(fail)
    assert await books(redis) == Books(processed=1)
    with pytest.raises(ZeroDivisionError):
        await server.shutdown()


async def test_a_server_that_is_cancelled_begins_nothing_more_and_hands_back_what_waits(
    redis_url: str, redis: Redis, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LookAhead, "target", 5)
    await client.enqueue_many([Task("t", task_id=task_id) for task_id in "abc"])
    ran: list[str] = []

    async def handler(task: ActiveTask) -> None:
        ran.append(task.id)
        serving.cancel()
        await asyncio.Event().wait()

    server = Server(redis_url, handler, concurrency=1, handle_signals=False)
    serving = asyncio.create_task(server.serve())
    async with asyncio.timeout(20):
        with pytest.raises(asyncio.CancelledError):
            await serving
    assert ran == ["a"]
    assert sorted((await books(redis)).pending) == ["a", "b", "c"]


async def test_a_shutdown_that_is_cancelled_while_connections_close_is_told_as_the_end_all_the_same(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    close, is_closing = Parts.aclose, asyncio.Event()

    async def aclose(self: Parts) -> None:
        is_closing.set()
        await close(self)

    monkeypatch.setattr(Parts, "aclose", aclose)
    held = proxy.inject(Hold(), at=b"ZRANGEBYSCORE")
    server = Server(proxy.url, nothing)
    await server.start()
    async with asyncio.timeout(30):
        await held.happened.wait()
        ending = asyncio.create_task(server.shutdown())
        await is_closing.wait()  # and a lane still waits for the answer
        ending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await ending
        await server.wait_closed()
        held.release.set()
        await eventually(lambda: _number(proxy.connected), lambda connected: connected == 0)
