import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from redis.asyncio import Redis

from asynq_py import (
    AsynqError,
    BrokerUnavailableError,
    Client,
    DuplicateTaskError,
    EnqueueError,
    InvalidOptionError,
    RedisConfig,
    Task,
    TaskIDConflictError,
    TaskInfo,
    TaskState,
)
from tests.clock import ManualClock
from tests.eventually import eventually
from tests.ports import closed_port
from tests.proxy import Answer, Cut, Fault, Hold, Lose, Proxy
from tests.servers import plain_client
from tests.state import NOW, NOW_NS, State, dump, kept, seed, state

SINCE = {"pending_since": NOW_NS}
DEFAULTS: dict[str, Any] = {"retry": 25, "timeout": 1800}
THEN = datetime.fromtimestamp(NOW, UTC)
LOCK = "asynq:{q}:unique:t:"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
async def client(redis_url: str, clock: ManualClock) -> AsyncGenerator[Client]:
    async with Client(redis_url, clock=clock) as client:
        yield client


@pytest.fixture
async def shaky(proxy: Proxy, clock: ManualClock) -> AsyncGenerator[Client]:
    """A client behind the proxy, which has said hello already."""
    async with Client(proxy.url, clock=clock, timeout=10) as client:
        await client.enqueue(Task("t"), queue="warm", task_id="up")
        yield client


async def is_left(proxy: Proxy) -> bool:
    return proxy.connected == 0


async def holders_of(redis: Redis, task_id: str) -> list[str]:
    """The lists and sets of queue q that hold an ID."""
    return [key for key, value in (await dump(redis)).items() if "{q}" in key and task_id in value]


def pending(**message: Any) -> State:
    fields = {"unique_key": message["unique_key"]} if "unique_key" in message else {}
    return state(pending=[kept("a", **{**DEFAULTS, **message}, fields=SINCE | fields)], registered=True)


# -- one task: what options do ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "stored"),
    [
        ({}, {}),
        ({"max_retry": 3}, {"retry": 3}),
        ({"timeout": 90}, {"timeout": 90}),
        ({"timeout": timedelta(minutes=2)}, {"timeout": 120}),
        ({"timeout": 0.2}, {"timeout": 1}),
        ({"timeout": 0}, {"timeout": 1800}),
        ({"timeout": 5, "deadline": THEN}, {"timeout": 5, "deadline": int(NOW)}),
        ({"retention": 3600}, {"retention": 3600}),
        ({"retention": 0.1}, {"retention": 1}),
        ({"retention": 0}, {}),
        ({"process_at": THEN - timedelta(days=1)}, {}),
        ({"process_in": 0}, {}),
        ({"max_retry": None, "timeout": None, "group": None, "unique": None, "process_at": None}, {}),
    ],
    ids=str,
)
async def test_an_option_becomes_part_of_the_message(
    client: Client, redis: Redis, options: dict[str, Any], stored: dict[str, Any]
) -> None:
    await client.enqueue(Task("t"), queue="q", task_id="a", **options)

    assert await dump(redis) == pending(**stored)


async def test_a_deadline_alone_means_no_timeout(client: Client, redis: Redis) -> None:
    await client.enqueue(Task("t"), queue="q", task_id="a", deadline=THEN + timedelta(seconds=0.5))

    message = (await dump(redis))["asynq:{q}:t:a"]["msg"]
    assert message == {"type": "t", "id": "a", "queue": "q", "retry": 25, "deadline": int(NOW) + 1}


async def test_no_retry_is_not_the_default_of_retries(client: Client, redis: Redis) -> None:
    await client.enqueue(Task("t"), queue="q", task_id="a", max_retry=0)

    assert (await dump(redis))["asynq:{q}:t:a"]["msg"] == {
        "type": "t",
        "id": "a",
        "queue": "q",
        "timeout": 1800,
    }


