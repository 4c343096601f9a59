import asyncio
import hashlib
import os
from collections.abc import AsyncGenerator

import pytest
from redis.asyncio import Redis

from asynq_py.broker.lane import Command, Lane
from asynq_py.broker.scripts import Script
from asynq_py.connection import Connector
from asynq_py.errors import AsynqError, BrokerError, BrokerUnavailableError
from tests.proxy import Answer, Cut, Hold, Lose, Proxy

ADD = Script("add", "return redis.call('INCRBY', KEYS[1], ARGV[1])", "0" * 40)


@pytest.fixture
async def direct(one_server: str) -> AsyncGenerator[Lane]:
    """A lane without the proxy."""
    connector = Connector(one_server)
    lane = Lane(connector, role="test", timeout=10)
    yield lane
    await lane.aclose()
    await connector.aclose()


# -- round trips -----------------------------------------------------------------------------------------


async def test_each_caller_gets_its_own_answer_by_the_order_of_its_commands(direct: Lane) -> None:
    replies = await asyncio.gather(*(direct.call("INCR", "n") for _ in range(300)))

    assert replies == list(range(1, 301))


async def test_a_lane_uses_one_connection_that_bears_its_name(direct: Lane, redis: Redis) -> None:
    await asyncio.gather(*(direct.call("PING") for _ in range(50)))

    names = [client["name"] for client in await redis.client_list()]
    assert names.count(f"asynq-py:test:{os.getpid()}") == 1


async def test_a_refused_command_fails_alone(direct: Lane) -> None:
    first, bad, last = await asyncio.gather(
        direct.call("SET", "a", "1"), direct.call("LPUSH", "a", "x"), direct.call("GET", "a"),
        return_exceptions=True,
    )  # fmt: skip

    assert (first, last) == (b"OK", b"1")
    assert isinstance(bad, BrokerError)
    assert "WRONGTYPE" in str(bad)
    assert bad.__cause__ is not None


async def test_an_error_never_quotes_what_was_sent(direct: Lane) -> None:
    with pytest.raises(BrokerError) as caught:
        await direct.call("SET", "a", "secret", "EX", "secret")

    assert "secret" not in str(caught.value)


async def test_an_argument_that_cannot_be_sent_is_its_callers_error_alone(direct: Lane) -> None:
    good = direct.post(Command(("PING",)))
    with pytest.raises(TypeError):
        direct.post(Command(("SET", "a", object())))  # type: ignore[arg-type]

    assert await good == b"PONG"


# -- scripts ---------------------------------------------------------------------------------------------


async def test_a_script_that_redis_does_not_know_is_sent_whole_once(lane: Lane, proxy: Proxy) -> None:
    script = Script("n", "return redis.call('INCR', KEYS[1])", _sha("return redis.call('INCR', KEYS[1])"))

    assert [await lane.post(script(["n"], ())) for _ in range(3)] == [1, 2, 3]

    assert (proxy.count(b"EVALSHA"), proxy.count(b"EVAL")) == (3, 1)


async def test_each_call_counts_once_when_scripts_are_unknown_in_a_batch(lane: Lane, redis: Redis) -> None:
    replies = await asyncio.gather(
        lane.post(ADD(["n"], (1,))), lane.post(Command(("GET", "n"))), lane.post(ADD(["n"], (10,)))
    )

    assert list(replies) == [1, None, 11]  # unknown ones run after the batch
    assert await redis.get("n") == b"11"


async def test_a_script_that_was_not_known_when_the_connection_broke_has_found_no_redis(
    lane: Lane, proxy: Proxy
) -> None:
    before = proxy.inject(Hold(), at=b"PING")
    proxy.inject(Cut(), at=b"GET")
    waiting = [lane.post(Command(("PING",)))]
    await before.happened.wait()

    waiting += [lane.post(ADD(["n"], (1,))), lane.post(Command(("GET", "n")))]  # in one round trip
    before.release.set()
    _, unknown, lost = await asyncio.gather(*waiting, return_exceptions=True)

    assert isinstance(unknown, BrokerUnavailableError)
    assert not unknown.maybe_done
    assert isinstance(lost, BrokerUnavailableError)
    assert await lane.post(ADD(["n"], (1,))) == 1


