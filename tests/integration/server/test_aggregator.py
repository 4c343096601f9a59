"""Groups that are due become one task each. Behaviour 11.7."""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import threading
from collections.abc import AsyncGenerator, Generator
from typing import Any, Protocol

import pytest
from redis.asyncio import Redis

from asynq_py import ActiveTask, Client, Server, Task
from asynq_py.broker.groups import Groups, Rules
from asynq_py.broker.lanes import open_lane
from asynq_py.connection import Connector
from asynq_py.server.aggregator import AT_ONCE, Aggregator
from asynq_py.server.config import GroupAggregator
from asynq_py.server.outage import Outage
from asynq_py.server.threads import Threads
from tests.clock import ManualClock
from tests.integration.broker.test_groups import LOCK, member
from tests.proxy import Cut, Lose, Proxy
from tests.state import NOW, NOW_NS, dump, kept, seed, state

SET_ID = "00000000-0000-4000-8000-000000000000"
SOON = Rules(1.0)
PENDING = {"pending_since": NOW_NS}


def joined(group: str, tasks: list[Task]) -> Task:
    """One task whose payload tells all about the others."""
    return Task("joined", [group, *([task.type, (task.payload or b"").decode()] for task in tasks)])


class Make(Protocol):
    def __call__(
        self, aggregate: GroupAggregator, rules: Rules = ..., *, queues: tuple[str, ...] = ...
    ) -> Aggregator: ...


@pytest.fixture
def threads() -> Generator[Threads]:
    threads = Threads(2)
    yield threads
    threads.close()


@pytest.fixture
async def make(redis_url: str, clock: ManualClock, threads: Threads) -> AsyncGenerator[Make]:
    connector = Connector(redis_url)
    lane = open_lane(connector, role="test")

    def make(
        aggregate: GroupAggregator, rules: Rules = SOON, *, queues: tuple[str, ...] = ("q",)
    ) -> Aggregator:
        return Aggregator(
            *(Groups(lane, clock), clock, Outage("here"), queues),
            aggregate=aggregate,
            rules=rules,
            threads=threads,
        )

    yield make
    await lane.aclose()
    await connector.aclose()