@pytest.mark.parametrize(
    ("payload", "stored"),
    [(b"\x00\xff", b"\x00\xff"), ("é", "é".encode()), ({"a": [1, "é"]}, '{"a":[1,"é"]}'.encode()), (0, b"0")],
)
async def test_a_payload_is_stored_as_bytes(
    client: Client, redis: Redis, payload: object, stored: bytes
) -> None:
    await client.enqueue(Task("t", payload), queue="q", task_id="a")

    assert await dump(redis) == pending(payload=stored)


async def test_headers_are_stored_as_they_are(client: Client, redis: Redis) -> None:
    headers = {"trace": "1", "ü": "", "": "é"}
    await client.enqueue(Task("t", headers=headers), queue="q", task_id="a")

    assert await dump(redis) == pending(headers=headers)


async def test_options_given_last_win_and_none_takes_nothing_away(client: Client, redis: Redis) -> None:
    task = Task("t", queue="low", task_id="z", max_retry=1, timeout=5, retention=60)

    await client.enqueue(task, queue="q", task_id="a", max_retry=2, timeout=None)

    assert await dump(redis) == pending(retry=2, timeout=5, retention=60)


async def test_of_process_at_and_process_in_the_later_given_wins(client: Client, redis: Redis) -> None:
    task = Task("t", process_at=THEN + timedelta(hours=1))

    await client.enqueue(task, queue="q", task_id="a", process_in=60)

    assert await dump(redis) == state(scheduled=[kept("a", NOW + 60, **DEFAULTS)], registered=True)


async def test_without_a_queue_the_task_waits_in_default(client: Client, redis: Redis) -> None:
    info = await client.enqueue(Task("t"), task_id="a")

    default = state("default", pending=[kept("a", **DEFAULTS, fields=SINCE)], registered=True)
    assert await dump(redis) == default
    assert info.queue == "default"


async def test_without_an_id_every_task_gets_its_own(client: Client) -> None:
    first, second = [await client.enqueue(Task("t")) for _ in range(2)]

    assert len(first.id) == len(second.id) == 36
    assert first.id != second.id


# -- one task: where it goes -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "option", [{"process_in": 60.9}, {"process_at": THEN + timedelta(seconds=60.9)}], ids=["in", "at"]
)
async def test_a_task_for_later_is_scheduled(client: Client, redis: Redis, option: dict[str, Any]) -> None:
    info = await client.enqueue(Task("t"), queue="q", task_id="a", **option)

    assert await dump(redis) == state(scheduled=[kept("a", NOW + 60, **DEFAULTS)], registered=True)
    assert info.state is TaskState.SCHEDULED
    assert info.next_process_at == THEN + timedelta(seconds=60.9)


async def test_a_task_of_a_group_waits_in_the_group(client: Client, redis: Redis) -> None:
    info = await client.enqueue(Task("t"), queue="q", task_id="a", group="g")

    task = kept("a", NOW, **DEFAULTS, group_key="g", fields={"group": "g"})
    assert await dump(redis) == state(groups={"g": [task]}, registered=True)
    assert (info.state, info.group, info.next_process_at) == (TaskState.AGGREGATING, "g", None)


async def test_the_answer_tells_how_the_task_stands(client: Client) -> None:
    info = await client.enqueue(
        Task("t", b"p", headers={"h": "v"}), queue="q", task_id="a", max_retry=4, timeout=9, retention=8,
        deadline=THEN + timedelta(hours=1),
    )  # fmt: skip

    assert info == TaskInfo(
        id="a", queue="q", type="t", payload=b"p", headers={"h": "v"}, state=TaskState.PENDING, max_retry=4,
        retried=0, last_error=None, last_failed_at=None, timeout=9, deadline=THEN + timedelta(hours=1),
        group=None, next_process_at=THEN, retention=8, completed_at=None, result=None,
    )  # fmt: skip


# -- unique tasks and IDs --------------------------------------------------------------------------------


async def test_a_unique_task_holds_its_lock_for_the_time_asked_for(client: Client, redis: Redis) -> None:
    await client.enqueue(Task("t"), queue="q", task_id="a", unique=60.25)

    assert await dump(redis) == pending(unique_key=LOCK) | {LOCK: "a"}
    assert 59_000 < await redis.pttl(LOCK) <= 60_250