async def test_scripts_flushed_in_the_middle_of_a_batch_are_sent_again(direct: Lane, redis: Redis) -> None:
    body = "return redis.call('INCR', KEYS[1])"
    script = Script("n", body, _sha(body))
    await direct.post(script(["n"], ()))

    replies = await asyncio.gather(
        direct.post(script(["n"], ())),
        direct.call("SCRIPT", "FLUSH"),
        direct.post(script(["n"], ())),
        direct.post(script(["n"], ())),
    )

    assert list(replies) == [2, b"OK", 3, 4]
    assert await redis.get("n") == b"4"


async def test_a_lost_answer_to_the_whole_script_is_told_as_maybe_done(
    lane: Lane, proxy: Proxy, redis: Redis
) -> None:
    proxy.inject(Cut(), at=b"EVAL")
    calls = await asyncio.gather(
        lane.call("PING"), lane.post(ADD(["n"], (1,))), lane.call("PING"), return_exceptions=True
    )

    assert (calls[0], calls[2]) == (b"PONG", b"PONG")
    assert isinstance(calls[1], BrokerUnavailableError)
    assert calls[1].maybe_done
    assert await redis.get("n") == b"1"


def _sha(body: str) -> str:
    return hashlib.sha1(body.encode(), usedforsecurity=False).hexdigest()


# -- callers that give up --------------------------------------------------------------------------------


async def test_a_cancelled_caller_leaves_the_connection_and_other_callers_in_order(
    lane: Lane, proxy: Proxy
) -> None:
    await lane.call("PING")
    held = proxy.inject(Hold(), at=b"INCR")
    first = asyncio.ensure_future(lane.call("INCR", "n"))
    other = asyncio.ensure_future(lane.call("GET", "n"))
    await held.happened.wait()

    first.cancel()
    held.release.set()

    assert await other == b"1"
    assert await lane.call("INCR", "n") == 2
    assert first.cancelled()
    assert proxy.connected == 1


@pytest.mark.parametrize("ticks", range(12))
async def test_a_caller_may_be_cancelled_at_any_moment(direct: Lane, ticks: int) -> None:
    call = asyncio.ensure_future(direct.call("INCR", "n"))
    for _ in range(ticks):
        await asyncio.sleep(0)
    call.cancel()
    await asyncio.wait([call])

    assert [await direct.call("ECHO", text) for text in ("a", "b")] == [b"a", b"b"]


# -- broken connections ----------------------------------------------------------------------------------


async def test_a_connection_that_the_server_closed_while_idle_is_replaced_unseen(
    direct: Lane, redis: Redis
) -> None:
    await direct.call("PING")
    mine = await direct.call("CLIENT", "ID")
    await redis.client_kill_filter(_id=mine)

    assert await direct.call("CLIENT", "ID") != mine


async def test_a_reply_that_nobody_asked_for_is_never_taken_for_an_answer(direct: Lane, redis: Redis) -> None:
    mine = await direct.call("CLIENT", "ID")
    await direct.call("SUBSCRIBE", "news")
    await redis.publish("news", "unasked")

    assert await direct.call("CLIENT", "ID") != mine


async def test_a_lost_answer_is_told_as_maybe_done_and_those_before_it_count(
    lane: Lane, proxy: Proxy, redis: Redis
) -> None:
    await lane.call("PING")
    proxy.inject(Cut(), at=b"INCR")
    calls = await asyncio.gather(
        lane.call("SET", "a", "1"), lane.call("INCR", "n"), lane.call("PING"), return_exceptions=True
    )

    assert calls[0] == b"OK"
    for lost in calls[1:]:
        assert isinstance(lost, BrokerUnavailableError)
        assert lost.maybe_done
    assert await redis.get("n") == b"1"
    assert await lane.call("GET", "n") == b"1"


