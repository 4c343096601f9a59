"""The scripts of flows: each step counts once, and what is ready is noted until it is enqueued."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from redis.asyncio import Redis

from asynq_py.broker.flows import FOLLOW_UP, Flows, NewStep, Ready
from asynq_py.broker.lanes import open_lane
from asynq_py.connection import Connector
from asynq_py.errors import BrokerError
from asynq_py.wire import limits
from tests.clock import ManualClock
from tests.state import NOW, Hash, dump

F = "asynq:flow:{f}"
MOMENT = f"{NOW:.3f}"


@pytest.fixture
async def flows(redis_url: str, clock: ManualClock) -> AsyncGenerator[Flows]:
    connector = Connector(redis_url)
    lane = open_lane(connector, role="test")
    yield Flows(lane, clock)
    await lane.aclose()
    await connector.aclose()


async def start(flows: Flows, *steps: NewStep, **head: Any) -> None:
    """A flow of these steps, or of one, two, and three, which waits for both, and a follow-up of each end."""
    given = steps or (
        NewStep("0", b"d0", ["2"], 0),
        NewStep("1", b"d1", ["2"], 0),
        NewStep("2", b"d2", [], 2),
        NewStep("f0", b"df0", [], FOLLOW_UP),
        NewStep("f1", b"df1", [], FOLLOW_UP),
        NewStep("f2", b"df2", [], FOLLOW_UP),
    )
    assert await flows.add("f", given)
    total = sum(step.missing != FOLLOW_UP for step in given)
    ends = {} if steps else {"on_success": "f0", "on_failure": "f1", "on_archive": "f2"}
    assert await flows.begin("f", {"total": total, "keep": 60, **ends, **head})


async def ready(flows: Flows) -> list[str]:
    return [one.id for one in await flows.ready("f")]


async def test_a_new_flow_is_written_down_and_its_first_steps_are_ready(flows: Flows, redis: Redis) -> None:
    await start(flows)
    assert await dump(redis) == {
        "asynq:flows": {"f": NOW + 1},
        F: Hash(
            {"s:0": "ready", "s:1": "ready", "s:2": "waiting", "s:f0": "idle", "s:f1": "idle", "s:f2": "idle"}
            | {"d:0": "d0", "d:1": "d1", "d:2": "d2", "d:f0": "df0", "d:f1": "df1", "d:f2": "df2"}
            | {"x:0": 2, "x:1": 2, "w:2": 2, "total": 3, "keep": 60, "done": 0, "status": "running"}
            | {"on_success": "f0", "on_failure": "f1", "on_archive": "f2"}
            | {"created_at": MOMENT, "changed_at": MOMENT}
        ),
        f"{F}:ready": {"0": 0.0, "1": 0.0},
    }
    assert await flows.ready("f") == [Ready("0", b"d0"), Ready("1", b"d1")]
    assert await redis.ttl(F) > limits.FLOW_LIFE - 60


async def test_a_flow_that_does_not_begin_vanishes_and_one_that_has_begun_is_not_changed(
    flows: Flows, redis: Redis
) -> None:
    assert await flows.add("f", [NewStep("0", b"d", [], 0)])
    assert await flows.ready("f") == []
    assert 0 < await redis.ttl(F) <= limits.FLOW_UNBORN
    assert 0 < await redis.ttl(f"{F}:ready") <= limits.FLOW_UNBORN
    assert await flows.begin("f", {"total": 1, "keep": 60})
    before = await dump(redis)
    assert not await flows.add("f", [NewStep("0", b"other", [], 0)])
    assert not await flows.begin("f", {"total": 9})
    assert await dump(redis) == before


async def test_what_is_enqueued_is_ready_no_more_and_is_under_way(flows: Flows, redis: Redis) -> None:
    await start(flows)
    assert await flows.sent("f", ["0", "1"]) == 2
    assert await flows.sent("f", ["0", "1", "2"]) == 0
    state = await dump(redis)
    assert f"{F}:ready" not in state
    assert state[f"{F}:out"] == {"0": NOW, "1": NOW}
    assert (state[F]["s:0"], state[F]["s:2"]) == ("sent", "waiting")


async def test_a_join_is_ready_when_the_last_step_it_waits_for_is_done(flows: Flows) -> None:
    await start(flows)
    await flows.sent("f", ["0", "1"])
    assert await flows.done("f", "1", b"1") == "DONE"
    assert await ready(flows) == []
    assert await flows.done("f", "0", None) == "DONE"
    assert await ready(flows) == ["2"]
    assert await flows.fields("f", ["r:0", "r:1", "done", "s:2"]) == [None, b"1", b"2", b"ready"]


async def test_a_step_that_is_done_again_counts_once_and_its_first_result_stands(
    flows: Flows, redis: Redis
) -> None:
    await start(flows)
    await flows.done("f", "0", b"first")
    before = await dump(redis)
    assert await flows.done("f", "0", b"second") == "OLD"
    assert await flows.fail("f", "0", "archived", "late") == "OLD"
    assert await dump(redis) == before


async def test_many_who_report_the_same_steps_at_once_make_one_join(flows: Flows) -> None:
    steps = [NewStep(str(n), b"d", ["50"], 0) for n in range(50)]
    await start(flows, *steps, NewStep("50", b"join", [], 50))
    answers = await asyncio.gather(
        *(flows.done("f", str(n), b"%d" % teller) for n in range(50) for teller in range(4))
    )
    assert answers.count("DONE") == 50
    assert answers.count("OLD") == 150
    assert await flows.ready("f") == [Ready("50", b"join")]
    assert await flows.fields("f", ["w:50", "done"]) == [b"0", b"50"]


async def test_with_the_last_step_the_flow_has_succeeded_and_is_forgotten_once_all_is_enqueued(
    flows: Flows, redis: Redis
) -> None:
    await start(flows)
    for step in ("0", "1", "2"):
        await flows.sent("f", [step])
        await flows.done("f", step, b"r")
    assert await flows.fields("f", ["status", "ended_at"]) == [b"succeeded", MOMENT.encode()]
    assert await ready(flows) == ["f0"]
    assert await redis.ttl(F) > 60
    assert await flows.sent("f", ["f0"]) == 1
    assert await ready(flows) == []
    state = await dump(redis)
    assert sorted(state) == [F, "asynq:flows"]
    assert 0 < await redis.ttl(F) <= 60


@pytest.mark.parametrize(
    ("how", "follow_ups"), [("archived", ["f1", "f2"]), ("gone", ["f1"]), ("refused", ["f1"])]
)
async def test_the_first_failure_ends_the_flow_and_its_follow_ups_are_ready_once(
    flows: Flows, how: str, follow_ups: list[str]
) -> None:
    await start(flows)
    await flows.sent("f", ["0", "1"])
    assert await flows.fail("f", "1", how, "boom") == "FAILED"
    assert await flows.fail("f", "1", how, "again") == "OLD"
    assert await flows.fail("f", "0", how, "another") == "OVER"
    assert await ready(flows) == follow_ups
    names = ["status", "failed", "error", "how", "s:0", "s:1"]
    assert await flows.fields("f", names) == [
        b"failed", b"1", b"boom", how.encode(), b"failed", b"failed",
    ]  # fmt: skip
    assert await flows.sent("f", follow_ups) == len(follow_ups)
    assert await ready(flows) == []


async def test_of_a_flow_that_failed_other_steps_are_recorded_but_none_is_ready(
    flows: Flows, redis: Redis
) -> None:
    await start(flows, NewStep("0", b"d", [], 0), NewStep("1", b"d", ["2"], 0), NewStep("2", b"d", [], 1))
    await flows.sent("f", ["0", "1"])
    await flows.fail("f", "0", "archived", "boom")
    assert await redis.ttl(F) > 60
    assert await flows.done("f", "1", b"r") == "DONE"
    assert await ready(flows) == []
    assert 0 < await redis.ttl(F) <= 60
    assert await flows.fields("f", ["status", "done", "s:2"]) == [b"failed", b"1", b"ready"]


async def test_a_flow_that_goes_on_gets_what_became_ready_meanwhile(flows: Flows, redis: Redis) -> None:
    await start(flows, NewStep("0", b"d", [], 0), NewStep("1", b"d", ["2"], 0), NewStep("2", b"d", [], 1))
    await flows.sent("f", ["0", "1"])
    assert await flows.resume("f", {"0": True}) == 0
    await flows.fail("f", "0", "archived", "boom")
    await flows.done("f", "1", b"r")
    assert await flows.resume("f", {"1": True, "2": True}) == 0
    assert await flows.resume("f", {"0": True}) == 1
    assert await ready(flows) == ["2"]
    state = await dump(redis)
    assert state[f"{F}:out"] == {"0": NOW}
    assert state[F]["status"] == "running"
    assert not {"error", "failed", "how", "ended_at"} & set(state[F])
    assert await redis.ttl(F) > 60


async def test_a_failed_step_without_a_task_is_ready_anew(flows: Flows) -> None:
    await start(flows, NewStep("0", b"d", [], 0))
    await flows.sent("f", ["0"])
    await flows.fail("f", "0", "gone", "deleted")
    assert await flows.resume("f", {"0": False}) == 1
    assert await ready(flows) == ["0"]


async def test_a_cancelled_flow_makes_nothing_ready_and_waits_for_what_is_under_way(
    flows: Flows, redis: Redis
) -> None:
    await start(flows)
    await flows.sent("f", ["0"])
    assert await flows.cancel("f") is True
    assert await flows.cancel("f") is False
    assert await flows.cancel("g") is None
    assert await ready(flows) == []
    assert await flows.sent("f", ["1"]) == 0
    assert await redis.ttl(F) > 60
    assert await flows.done("f", "0", b"r") == "OVER"
    assert 0 < await redis.ttl(F) <= 60
    assert await flows.fields("f", ["status", "done", "r:0"]) == [b"cancelled", b"0", None]
    assert await flows.resume("f", {"0": True}) == 0
    assert sorted(await dump(redis)) == [F, "asynq:flows"]


async def test_what_is_reported_of_a_flow_that_is_gone_writes_nothing(flows: Flows, redis: Redis) -> None:
    assert await flows.done("f", "0", b"r") == "GONE"
    assert await flows.fail("f", "0", "gone", "x") == "GONE"
    assert await flows.sent("f", ["0"]) == 0
    await flows.looked("f", ["0"])
    await start(flows)
    assert await flows.done("f", "9", b"r") == "GONE"
    await redis.delete(F, f"{F}:ready", "asynq:flows")
    assert await dump(redis) == {}


@pytest.mark.parametrize("key", [F, f"{F}:ready", f"{F}:out"])
@pytest.mark.parametrize(
    "call",
    [
        lambda flows: flows.add("f", [NewStep("0", b"d", [], 0)]),
        lambda flows: flows.begin("f", {"total": 1}),
        lambda flows: flows.done("f", "0", b"r"),
        lambda flows: flows.fail("f", "0", "gone", "x"),
        lambda flows: flows.sent("f", ["0", "1"]),
        lambda flows: flows.expand("f", "0", [b"d"]),
        lambda flows: flows.cancel("f"),
        lambda flows: flows.resume("f", {"0": True}),
    ],
    ids=["add", "begin", "done", "fail", "sent", "expand", "cancel", "resume"],
)
async def test_where_somebody_else_uses_a_key_nothing_is_changed(
    flows: Flows, redis: Redis, key: str, call: Callable[[Flows], Awaitable[object]]
) -> None:
    await start(flows)
    await redis.delete(key)
    await redis.set(key, "another's")
    before = await dump(redis)
    with suppress(BrokerError):  # or it answers that there is nothing to do
        await call(flows)
    assert await dump(redis) == before


async def test_each_flow_is_looked_at_by_one_at_a_time(
    flows: Flows, redis: Redis, clock: ManualClock
) -> None:
    assert not await flows.is_due()
    await redis.zadd("asynq:flows", {"a": NOW - 1, "b": NOW, "c": NOW + 1})
    assert await flows.is_due()
    assert await flows.turn(again_at=int(NOW) + 15) == ["a", "b"]
    assert not await flows.is_due()
    await flows.look_again("a", int(NOW) + 3)
    await flows.look_again("never listed", int(NOW))
    await flows.forget("c")
    assert await dump(redis) == {"asynq:flows": {"a": NOW + 3, "b": NOW + 15}}
    assert await flows.page(1, 5) == ["b"]


async def test_a_look_tells_first_of_steps_not_looked_at_for_long(flows: Flows, clock: ManualClock) -> None:
    await start(flows, on_error="cancel")
    await flows.sent("f", ["0", "1"])
    clock.advance(10)
    await flows.looked("f", ["0"])
    seen = await flows.look("f")
    assert (seen.status, seen.changed_at, seen.cancels, seen.keep) == ("running", NOW, True, 60)
    assert (seen.is_written, seen.is_ready, list(seen.out)) == (True, False, ["1", "0"])
    nothing = await flows.look("g")
    assert (nothing.status, nothing.is_written, list(nothing.out)) == (None, False, [])


async def test_a_flow_does_not_begin_while_a_failover_has_lost_some_of_its_steps(
    flows: Flows, redis: Redis
) -> None:
    steps = [NewStep("0", b"d0", ["1"], 0), NewStep("1", b"d1", [], 1), NewStep("f0", b"df0", [], FOLLOW_UP)]
    head = {"total": 2, "keep": 60, "steps": 2, "follow_ups": 1}

    assert await flows.begin("f", head) is None
    assert await flows.add("f", steps[:2])
    assert await flows.begin("f", head) is None
    assert not await redis.hexists(F, "status")

    assert await flows.add("f", steps)
    assert await flows.begin("f", head)
    assert await flows.begin("f", head) is False