async def test_the_lock_of_a_task_for_later_lasts_from_then_on(client: Client, redis: Redis) -> None:
    await client.enqueue(Task("t"), queue="q", unique=60, process_in=100)

    assert 159_000 < await redis.pttl(LOCK) <= 160_000


async def test_a_duplicate_is_refused_and_tells_which(client: Client, redis: Redis) -> None:
    await client.enqueue(Task("t", b"p"), queue="q", unique=60)
    before = await dump(redis)

    with pytest.raises(DuplicateTaskError) as caught:
        await client.enqueue(Task("t", b"p"), queue="q", task_id="b", unique=60)

    assert (caught.value.queue, caught.value.task_id) == ("q", "b")
    assert await dump(redis) == before


@pytest.mark.parametrize(
    ("task", "options"),
    [
        (Task("t", b"other"), {"queue": "q"}),
        (Task("other", b"p"), {"queue": "q"}),
        (Task("t"), {"queue": "q"}),
        (Task("t", b""), {"queue": "q"}),
        (Task("t", b"p"), {"queue": "other"}),
    ],
    ids=["payload", "type", "no payload", "empty payload", "queue"],
)
async def test_another_queue_type_or_payload_is_no_duplicate(
    client: Client, task: Task, options: Any
) -> None:
    await client.enqueue(Task("t", b"p"), queue="q", unique=60)

    await client.enqueue(task, unique=60, **options)


async def test_an_id_in_use_is_refused_and_tells_which(client: Client, redis: Redis) -> None:
    await seed(redis, state(archived=[kept("a", 5)], registered=True))
    before = await dump(redis)

    with pytest.raises(TaskIDConflictError) as caught:
        await client.enqueue(Task("t"), queue="q", task_id="a")

    assert (caught.value.queue, caught.value.task_id) == ("q", "a")
    assert await dump(redis) == before


async def test_of_many_that_want_one_id_a_single_one_gets_it(client: Client, redis: Redis) -> None:
    results = await asyncio.gather(
        *(client.enqueue(Task("t", n), queue="q", task_id="a") for n in range(50)), return_exceptions=True
    )

    assert sum(isinstance(result, TaskInfo) for result in results) == 1
    assert sum(isinstance(result, TaskIDConflictError) for result in results) == 49
    assert await redis.llen("asynq:{q}:pending") == 1


# -- what is refused before anything is sent -------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"queue": " "}, "queue"),
        ({"queue": "a{b}"}, "queue"),
        ({"task_id": ""}, "task_id"),
        ({"max_retry": -1}, "max_retry"),
        ({"timeout": -0.5}, "timeout"),
        ({"deadline": datetime(2100, 1, 1)}, "deadline"),
        ({"unique": 0.5}, "unique"),
        ({"retention": float("nan")}, "retention"),
        ({"group": "\n"}, "group"),
        ({"prio": 3}, "prio"),
    ],
    ids=str,
)
async def test_a_bad_option_is_named_and_nothing_sent(
    shaky: Client, proxy: Proxy, options: Any, named: str
) -> None:
    asked = len(proxy.requests)

    with pytest.raises(InvalidOptionError) as caught:
        await shaky.enqueue(Task("t"), **options)
    with pytest.raises(InvalidOptionError):
        await shaky.enqueue_many([Task("t")], **options)

    assert caught.value.option == named
    assert isinstance(caught.value, ValueError)
    assert len(proxy.requests) == asked


async def test_a_payload_over_the_limit_is_refused_without_being_quoted(redis_url: str, redis: Redis) -> None:
    async with Client(redis_url, payload_limit=6) as client:
        await client.enqueue(Task("t", b"secret"), queue="q", task_id="a")
        before = await dump(redis)
        with pytest.raises(InvalidOptionError, match="7 bytes") as caught:
            await client.enqueue(Task("t", b"secrets"), queue="q")

    assert "secret" not in str(caught.value)
    assert await dump(redis) == before


# -- many tasks ------------------------------------------------------------------------------------------