@pytest.fixture
def set_id(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr("uuid.uuid4", lambda: SET_ID)
    return SET_ID


async def payloads(redis: Redis, queue: str = "q") -> list[list[object]]:
    """What the pending tasks of `joined` tell, next to run first."""
    everything = await dump(redis)
    ids = everything.get(f"asynq:{{{queue}}}:pending", [])[::-1]
    return [json.loads(everything[f"asynq:{{{queue}}}:t:{i}"]["msg"]["payload"]) for i in ids]


async def test_a_group_becomes_one_task_named_after_its_set(make: Make, redis: Redis, set_id: str) -> None:
    await seed(redis, state(groups={"g": [member("b", NOW - 9), member("a", NOW - 8)]}))

    await make(joined).aggregate_once()

    payload = b'["g",["t",""],["t",""]]'
    message: dict[str, Any] = {"type": "joined", "payload": payload, "retry": 25, "timeout": 1800}
    assert await dump(redis) == state(pending=[kept(set_id, **message, fields=PENDING)])


async def test_the_function_gets_type_payload_and_headers_the_oldest_first(make: Make, redis: Redis) -> None:
    seen: list[Task] = []
    messages = [
        kept("b", NOW - 9, type="x" * 300, payload=b"1", headers={"h": "v"}, retry=3, group_key="g"),
        kept("a", NOW - 8, payload=b"2", group_key="g"),
        kept("c", NOW - 8, payload=b"3", group_key="g"),
    ]
    group = [kept(m.id, m.score, **m.message, fields={"group": "g"}) for m in messages]
    await seed(redis, state(groups={"g": group}))

    def aggregate(group: str, tasks: list[Task]) -> Task:
        seen.extend(tasks)
        return Task("joined")

    await make(aggregate).aggregate_once()

    assert [(task.type, task.payload, dict(task.headers)) for task in seen] == [
        ("x" * 300, b"1", {"h": "v"}),
        ("t", b"2", {}),
        ("t", b"3", {}),
    ]
    assert {task.options for task in seen} == {Task("t").options}


async def test_the_options_of_the_aggregate_count_but_the_queue_is_that_of_the_group(
    make: Make, redis: Redis
) -> None:
    await seed(redis, state(groups={"g": [member("a", NOW - 9)]}))

    def aggregate(group: str, tasks: list[Task]) -> Task:
        return Task("t", queue="other", task_id="mine", max_retry=2, timeout=5, process_in=60, unique=600)

    await make(aggregate).aggregate_once()

    lock = "asynq:{q}:unique:t:"
    message = {"retry": 2, "timeout": 5, "unique_key": lock}
    waiting = kept("mine", NOW + 60, **message, fields={"unique_key": lock})
    assert await dump(redis) == state(scheduled=[waiting], locks={lock: "mine"})


async def test_plain_functions_run_in_a_thread_and_coroutine_functions_do_not(
    make: Make, redis: Redis
) -> None:
    used: list[bool] = []

    def note() -> None:
        used.append(threading.current_thread() is threading.main_thread())

    def plain(group: str, tasks: list[Task]) -> Task:
        note()
        return Task("joined")

    async def coroutine(group: str, tasks: list[Task]) -> Task:
        note()
        return Task("joined")

    class Callable_:
        async def __call__(self, group: str, tasks: list[Task]) -> Task:
            return await coroutine(group, tasks)

    kinds: list[GroupAggregator] = [
        *(plain, coroutine, functools.partial(coroutine), Callable_(), lambda g, t: coroutine(g, t)),
    ]
    for number, function in enumerate(kinds):
        await redis.flushall()
        await seed(redis, state(groups={"g": [member("a", NOW - 9)]}))
        await make(function).aggregate_once()
        assert await redis.llen("asynq:{q}:pending") == 1, number

    assert used == [False, True, True, True, True]


async def test_a_large_group_becomes_as_many_tasks_as_it_takes(make: Make, redis: Redis) -> None:
    await seed(redis, state(groups={"g": [member(i, NOW - 9) for i in "abcdefg"]}))

    await make(joined, Rules(60.0, size=3)).aggregate_once()
    assert [len(payload) - 1 for payload in await payloads(redis)] == [3, 3]

    await make(joined, Rules(9.0, size=3)).aggregate_once()
    assert [len(payload) - 1 for payload in await payloads(redis)] == [3, 3, 1]
    assert not await redis.exists("asynq:{q}:groups")


async def test_groups_of_all_queues_are_aggregated_into_their_own(make: Make, redis: Redis) -> None:
    for queue in ("q", "r"):
        await seed(redis, state(queue, groups={g: [member(g, NOW - 9, group=g)] for g in ("g", "h")}))

    await make(joined, queues=("q", "r")).aggregate_once()

    for queue in ("q", "r"):
        assert {str(payload[0]) for payload in await payloads(redis, queue)} == {"g", "h"}


async def test_no_more_than_so_many_functions_run_at_the_same_time(make: Make, redis: Redis) -> None:
    names = [f"g{n}" for n in range(3 * AT_ONCE)]
    await seed(redis, state(groups={g: [member(g, NOW - 9, group=g)] for g in names}))
    running: set[str] = set()
    most = 0
    all_run = asyncio.Event()

    async def aggregate(group: str, tasks: list[Task]) -> Task:
        nonlocal most
        running.add(group)
        most = max(most, len(running))
        if most >= AT_ONCE:
            all_run.set()
        await asyncio.wait_for(all_run.wait(), 40)
        await redis.exists("asynq:{q}:groups")
        running.discard(group)
        return Task("joined")

    await make(aggregate).aggregate_once()

    assert most == AT_ONCE
    assert await redis.llen("asynq:{q}:pending") == len(names)


# -- what goes wrong ----------------------------------------------------------------------------------------


async def fail(group: str, tasks: list[Task]) -> Task:
    raise OSError("no disk")


def give_nothing(group: str, tasks: list[Task]) -> Task:
    return None  # type: ignore[return-value]


def give_bad_payload(group: str, tasks: list[Task]) -> Task:
    return Task("t", {1, 2})


def stop(group: str, tasks: list[Task]) -> Task:
    raise StopIteration


@pytest.mark.parametrize("function", [fail, give_nothing, give_bad_payload, stop])
async def test_a_function_that_fails_is_logged_once_and_its_tasks_come_back(
    make: Make,
    redis: Redis,
    set_id: str,
    clock: ManualClock,
    caplog: pytest.LogCaptureFixture,
    function: GroupAggregator,
) -> None:
    before = state(groups={"g": [member("a", NOW - 9)]})
    await seed(redis, before)

    failing = make(function)
    for _ in range(3):
        await failing.aggregate_once()

    assert await dump(redis) == state(groups={"g": []}, taken={("g", set_id): [member("a", NOW - 9)]})
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "aggregating group 'g' in 'q' failed" in caplog.text
    assert caplog.records[0].exc_info
    clock.advance(120)
    await make(joined, Rules(1000.0)).aggregate_once()
    assert await dump(redis) == before


async def test_a_function_that_fails_for_one_group_does_not_stop_others(make: Make, redis: Redis) -> None:
    await seed(redis, state(groups={g: [member(g, NOW - 9, group=g)] for g in ("bad", "good", "ugly")}))

    async def aggregate(group: str, tasks: list[Task]) -> Task:
        if group != "good":
            raise OSError
        return joined(group, tasks)

    await make(aggregate).aggregate_once()

    assert [payload[0] for payload in await payloads(redis)] == ["good"]


async def test_a_function_that_does_not_end_in_time_is_cancelled(
    make: Make, redis: Redis, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await seed(redis, state(groups={"g": [member("a", NOW - 9)]}))
    monkeypatch.setattr("asynq_py.wire.limits.AGGREGATION_TIME", 0)

    async def aggregate(group: str, tasks: list[Task]) -> Task:
        await asyncio.Event().wait()
        return Task("joined")

    await make(aggregate).aggregate_once()

    assert await payloads(redis) == []


async def test_an_aggregate_that_comes_too_late_is_not_stored_beside_its_tasks(
    make: Make, redis: Redis, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    await seed(redis, state(groups={"g": [member("a", NOW - 9)]}))
    calls = 0

    async def aggregate(group: str, tasks: list[Task]) -> Task:
        nonlocal calls
        calls += 1
        if calls > 1:
            return joined(group, tasks)
        clock.advance(120)
        await make(joined, Rules(1000.0)).aggregate_once()  # another server gives the tasks back
        return Task("late")

    await make(aggregate, Rules(100.0, delay=9.0)).aggregate_once()

    assert await payloads(redis) == [["g", ["t", ""]]]
    assert caplog.text.count("is not stored: it took so long") == 1


async def test_an_aggregate_that_is_refused_leaves_its_tasks_for_later(
    make: Make, redis: Redis, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    await seed(redis, state(archived=[kept("mine")], groups={"g": [member("a", NOW - 9)]}))
    aggregator = make(lambda group, tasks: Task("t", task_id="mine"))

    await aggregator.aggregate_once()
    assert "the ID of the aggregate is in use" in caplog.text

    await redis.delete("asynq:{q}:t:mine", "asynq:{q}:archived")
    clock.advance(120)
    await aggregator.aggregate_once()
    assert (await dump(redis))["asynq:{q}:pending"] == ["mine"]


async def test_tasks_that_cannot_be_read_are_archived_and_the_others_aggregated(
    make: Make, redis: Redis
) -> None:
    await seed(redis, state(groups={"g": [member(i, NOW - 9) for i in "abcd"]}))
    await redis.hset("asynq:{q}:t:a", "msg", b"\xff\xff")
    await redis.hset("asynq:{q}:t:b", "msg", b"")
    await redis.delete("asynq:{q}:t:c")

    await make(joined).aggregate_once()

    assert await payloads(redis) == [["g", ["t", ""]]]
    everything = await dump(redis)
    assert everything["asynq:{q}:archived"] == {"a": NOW}
    kept_message = everything["asynq:{q}:t:a"]["msg"]
    assert (kept_message["payload"], kept_message["type"]) == (b"\xff\xff", "asynq:undecodable")
    assert not await redis.exists("asynq:{q}:aggregation_sets", "asynq:{q}:groups")


async def test_a_group_of_nothing_readable_is_gone_without_a_call(make: Make, redis: Redis) -> None:
    await seed(redis, state(groups={"g": [member("a", NOW - 9)]}))
    await redis.delete("asynq:{q}:t:a")

    await make(fail).aggregate_once()

    assert await dump(redis) == {}


async def test_locks_of_members_are_released_also_those_that_only_the_message_names(
    make: Make, redis: Redis
) -> None:
    ours, gos, others = LOCK + "1", LOCK + "2", LOCK + "3"
    a = member("a", NOW - 9, lock=ours)
    b = kept("b", NOW - 9, group_key="g", unique_key=gos, fields={"group": "g"})
    c = member("c", NOW - 9, lock=others)
    await seed(redis, state(groups={"g": [a, b, c]}, locks={ours: "a", gos: "b", others: "z"}))

    await make(joined).aggregate_once()

    assert {key for key in await dump(redis) if "unique" in key} == {others}


# -- when answers are lost ----------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [Lose, Cut])
async def test_an_aggregate_is_stored_once_though_the_connection_breaks_as_it_is_sent(
    proxy: Proxy, redis: Redis, clock: ManualClock, threads: Threads, fault: type[Lose] | type[Cut]
) -> None:
    strike = False

    async def aggregate(group: str, tasks: list[Task]) -> Task:
        if strike:
            proxy.inject(fault())  # the next script is the one that stores the aggregate
        return joined(group, tasks)

    connector = Connector(proxy.url)
    lane = open_lane(connector, role="test")
    aggregator = Aggregator(
        *(Groups(lane, clock), clock, Outage("here"), ["q"]), aggregate=aggregate, rules=SOON, threads=threads
    )
    await seed(redis, state(groups={"h": [member("h", NOW - 9, group="h")]}))
    await aggregator.aggregate_once()  # from here on Redis knows all scripts
    strike = True
    await seed(redis, state(groups={"g": [member("a", NOW - 9)]}))

    await aggregator.aggregate_once()

    assert await payloads(redis) == [["h", ["t", ""]], ["g", ["t", ""]]]
    assert not await redis.exists("asynq:{q}:groups", "asynq:{q}:aggregation_sets")
    await lane.aclose()
    await connector.aclose()


# -- in a server --------------------------------------------------------------------------------------------


async def _never(task: ActiveTask) -> None:
    await asyncio.Event().wait()


async def test_a_server_aggregates_and_runs_the_result(redis_url: str, client: Client) -> None:
    results: asyncio.Queue[object] = asyncio.Queue()

    async def handler(task: ActiveTask) -> None:
        await results.put(task.json())

    async with Server(redis_url, handler, group_aggregator=joined, group_max_size=2):
        for number in range(2):
            await client.enqueue(Task("t", str(number)), group="g")
        async with asyncio.timeout(20):
            seen = await results.get()

    assert isinstance(seen, list)
    assert sorted(seen[1:]) == [["t", "0"], ["t", "1"]]


async def test_a_server_without_the_function_leaves_groups_alone(
    redis_url: str, redis: Redis, client: Client
) -> None:
    await seed(redis, before := state("default", groups={"g": [member("a", 1)]}))
    done = asyncio.Event()

    async def handler(task: ActiveTask) -> None:
        done.set()

    async with Server(redis_url, handler, group_grace_period=1):
        await client.enqueue(Task("t"))
        async with asyncio.timeout(20):
            await done.wait()
    after = await dump(redis)
    assert {key: after[key] for key in before} == before


async def test_a_server_that_ends_lets_others_have_the_tasks_it_was_aggregating(
    make: Make, redis_url: str, redis: Redis, clock: ManualClock
) -> None:
    await seed(redis, state("default", groups={"g": [member("a", NOW - 9)]}))
    begun = asyncio.Event()

    async def aggregate(group: str, tasks: list[Task]) -> Task:
        begun.set()
        await asyncio.Event().wait()
        return Task("joined")

    async with Server(redis_url, _never, clock=clock, group_aggregator=aggregate, group_grace_period=1):
        async with asyncio.timeout(20):
            await begun.wait()

    await make(joined, queues=("default",)).aggregate_once()

    assert await payloads(redis, "default") == [["g", ["t", ""]]]
