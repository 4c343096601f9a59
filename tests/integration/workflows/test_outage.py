"""Connections break while flows run: what was asked is asked again, and nothing is lost or counted twice."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from asynq_py import App, BrokerUnavailableError, FlowState, Server, chain, current_task, gather
from tests.proxy import Answer, Cut, Fault, Lose, Proxy

pytestmark = pytest.mark.timeout(120)

FLOWS = 5
FULL = b"-OOM command not allowed when used memory > 'maxmemory'.\r\n"


def quick(app: App) -> Server:
    return app.server(
        poll_interval=0.05, forward_interval=0.05, lease=6, recover_interval=0.2, retry_delay=lambda *_: 0.0
    )


@pytest.mark.parametrize("fault", [Cut, Lose])
async def test_flows_come_to_their_ends_though_requests_and_replies_are_lost(
    proxy: Proxy, fault: type[Cut | Lose]
) -> None:
    app, runs = App(proxy.url), Counter[str]()

    @app.task
    async def one(n: int) -> int:
        runs[current_task().id] += 1
        return n

    @app.task
    async def join(numbers: list[int]) -> int:
        runs[current_task().id] += 1
        if runs[current_task().id] == 1:  # what is asked next is lost, too
            for command in (b"EVALSHA", b"HMGET", b"HGET"):
                proxy.inject(fault(), at=command, times=2)
        return sum(numbers)

    async with app, quick(app):
        flow = chain(gather(*(one.step(n) for n in range(4))), join.step(), one.step())
        handles = [await flow.enqueue() for _ in range(FLOWS)]
        for command in (b"EVALSHA", b"HMGET", b"HGET", b"ZRANGEBYSCORE"):
            proxy.inject(fault(), at=command, times=3)
        results = await asyncio.gather(*(handle.result(timeout=100) for handle in handles))
        proxy.forget_faults()
        assert results == [6] * FLOWS
        assert {await handle.status() for handle in handles} == {FlowState.SUCCEEDED}
        assert [await handle.progress() for handle in handles] == [(6, 6)] * FLOWS
    assert len(runs) == 6 * FLOWS


async def test_a_flow_begins_though_the_answers_to_its_maker_are_lost(proxy: Proxy) -> None:
    app, runs = App(proxy.url), list[int]()

    @app.task
    async def one(n: int) -> int:
        runs.append(n)
        return n

    async with app:
        proxy.inject(Cut(), at=b"EVALSHA", times=3)
        handle = await gather(one.step(1), one.step(2)).enqueue()
        proxy.forget_faults()
        async with quick(app):
            assert await handle.result(timeout=100) == [1, 2]
    assert sorted(runs) == [1, 2]


async def test_a_flow_that_may_have_begun_is_not_called_refused_when_redis_is_full_then(proxy: Proxy) -> None:
    app = App(proxy.url)

    @app.task
    async def one(n: int) -> int:
        return n

    async with app:
        await one.step(1).enqueue()  # Redis knows the scripts from now on
        proxy.inject(Fault(), at=b"EVALSHA")  # the steps are written down
        proxy.inject(Cut(), at=b"EVALSHA")  # the flow begins, and nobody hears of it
        proxy.inject(Answer(FULL), at=b"EVALSHA")
        with pytest.raises(BrokerUnavailableError) as told:
            await one.step(2).enqueue(flow_id="second")
        assert told.value.maybe_done
        async with quick(app):
            assert await app.flow("second").result(timeout=100) == 2


async def test_steps_that_a_full_redis_does_not_take_wait_until_it_does(proxy: Proxy) -> None:
    app = App(proxy.url)

    @app.task
    async def one(n: int) -> int:
        return n

    async with app:
        await one.step(1).enqueue()
        proxy.inject(Fault(), at=b"EVALSHA", times=2)  # it is written down, and begins
        full = proxy.inject(Answer(FULL), at=b"EVALSHA")
        handle = await one.step(2).enqueue()
        assert full.happened.is_set()
        async with quick(app):
            assert await handle.result(timeout=100) == 2


async def test_steps_that_were_lost_before_their_flow_begins_are_written_down_again(proxy: Proxy) -> None:
    """As by a failover to a replica that had not heard of them."""
    app = App(proxy.url)

    @app.task
    async def one(n: int) -> int:
        return n

    async with app:
        # somebody takes the steps for written down, and they are not
        await one.step(1).enqueue()
        proxy.inject(Answer(b":1\r\n"), at=b"EVALSHA")
        handle = await one.step(2).enqueue()
        async with quick(app):
            assert await handle.result(timeout=100) == 2