async def test_many_tasks_are_stored_in_order_with_few_requests(
    shaky: Client, proxy: Proxy, redis: Redis
) -> None:
    asked = len(proxy.requests)

    infos = await shaky.enqueue_many((Task("t", n, task_id=str(n)) for n in range(1000)), queue="q")

    assert [info.id for info in infos if isinstance(info, TaskInfo)] == [str(n) for n in range(1000)]
    ids = await redis.lrange("asynq:{q}:pending", 0, -1)
    assert [int(task_id) for task_id in reversed(ids)] == list(range(1000))
    assert len(proxy.requests) - asked < 20


async def test_one_bad_task_among_many_fails_alone(client: Client, redis: Redis) -> None:
    await client.enqueue(Task("t"), queue="q", task_id="used")
    await client.enqueue(Task("t", b"locked"), queue="q", task_id="first", unique=60)
    tasks = [
        Task("t", task_id="a"),
        Task("t", b"x" * 2_000_000, task_id="large"),
        Task("t", task_id="used"),
        Task("t", b"locked", task_id="twin", unique=60),
        Task("t", task_id="later", process_in=60),
        Task("t", task_id="grouped", group="g"),
        Task("t", task_id="low", queue="low"),
    ]

    results = await client.enqueue_many(tasks)

    assert len(results) == len(tasks)
    large, used, twin = results[1:4]
    assert isinstance(large, EnqueueError)
    assert isinstance(large.__cause__, InvalidOptionError)
    # "used" is taken in queue q only; here the queue is default
    assert isinstance(used, TaskInfo)
    assert isinstance(twin, TaskInfo)
    told = {
        result.id: (result.queue, str(result.state)) for result in results if isinstance(result, TaskInfo)
    }
    assert told == {
        "a": ("default", "pending"), "used": ("default", "pending"), "twin": ("default", "pending"),
        "later": ("default", "scheduled"), "grouped": ("default", "aggregating"), "low": ("low", "pending"),
    }  # fmt: skip

    used, twin = await client.enqueue_many(tasks[2:4], queue="q")
    assert isinstance(used, TaskIDConflictError)
    assert isinstance(twin, DuplicateTaskError)
    assert await redis.lrange("asynq:{q}:pending", 0, -1) == [b"first", b"used"]


async def test_no_tasks_need_no_request(shaky: Client, proxy: Proxy) -> None:
    asked = len(proxy.requests)

    assert await shaky.enqueue_many([]) == []
    assert len(proxy.requests) == asked


async def test_concurrent_calls_share_round_trips(shaky: Client, proxy: Proxy, redis: Redis) -> None:
    asked = proxy.count(b"EVALSHA")

    await asyncio.gather(*(shaky.enqueue(Task("t", n), queue="q") for n in range(200)))

    assert await redis.llen("asynq:{q}:pending") == 200
    assert proxy.count(b"EVALSHA") - asked <= 3


async def test_a_cancelled_call_disturbs_nobody(shaky: Client, proxy: Proxy, redis: Redis) -> None:
    held = proxy.inject(Hold())
    given_up = asyncio.ensure_future(shaky.enqueue(Task("t"), queue="q", task_id="a"))
    other = asyncio.ensure_future(shaky.enqueue(Task("t"), queue="q", task_id="b"))
    await held.happened.wait()

    given_up.cancel()
    held.release.set()

    assert (await other).id == "b"
    assert given_up.cancelled()
    assert (await shaky.enqueue(Task("t"), queue="q", task_id="c")).id == "c"


# -- faults ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault", [Cut, lambda: Cut(after=3), Lose], ids=["no answer", "half an answer", "lost"]
)
@pytest.mark.parametrize(
    "options",
    [{}, {"unique": 600}, {"process_in": 60}, {"group": "g"}],
    ids=["now", "unique", "later", "group"],
)
async def test_a_task_whose_answer_is_lost_is_stored_once_and_reported_as_stored(
    shaky: Client, proxy: Proxy, redis: Redis, fault: Callable[[], Fault], options: Any
) -> None:
    await shaky.enqueue(Task("warm"), queue="warm", **(options | {"unique": 600}))
    proxy.inject(fault())

    info = await shaky.enqueue(Task("t"), queue="q", task_id="a", **options)

    assert info.id == "a"
    places = [key for key in await holders_of(redis, "a") if key not in (LOCK, "asynq:{q}:t:a")]
    assert len(places) == 1
    assert await redis.llen("asynq:{q}:pending") <= 1