@pytest.mark.parametrize("size", range(12))
async def test_half_an_answer_is_none(lane: Lane, proxy: Proxy, size: int) -> None:
    await lane.call("SET", "a", "0123456")
    proxy.inject(Cut(after=size), at=b"GET")

    with pytest.raises(BrokerUnavailableError) as caught:
        await lane.call("GET", "a")

    assert caught.value.maybe_done
    assert await lane.call("GET", "a") == b"0123456"


async def test_a_request_lost_on_its_way_is_told_as_maybe_done_too(
    lane: Lane, proxy: Proxy, redis: Redis
) -> None:
    await lane.call("PING")
    proxy.inject(Lose(), at=b"INCR")

    with pytest.raises(BrokerUnavailableError) as caught:
        await lane.call("INCR", "n")

    assert caught.value.maybe_done  # nobody on this side can know better
    assert await redis.get("n") is None


async def test_without_a_connection_nothing_was_done(lane: Lane, proxy: Proxy) -> None:
    proxy.is_refusing = True
    with pytest.raises(BrokerUnavailableError) as caught:
        await lane.call("INCR", "n")

    assert not caught.value.maybe_done
    assert caught.value.__cause__ is not None
    assert f"127.0.0.1:{proxy.port}" in str(caught.value)

    proxy.is_refusing = False
    assert await lane.call("INCR", "n") == 1


async def test_an_answer_that_takes_too_long_is_told_as_maybe_done(
    connector: Connector, proxy: Proxy, redis: Redis
) -> None:
    lane = Lane(connector, role="test", timeout=0.3)
    await lane.call("PING")
    held = proxy.inject(Hold(), at=b"INCR")

    with pytest.raises(BrokerUnavailableError) as caught:
        await lane.call("INCR", "n")

    assert caught.value.maybe_done
    assert held.happened.is_set()
    assert await lane.call("GET", "n") == b"1"  # not the late answer
    await lane.aclose()


async def test_a_server_that_does_not_even_greet_in_time_was_never_asked(
    connector: Connector, proxy: Proxy
) -> None:
    lane = Lane(connector, role="test", timeout=0.3)
    proxy.inject(Hold(), at=b"CLIENT")

    with pytest.raises(BrokerUnavailableError, match="no answer in time") as caught:
        await lane.call("INCR", "n")

    assert not caught.value.maybe_done
    await lane.aclose()


# -- whose lane it is ------------------------------------------------------------------------------------


async def test_a_closed_lane_refuses_commands_and_may_be_closed_again(one_server: str) -> None:
    lane = Lane(Connector(one_server), role="test")
    await lane.call("PING")
    await lane.aclose()
    await lane.aclose()

    with pytest.raises(AsynqError, match="closed"):
        await lane.call("PING")


async def test_closing_waits_for_what_is_under_way(one_server: str) -> None:
    lane = Lane(Connector(one_server), role="test")
    call = lane.post(Command(("INCR", "n")))

    await lane.aclose()

    assert call.done()
    assert await call == 1


async def test_another_event_loop_is_told_to_make_its_own(direct: Lane) -> None:
    await direct.call("PING")

    def elsewhere() -> None:
        asyncio.run(direct.call("PING"))

    with pytest.raises(AsynqError, match="event loop"):
        await asyncio.to_thread(elsewhere)
    assert await direct.call("PING") == b"PONG"


async def test_a_forked_child_is_told_to_make_its_own(direct: Lane, monkeypatch: pytest.MonkeyPatch) -> None:
    await direct.call("PING")
    here = os.getpid()

    with monkeypatch.context() as child:
        child.setattr(os, "getpid", lambda: here + 1)
        with pytest.raises(AsynqError, match="process"):
            await direct.call("PING")

    assert await direct.call("PING") == b"PONG"


