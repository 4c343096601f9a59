"""What wraps the enqueueing of a client: it sees what is sent, and may change it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

import pytest

from asynq_py import (
    App,
    BrokerUnavailableError,
    Client,
    EnqueueCall,
    EnqueueError,
    InvalidOptionError,
    SyncClient,
    Task,
    TaskIDConflictError,
    TaskInfo,
)

Answers = Sequence[TaskInfo | EnqueueError]
tenant: ContextVar[str] = ContextVar("tenant", default="nobody")


async def with_tenant(tasks: Sequence[Task], call_next: EnqueueCall) -> Answers:
    return await call_next([task.with_headers({"tenant": tenant.get()}) for task in tasks])


class Seen:
    """A middleware that remembers what came, and how it went."""

    def __init__(self) -> None:
        self.calls: list[list[Task]] = []
        self.answers: list[TaskInfo | EnqueueError] = []

    async def __call__(self, tasks: Sequence[Task], call_next: EnqueueCall) -> Answers:
        self.calls.append(list(tasks))
        answers = await call_next(tasks)
        self.answers += answers
        return answers


async def test_a_middleware_adds_headers_to_what_is_enqueued(redis_url: str) -> None:
    async with Client(redis_url, middleware=[with_tenant]) as client:
        tenant.set("acme")
        one = await client.enqueue(Task("t", headers={"colour": "red"}))
        (two,) = await client.enqueue_many([Task("t")])

    assert one.headers == {"tenant": "acme", "colour": "red"}
    assert isinstance(two, TaskInfo)
    assert two.headers == {"tenant": "acme"}


async def test_tasks_have_the_options_of_the_call(redis_url: str) -> None:
    seen = Seen()
    async with Client(redis_url, middleware=[seen]) as client:
        info = await client.enqueue(Task("t", queue="low", max_retry=1), queue="high")
        await client.enqueue_many([Task("t"), Task("u")], retention=60)

    assert [[(task.type, task.options.queue) for task in call] for call in seen.calls] == [
        [("t", "high")],
        [("t", "default"), ("u", "default")],
    ]
    assert (info.queue, info.max_retry) == ("high", 1)
    assert [task.options.retention for task in seen.calls[1]] == [60, 60]


async def test_the_first_is_the_outermost(redis_url: str) -> None:
    order: list[str] = []

    def named(name: str) -> Any:
        async def layer(tasks: Sequence[Task], call_next: EnqueueCall) -> Answers:
            order.append(f"{name} before")
            answers = await call_next(tasks)
            order.append(f"{name} after")
            return answers

        return layer

    async with Client(redis_url, middleware=[named("a"), named("b")]) as client:
        await client.enqueue(Task("t"))

    assert order == ["a before", "b before", "b after", "a after"]


async def test_a_refusal_is_an_answer_inside_and_an_error_outside(redis_url: str) -> None:
    seen = Seen()
    async with Client(redis_url, middleware=[seen]) as client:
        await client.enqueue(Task("t", task_id="a"))
        with pytest.raises(TaskIDConflictError):
            await client.enqueue(Task("t", task_id="a"))
        many = await client.enqueue_many([Task("t", task_id="a"), Task("t", task_id="b")])

    refused = [type(answer) for answer in seen.answers]
    assert refused == [TaskInfo, TaskIDConflictError, TaskIDConflictError, TaskInfo]
    assert many == seen.answers[2:]


async def test_what_enqueue_raises_is_the_same_as_without_middleware(redis_url: str) -> None:
    async with Client(redis_url, middleware=[Seen()], payload_limit=3) as client:
        with pytest.raises(InvalidOptionError, match="at most 3 bytes"):
            await client.enqueue(Task("t", b"four"))
        with pytest.raises(InvalidOptionError, match="max_retry"):
            await client.enqueue(Task("t"), max_retry=-1)
        with pytest.raises(InvalidOptionError, match="a Task"):
            await client.enqueue("t")  # type: ignore[arg-type]
        with pytest.raises(InvalidOptionError, match="retention"):
            await client.enqueue_many([Task("t")], retention=-1)


async def test_what_a_middleware_raises_comes_out_as_it_is(redis_url: str) -> None:
    async def fail(tasks: Sequence[Task], call_next: EnqueueCall) -> Answers:
        raise ZeroDivisionError

    async with Client(redis_url, middleware=[fail]) as client:
        with pytest.raises(ZeroDivisionError):
            await client.enqueue(Task("t"))
        with pytest.raises(ZeroDivisionError):
            await client.enqueue_many([Task("t"), Task("t")])


async def test_an_outage_is_an_answer_inside_and_raised_outside() -> None:
    seen = Seen()
    async with Client("redis://127.0.0.1:1/0", middleware=[seen], timeout=0.2) as client:
        with pytest.raises(BrokerUnavailableError):
            await client.enqueue(Task("t"))
        with pytest.raises(BrokerUnavailableError):
            await client.enqueue_many([Task("t"), Task("t")])

    assert [type(answer) for answer in seen.answers] == [EnqueueError] * 3
    assert all(isinstance(answer.__cause__, BrokerUnavailableError) for answer in _errors(seen.answers))


def _errors(answers: Answers) -> list[EnqueueError]:
    return [answer for answer in answers if isinstance(answer, EnqueueError)]


async def test_what_is_no_task_fails_alone_and_is_not_shown(redis_url: str) -> None:
    seen = Seen()
    async with Client(redis_url, middleware=[seen]) as client:
        answers = await client.enqueue_many([Task("t"), "u", Task("v")])  # type: ignore[list-item]

    assert [isinstance(answer, TaskInfo) for answer in answers] == [True, False, True]
    assert [[task.type for task in call] for call in seen.calls] == [["t", "v"]]


async def test_a_middleware_may_answer_for_a_task_that_it_keeps_back(redis_url: str) -> None:
    async def without_noise(tasks: Sequence[Task], call_next: EnqueueCall) -> Answers:
        wanted = [task for task in tasks if task.type != "noise"]
        answers = iter(await call_next(wanted))
        kept_back = EnqueueError("no noise", queue="default", task_id="")
        return [kept_back if task.type == "noise" else next(answers) for task in tasks]

    async with Client(redis_url, middleware=[without_noise]) as client:
        answers = await client.enqueue_many([Task("noise"), Task("t")])
        with pytest.raises(EnqueueError, match="no noise"):
            await client.enqueue(Task("noise"))

    assert [isinstance(answer, TaskInfo) for answer in answers] == [False, True]


async def test_one_that_forgets_the_answers_is_told(redis_url: str) -> None:
    async def forgetful(tasks: Sequence[Task], call_next: EnqueueCall) -> Any:
        await call_next(tasks)

    def plain(tasks: Sequence[Task], call_next: EnqueueCall) -> Any:
        return []

    async with Client(redis_url, middleware=[forgetful]) as client:
        with pytest.raises(InvalidOptionError, match=r"forgetful.*an answer for each task"):
            await client.enqueue(Task("t"))
    async with Client(redis_url, middleware=[plain]) as client:
        with pytest.raises(InvalidOptionError, match=r"plain.*async def"):
            await client.enqueue(Task("t"))


@pytest.mark.parametrize("middleware", [[3], 3, [None]])
def test_what_is_no_middleware_is_told_at_once(middleware: Any) -> None:
    with pytest.raises(InvalidOptionError, match="middleware="):
        Client(middleware=middleware)
    with pytest.raises(InvalidOptionError, match="middleware="):
        SyncClient(middleware=middleware)
    with pytest.raises(InvalidOptionError, match="middleware="):
        App().on_enqueue(*(middleware if isinstance(middleware, list) else [middleware]))


async def test_concurrent_calls_still_share_round_trips(redis_url: str) -> None:
    seen = Seen()
    async with Client(redis_url, middleware=[seen]) as client:
        infos = await asyncio.gather(*(client.enqueue(Task("t", task_id=str(n))) for n in range(50)))

    assert [info.id for info in infos] == [str(n) for n in range(50)]
    assert len(seen.calls) == 50


def test_a_plain_thread_brings_its_context_variables(redis_url: str) -> None:
    tenant.set("acme")
    with SyncClient(redis_url, middleware=[with_tenant]) as client:
        assert client.enqueue(Task("t")).headers == {"tenant": "acme"}


async def test_an_app_wraps_what_its_tasks_enqueue(redis_url: str) -> None:
    app = App(redis_url)
    app.on_enqueue(with_tenant)

    @app.task
    async def greet(name: str) -> None: ...

    async with app:
        tenant.set("acme")
        handle = await greet.enqueue("ada")
        await app.enqueue_many([greet.task("bob")])
        headers = [task.headers for task in await app.inspector.list_pending("default")]

    assert handle.type == "greet"
    assert headers == [{"tenant": "acme"}] * 2