async def test_many_tasks_whose_answer_is_lost_are_stored_once(
    shaky: Client, proxy: Proxy, redis: Redis
) -> None:
    proxy.inject(Cut(), times=2)

    results = await shaky.enqueue_many([Task("t", n) for n in range(500)], queue="q")

    assert all(isinstance(result, TaskInfo) for result in results)
    assert await redis.llen("asynq:{q}:pending") == 500


async def test_a_refusal_leaves_the_outcome_open_when_an_earlier_answer_was_lost(
    shaky: Client, proxy: Proxy, redis: Redis
) -> None:
    await shaky.enqueue(Task("warm"), queue="q")
    proxy.inject(Cut())
    proxy.inject(Answer(b"-OOM command not allowed when used memory > 'maxmemory'.\r\n"))

    with pytest.raises(BrokerUnavailableError, match="maxmemory") as caught:
        await shaky.enqueue(Task("t"), queue="q", task_id="a")

    assert caught.value.maybe_done
    assert await redis.exists("asynq:{q}:t:a")


async def test_a_request_that_is_under_way_when_time_runs_out_leaves_the_outcome_open(
    proxy: Proxy, redis: Redis
) -> None:
    async with Client(proxy.url, timeout=2.0) as client:
        await client.enqueue(Task("warm"), queue="q")
        proxy.is_refusing = True
        proxy.cut_all()
        await eventually(partial(is_left, proxy))  # else the first request would be lost on its way
        call = asyncio.ensure_future(client.enqueue(Task("t"), queue="q", task_id="a"))
        await asyncio.wait([call], timeout=1.1)  # what is sent now has longer than the call
        held = proxy.inject(Hold())
        proxy.is_refusing = False
        with pytest.raises(BrokerUnavailableError) as caught:
            await call
        assert caught.value.maybe_done == held.happened.is_set()
        assert await redis.exists("asynq:{q}:t:a") == held.happened.is_set()
        held.release.set()


@pytest.mark.parametrize("task_id", [None, "mine"])
async def test_a_task_that_has_failed_before_its_lost_answer_was_asked_for_again_is_ours(
    shaky: Client, proxy: Proxy, redis: Redis, task_id: str | None
) -> None:
    await shaky.enqueue(Task("warm"), queue="q")
    lost = proxy.inject(Cut())
    call = asyncio.ensure_future(shaky.enqueue(Task("t"), queue="q", task_id=task_id))
    await lost.happened.wait()
    proxy.is_refusing = True
    (stored,) = [key async for key in redis.scan_iter("asynq:{q}:t:*") if not await _is_warm(redis, key)]
    await redis.hset(stored, "msg", "with one failure more")
    proxy.is_refusing = False

    if task_id is None:
        assert (await call).id == stored.decode().rpartition(":")[2]
    else:  # it may be another's
        with pytest.raises(TaskIDConflictError):
            await call


async def _is_warm(redis: Redis, key: bytes) -> bool:
    stored = await redis.hget(key.decode(), "msg")
    return isinstance(stored, bytes) and b"warm" in stored


async def test_an_absent_redis_is_told_with_its_cause_and_in_time() -> None:
    with closed_port() as port:
        async with Client(RedisConfig(port=port), timeout=2) as client, asyncio.timeout(30):
            with pytest.raises(BrokerUnavailableError) as caught:
                await client.enqueue(Task("t"))
            with pytest.raises(BrokerUnavailableError):
                await client.enqueue_many([Task("t"), Task("t")])
            with pytest.raises(BrokerUnavailableError):
                await client.ping()

    assert not caught.value.maybe_done
    assert caught.value.__cause__ is not None
    assert str(port) in str(caught.value)