# -- refusals --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reply",
    [
        b"-LOADING Redis is loading the dataset in memory\r\n",
        b"-MISCONF Redis is configured to save RDB snapshots\r\n",
        b"-MASTERDOWN Link with MASTER is down\r\n",
        b"-BUSY Redis is busy running a script\r\n",
        b"-NOREPLICAS Not enough good replicas to write.\r\n",
        b"-READONLY You can't write against a read only replica. script: x, on @user_script:1.\r\n",
        b"-CLUSTERDOWN The cluster is down\r\n",
        b"-TRYAGAIN Multiple keys request during rehashing of slot\r\n",
    ],
    ids=lambda reply: reply[1:].partition(b" ")[0].decode(),
)
async def test_a_refusal_that_passes_by_itself_means_unavailable_and_not_done(
    lane: Lane, proxy: Proxy, reply: bytes
) -> None:
    await lane.call("PING")
    proxy.inject(Answer(reply), at=b"INCR")

    with pytest.raises(BrokerUnavailableError) as caught:
        await lane.call("INCR", "n")

    assert not caught.value.maybe_done
    assert reply[1:].partition(b" ")[0].decode() in str(caught.value)
    assert caught.value.__cause__ is not None
    assert await lane.call("INCR", "n") == 1


@pytest.mark.parametrize(
    "reply",
    [
        b"-NOAUTH Authentication required.\r\n",
        b"-NOPERM User x has no permissions to run the 'incr' command\r\n",
        b"-WRONGPASS invalid username-password pair or user is disabled.\r\n",
        b"-OOM command not allowed when used memory > 'maxmemory'.\r\n",
        b"-ERR something else\r\n",
    ],
    ids=lambda reply: reply[1:].partition(b" ")[0].decode(),
)
async def test_a_refusal_that_stays_is_an_error(lane: Lane, proxy: Proxy, reply: bytes) -> None:
    await lane.call("PING")
    proxy.inject(Answer(reply), at=b"INCR")

    with pytest.raises(BrokerError) as caught:
        await lane.call("INCR", "n")

    assert caught.value.__cause__ is not None
    assert await lane.call("INCR", "n") == 1


async def test_a_demoted_master_is_left_at_once(lane: Lane, redis: Redis) -> None:
    before = await lane.call("CLIENT", "ID")
    await redis.replicaof("127.0.0.1", "1")
    try:
        with pytest.raises(BrokerUnavailableError, match="READONLY"):
            await lane.call("INCR", "n")
        with pytest.raises(BrokerUnavailableError, match="READONLY"):
            await lane.post(ADD(["n"], (1,)))
    finally:
        await redis.replicaof("NO", "ONE")

    assert await lane.call("INCR", "n") == 1
    assert await lane.call("CLIENT", "ID") != before


async def test_too_few_replicas_mean_unavailable(lane: Lane, redis: Redis) -> None:
    await redis.config_set("min-replicas-to-write", 9)
    try:
        with pytest.raises(BrokerUnavailableError, match="NOREPLICAS"):
            await lane.post(ADD(["n"], (1,)))
    finally:
        await redis.config_set("min-replicas-to-write", 0)

    assert await lane.post(ADD(["n"], (1,))) == 1


async def test_a_missing_password_is_an_error_that_names_the_place(
    lane: Lane, proxy: Proxy, redis: Redis
) -> None:
    await redis.ping()  # a connection that stays
    await redis.config_set("requirepass", "sesame")
    try:
        with pytest.raises(BrokerError, match=f"127.0.0.1:{proxy.port}.*denies access"):
            await lane.call("PING")
    finally:
        await redis.auth("sesame")
        await redis.config_set("requirepass", "")

    assert await lane.call("PING") == b"PONG"