async def test_a_redis_that_takes_requests_and_answers_nothing_leaves_the_outcome_open(
    proxy: Proxy, redis: Redis
) -> None:
    async with Client(proxy.url, timeout=0.4) as client:
        await client.enqueue(Task("t"), queue="warm")
        proxy.inject(Hold(), times=50)
        with pytest.raises(BrokerUnavailableError) as caught:
            await client.enqueue(Task("t"), queue="q")

    assert caught.value.maybe_done
    assert await redis.llen("asynq:{q}:pending") == 1


# -- its life --------------------------------------------------------------------------------------------


async def test_a_client_connects_at_the_first_call_and_leaves_no_connection(
    proxy: Proxy, redis: Redis
) -> None:
    client = Client(proxy.url)
    assert proxy.connected == 0
    async with client:
        await client.ping()
        assert proxy.connected == 1
    await client.aclose()

    async def ours() -> list[str]:
        names = [entry["name"] for entry in await redis.client_list()]
        return [name for name in names if name.startswith("asynq-py")]

    await eventually(ours, lambda names: not names)


async def test_closing_writes_what_is_under_way(redis_url: str, redis: Redis) -> None:
    client = Client(redis_url)
    calls = [asyncio.ensure_future(client.enqueue(Task("t"), queue="q")) for _ in range(10)]
    await asyncio.sleep(0)

    await client.aclose()

    assert len(await asyncio.gather(*calls)) == 10
    assert await redis.llen("asynq:{q}:pending") == 10


async def test_a_live_redis_client_is_borrowed_and_never_closed(redis_url: str) -> None:
    async with plain_client(redis_url, decode_responses=True) as theirs:
        async with Client(theirs) as client:
            await client.enqueue(Task("t", b"\xff"), queue="q", task_id="a")

        assert await theirs.lrange("asynq:{q}:pending", 0, -1) == ["a"]


async def test_a_short_outage_is_bridged(shaky: Client, proxy: Proxy) -> None:
    proxy.is_refusing = True
    proxy.cut_all()
    call = asyncio.ensure_future(shaky.enqueue(Task("t"), queue="q"))
    await asyncio.wait([call], timeout=0.2)
    assert not call.done()
    proxy.is_refusing = False
    assert isinstance(await call, TaskInfo)


async def test_a_small_batch_whose_answer_is_lost_is_stored_once(
    shaky: Client, proxy: Proxy, redis: Redis
) -> None:
    proxy.inject(Cut())
    results = await shaky.enqueue_many([Task("t"), Task("t")], queue="q")
    assert all(isinstance(result, TaskInfo) for result in results)
    assert await redis.llen("asynq:{q}:pending") == 2


async def test_a_long_list_is_stored_in_order_and_answered_in_order(client: Client, redis: Redis) -> None:
    results = await client.enqueue_many((Task("t", task_id=str(n)) for n in range(3500)), queue="q")
    ids = [result.id if isinstance(result, TaskInfo) else "" for result in results]
    assert ids == [str(n) for n in range(3500)]
    stored = await redis.lrange("asynq:{q}:pending", 0, -1)
    assert stored == [task_id.encode() for task_id in reversed(ids)]


async def test_what_an_iterable_raises_comes_out_as_it_is(client: Client) -> None:
    def tasks() -> Iterator[Task]:
        yield from [Task("t")] * 2500
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await client.enqueue_many(tasks())


async def test_a_closed_client_refuses_every_call(redis_url: str) -> None:
    client = Client(redis_url)
    await client.aclose()
    for call in (client.enqueue(Task("t")), client.enqueue_many([Task("t")]), client.ping()):
        with pytest.raises(AsynqError, match="this client is closed; make another one"):
            await call


@pytest.mark.parametrize("limit", [-1, 1.5, True, "x", None])
def test_a_limit_of_payloads_that_makes_no_sense_is_refused(limit: Any) -> None:
    with pytest.raises(InvalidOptionError, match="payload_limit"):
        Client("redis://localhost", payload_limit=limit)
