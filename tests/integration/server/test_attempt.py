"""One try: how it is cancelled, what counts then, and what handlers may do to it. Behaviour 5.4, 6 and 9."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis.asyncio import Redis

from asynq_py import (
    ActiveTask,
    AsynqError,
    CancelReason,
    Client,
    Inspector,
    InvalidOptionError,
    LeaseExpiredError,
    RetryLater,
    RevokeTask,
    Server,
    SkipRetry,
    Task,
    current_task,
)
from asynq_py.wire.keys import QueueKeys
from tests.books import Books, books, books_become, message
from tests.clock import ManualClock
from tests.integration.server.conftest import WorkUntil
from tests.state import NOW, kept, seed, state

KEYS = QueueKeys("default")
RETRIED = Books(retry={"a"}, processed=1, failed=1)
ARCHIVED = Books(archived={"a"}, processed=1, failed=1)
DONE = Books(processed=1)


async def for_ever(task: ActiveTask) -> None:
    await asyncio.Event().wait()


class Recorder:
    """A handler that does what it is given, and remembers why it was cancelled."""

    def __init__(self, body: Callable[[ActiveTask], Awaitable[object]] = for_ever) -> None:
        self._body = body
        self.reasons: list[CancelReason | None] = []
        self.started = asyncio.Event()

    async def __call__(self, task: ActiveTask) -> None:
        self.started.set()
        try:
            await self._body(task)
        finally:
            self.reasons.append(task.cancel_reason)


# -- timeouts and deadlines -----------------------------------------------------------------------------


async def test_a_try_that_takes_too_long_is_cancelled_and_retried(
    redis: Redis, client: Client, work_until: WorkUntil
) -> None:
    handler = Recorder()
    await client.enqueue(Task("t", task_id="a", timeout=1))
    await work_until(RETRIED, handler)

    assert handler.reasons == [CancelReason.TIMEOUT]
    assert (await message(redis, "a")).error_msg == "TimeoutError: not done within 1 s"


async def test_a_try_is_cancelled_at_the_deadline_of_its_task(
    redis: Redis, client: Client, work_until: WorkUntil, clock: ManualClock
) -> None:
    async def until_the_deadline(task: ActiveTask) -> None:
        clock.advance(0.05)
        await asyncio.Event().wait()

    clock.now = NOW - 0.05
    handler = Recorder(until_the_deadline)
    await client.enqueue(Task("t", task_id="a", deadline=datetime.fromtimestamp(NOW, UTC)))
    await work_until(RETRIED, handler, clock=clock)

    assert handler.reasons == [CancelReason.DEADLINE]
    assert "TimeoutError: not done by 2100-01-02 03:04:05" in (await message(redis, "a")).error_msg


async def test_the_earlier_of_timeout_and_deadline_counts(
    redis: Redis, client: Client, work_until: WorkUntil, clock: ManualClock
) -> None:
    seen: dict[str, datetime] = {}

    async def handler(task: ActiveTask) -> None:
        seen[task.id] = task.deadline

    now = datetime.fromtimestamp(NOW, UTC)
    soon, later = now + timedelta(seconds=10), now + timedelta(seconds=20)
    await client.enqueue_many(
        [
            Task("t", task_id="timeout", timeout=10),
            Task("t", task_id="deadline", deadline=soon),
            Task("t", task_id="timeout first", timeout=10, deadline=later),
            Task("t", task_id="deadline first", timeout=20, deadline=soon),
            Task("t", task_id="neither"),
        ]
    )
    await seed(redis, state("default", pending=[kept("zero", retry=1)]))
    await work_until(Books(processed=6), handler, clock=clock)

    half_an_hour = now + timedelta(minutes=30)
    assert seen == {
        "timeout": soon,
        "deadline": soon,
        "timeout first": soon,
        "deadline first": soon,
        "neither": half_an_hour,
        "zero": half_an_hour,
    }


async def test_a_deadline_in_the_past_fails_the_try_without_calling_the_handler(
    redis: Redis, client: Client, work_until: WorkUntil, clock: ManualClock
) -> None:
    handler = Recorder()
    told: list[tuple[str, CancelReason | None]] = []
    await client.enqueue(Task("t", task_id="a", deadline=datetime.fromtimestamp(NOW, UTC)))
    await work_until(
        RETRIED,
        handler,
        clock=clock,
        error_handler=lambda task, error: told.append((type(error).__name__, task.cancel_reason)),
    )

    assert not handler.started.is_set()
    assert told == [("TimeoutError", CancelReason.DEADLINE)]
    assert (await message(redis, "a")).retried == 1


# -- cancelation from outside ---------------------------------------------------------------------------


@pytest.fixture
def cancel_until(
    redis_url: str,
    redis: Redis,
    client: Client,
    inspector: Inspector,
    subscribed: Callable[[], Awaitable[object]],
) -> Callable[[Books, Recorder], Awaitable[None]]:
    """Cancel task "a" while it runs, and wait for the books to be so."""

    async def cancel_until(wanted: Books, handler: Recorder) -> None:
        await client.enqueue(Task("t", task_id="a"))
        async with Server(redis_url, handler), asyncio.timeout(20):
            await handler.started.wait()
            await subscribed()
            await inspector.cancel_processing("another")
            await inspector.cancel_processing("a")
            await books_become(redis, wanted)

    return cancel_until


CancelUntil = Callable[[Books, Recorder], Awaitable[None]]


async def test_a_task_cancelled_from_outside_is_retried(cancel_until: CancelUntil, redis: Redis) -> None:
    handler = Recorder()
    await cancel_until(RETRIED, handler)

    assert handler.reasons == [CancelReason.CANCELLED]
    assert (await message(redis, "a")).error_msg == "CancelledError: canceled"


@pytest.mark.parametrize(
    ("end", "wanted", "text"),
    [
        pytest.param(None, DONE, None, id="returns"),
        pytest.param(SkipRetry("no use"), ARCHIVED, "no use", id="skips"),
        pytest.param(RevokeTask(), DONE, None, id="revokes"),
        pytest.param(RetryLater(60), Books(retry={"a"}), "RetryLater: retry later", id="later"),
        pytest.param(OSError("disk full"), RETRIED, "OSError: disk full", id="fails otherwise"),
        pytest.param(asyncio.CancelledError(), RETRIED, "CancelledError: canceled", id="goes along"),
    ],
)
async def test_what_a_cancelled_handler_does_in_the_end_counts(
    cancel_until: CancelUntil, redis: Redis, end: BaseException | None, wanted: Books, text: str | None
) -> None:
    """F38."""

    async def body(task: ActiveTask) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if end is not None:
                raise end from None

    await cancel_until(wanted, Recorder(body))

    if text is not None:
        assert (await message(redis, "a")).error_msg == text


async def test_a_handler_that_swallows_one_cancelation_is_cancelled_again(cancel_until: CancelUntil) -> None:
    swallowed = 0

    async def body(task: ActiveTask) -> None:
        nonlocal swallowed
        while swallowed < 3:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                swallowed += 1
        await asyncio.Event().wait()

    handler = Recorder(body)
    await cancel_until(RETRIED, handler)

    assert (swallowed, handler.reasons) == (3, [CancelReason.CANCELLED])


async def test_a_handler_may_clean_up_while_it_is_being_cancelled(cancel_until: CancelUntil) -> None:
    """Cleaning up takes a moment; only a handler that goes on for longer is cancelled again."""
    cleaned = False

    async def body(task: ActiveTask) -> None:
        nonlocal cleaned
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned = True

    await cancel_until(RETRIED, Recorder(body))
    assert cleaned


# -- errors of all kinds --------------------------------------------------------------------------------


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text for you")


class Unhashable(Exception):
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return False


class OfMyOwn(BaseException):
    pass


@pytest.mark.parametrize(
    ("error", "text"),
    [
        pytest.param(ValueError("text"), "ValueError: text", id="plain"),
        pytest.param(ValueError(), "ValueError", id="without text"),
        pytest.param(Unprintable(), "Unprintable", id="str raises"),
        pytest.param(Unhashable("x"), "Unhashable: x", id="unhashable"),
        pytest.param(ValueError("a\udcffb"), "ValueError: a?b", id="lone surrogate"),
        pytest.param(ValueError("\0\x1b[31m"), "ValueError: \0\x1b[31m", id="control characters"),
        pytest.param(
            ValueError("ä" * 5_000_000), "ValueError: " + "ä" * 2040 + "…", id="ten megabytes of text"
        ),
        pytest.param(
            ExceptionGroup("two", [OSError(), KeyError()]),
            "ExceptionGroup: two (2 sub-exceptions)",
            id="group",
        ),
        pytest.param(StopAsyncIteration(), "StopAsyncIteration", id="StopAsyncIteration"),
        pytest.param(asyncio.CancelledError(), "CancelledError", id="cancels itself"),
        pytest.param(asyncio.CancelledError("mine"), "CancelledError: mine", id="cancels itself, with text"),
        pytest.param(SystemExit(3), "SystemExit: 3", id="SystemExit"),
        pytest.param(GeneratorExit("x"), "GeneratorExit: x", id="GeneratorExit"),
        pytest.param(KeyboardInterrupt(), "KeyboardInterrupt", id="KeyboardInterrupt"),
        pytest.param(OfMyOwn("x"), "OfMyOwn: x", id="BaseException"),
    ],
)
async def test_whatever_a_handler_raises_fails_its_own_task_alone(
    redis: Redis, client: Client, work_until: WorkUntil, error: BaseException, text: str
) -> None:
    """F34, F35, F37."""
    both = asyncio.Barrier(2)

    async def handler(task: ActiveTask) -> None:
        await both.wait()
        if task.id == "a":
            raise error
        await asyncio.sleep(0)

    await client.enqueue_many([Task("t", task_id="a"), Task("t", task_id="neighbour")])
    await work_until(Books(retry={"a"}, processed=2, failed=1), handler)

    stored = (await message(redis, "a")).error_msg
    assert stored == text
    assert len(stored.encode()) <= 4096


async def test_a_stray_cancelation_by_code_below_the_handler_is_a_failure(
    redis: Redis, client: Client, work_until: WorkUntil
) -> None:
    async def handler(task: ActiveTask) -> None:
        inner = asyncio.create_task(asyncio.Event().wait())
        inner.cancel()
        await inner

    await client.enqueue(Task("t", task_id="a"))
    await work_until(RETRIED, handler)


async def test_a_handler_that_cancels_its_own_asyncio_task_fails_its_try(
    redis: Redis, client: Client, work_until: WorkUntil
) -> None:
    async def handler(task: ActiveTask) -> None:
        own = asyncio.current_task()
        assert own is not None
        own.cancel()
        await asyncio.sleep(0)

    await client.enqueue(Task("t", task_id="a"))
    await work_until(RETRIED, handler)


# -- what users decide about failures -------------------------------------------------------------------


async def test_the_error_handler_is_called_before_anything_is_written(
    redis: Redis, client: Client, work_until: WorkUntil
) -> None:
    seen: list[tuple[object, ...]] = []

    async def error_handler(task: ActiveTask, error: BaseException) -> None:
        seen.append((await books(redis), task.retried, current_task().id, str(error)))

    async def handler(task: ActiveTask) -> None:
        raise ValueError("text")

    await client.enqueue(Task("t", task_id="a"))
    await work_until(RETRIED, handler, error_handler=error_handler)

    assert seen == [(Books(active=("a",)), 0, "a", "text")]


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (ValueError("x"), RETRIED),
        (SkipRetry("x"), ARCHIVED),
        (RevokeTask("x"), DONE),
        (RetryLater(60, "x"), Books(retry={"a"})),
    ],
)
async def test_a_plain_error_handler_hears_of_every_kind_of_failure(
    client: Client, work_until: WorkUntil, error: Exception, wanted: Books
) -> None:
    told: list[BaseException] = []

    async def handler(task: ActiveTask) -> None:
        raise error

    await client.enqueue(Task("t", task_id="a"))
    await work_until(wanted, handler, error_handler=lambda task, error: told.append(error))

    assert told == [error]


async def test_callbacks_that_want_to_exit_end_no_process(
    redis: Redis, client: Client, work_until: WorkUntil
) -> None:
    def leave(*_: object) -> Any:
        raise SystemExit(3)

    async def handler(task: ActiveTask) -> None:
        raise ValueError

    await client.enqueue(Task("t", task_id="a"))
    await work_until(RETRIED, handler, error_handler=leave, is_failure=leave, retry_delay=leave)


async def test_callbacks_that_raise_a_cancelation_of_their_own_change_nothing(
    redis: Redis, client: Client, work_until: WorkUntil, caplog: pytest.LogCaptureFixture
) -> None:
    """What they wait for was cancelled, not the try: the task would be run again at once, and for ever."""

    async def error_handler(task: ActiveTask, error: BaseException) -> None:
        given_up = asyncio.get_running_loop().create_future()
        given_up.cancel()
        await given_up

    def given_up(*_: object) -> Any:
        raise asyncio.CancelledError

    async def handler(task: ActiveTask) -> None:
        raise ValueError("text")

    await client.enqueue(Task("t", task_id="a"))
    await work_until(RETRIED, handler, error_handler=error_handler, is_failure=given_up, retry_delay=given_up)

    assert (await message(redis, "a")).error_msg == "ValueError: text"
    assert "the error handler failed" in caplog.text


async def test_an_error_handler_that_fails_changes_nothing(
    redis: Redis, client: Client, work_until: WorkUntil, caplog: pytest.LogCaptureFixture
) -> None:
    def error_handler(task: ActiveTask, error: BaseException) -> None:
        raise ZeroDivisionError

    async def handler(task: ActiveTask) -> None:
        raise ValueError("text")

    await client.enqueue(Task("t", task_id="a"))
    await work_until(RETRIED, handler, error_handler=error_handler)

    assert (await message(redis, "a")).error_msg == "ValueError: text"
    assert "the error handler failed" in caplog.text


async def test_retry_delay_is_told_the_failures_so_far_the_error_and_the_task(
    redis: Redis, client: Client, work_until: WorkUntil, clock: ManualClock
) -> None:
    told: list[tuple[int, str, str]] = []

    def retry_delay(n: int, error: BaseException, task: ActiveTask) -> timedelta:
        told.append((n, str(error), task.id))
        return timedelta(minutes=2)

    async def handler(task: ActiveTask) -> None:
        raise ValueError("text")

    await client.enqueue(Task("t", task_id="a"))
    await work_until(RETRIED, handler, retry_delay=retry_delay, clock=clock)

    assert told == [(0, "text", "a")]
    assert await redis.zscore(KEYS.retry, "a") == NOW + 120


def _fails(n: int, error: BaseException, task: ActiveTask) -> float:
    raise ZeroDivisionError


@pytest.mark.parametrize(
    "retry_delay",
    [
        pytest.param(_fails, id="raises"),
        pytest.param(lambda n, error, task: -1, id="negative"),
        pytest.param(lambda n, error, task: math.nan, id="not a number"),
        pytest.param(lambda n, error, task: math.inf, id="for ever"),
        pytest.param(lambda n, error, task: "soon", id="text"),
        pytest.param(lambda n, error, task: None, id="nothing"),
    ],
)
async def test_a_bad_retry_delay_gives_way_to_the_default(
    redis: Redis,
    client: Client,
    work_until: WorkUntil,
    clock: ManualClock,
    retry_delay: Callable[[int, BaseException, ActiveTask], float],
) -> None:
    """F45."""

    async def handler(task: ActiveTask) -> None:
        raise ValueError("text")

    await client.enqueue(Task("t", task_id="a"))
    await work_until(RETRIED, handler, retry_delay=retry_delay, clock=clock)

    again_at = await redis.zscore(KEYS.retry, "a")
    assert again_at is not None
    assert 15 <= again_at - NOW <= 44  # behaviour 7
    assert (await message(redis, "a")).error_msg == "ValueError: text"


async def test_is_failure_that_fails_itself_counts_a_failure(client: Client, work_until: WorkUntil) -> None:
    def is_failure(error: BaseException) -> bool:
        raise ZeroDivisionError

    async def handler(task: ActiveTask) -> None:
        raise ValueError("text")

    await client.enqueue(Task("t", task_id="a"))
    await work_until(RETRIED, handler, is_failure=is_failure)


# -- results and the current task -----------------------------------------------------------------------


async def test_a_result_is_kept_with_the_task_and_the_last_one_wins(
    client: Client, inspector: Inspector, work_until: WorkUntil
) -> None:
    async def handler(task: ActiveTask) -> None:
        await task.write_result(b"first")
        await task.write_result(b"\x00last")

    await client.enqueue(Task("t", task_id="a", retention=60))
    await work_until(Books(completed={"a"}, processed=1), handler)

    assert (await inspector.task_info("default", "a")).result == b"\x00last"


async def test_a_result_must_be_bytes(client: Client, work_until: WorkUntil) -> None:
    errors: list[Exception] = []

    async def handler(task: ActiveTask) -> None:
        try:
            await task.write_result("text")  # type: ignore[arg-type]
        except InvalidOptionError as error:
            errors.append(error)

    await client.enqueue(Task("t", task_id="a", retention=60))
    await work_until(Books(completed={"a"}, processed=1), handler)
    assert len(errors) == 1


async def test_no_result_is_written_once_the_lease_is_lost(
    redis_url: str, redis: Redis, client: Client
) -> None:
    """F43: neither of a task that somebody deleted does anything come back."""
    errors: list[LeaseExpiredError] = []
    tried = asyncio.Event()

    async def handler(task: ActiveTask) -> None:
        await redis.delete(KEYS.active, KEYS.lease, KEYS.task("a"))
        try:
            await task.write_result(b"late")
        except LeaseExpiredError as error:
            errors.append(error)
            tried.set()

    await client.enqueue(Task("t", task_id="a"))
    async with Server(redis_url, handler), asyncio.timeout(20):
        await tried.wait()
    assert [(error.queue, error.task_id) for error in errors] == [("default", "a")]
    assert await books(redis) == Books()


async def test_the_current_task_is_known_anywhere_below_its_handler_and_nowhere_else(
    client: Client, work_until: WorkUntil
) -> None:
    both = asyncio.Barrier(2)
    seen: dict[str, set[str]] = {}

    async def below() -> str:
        await both.wait()
        return current_task().id

    async def handler(task: ActiveTask) -> None:
        seen[task.id] = {await below(), await asyncio.create_task(below())}

    await client.enqueue_many([Task("t", task_id=name) for name in "ab"])
    await work_until(Books(processed=2), handler)

    assert seen == {"a": {"a"}, "b": {"b"}}
    with pytest.raises(AsynqError, match="no task"):
        current_task()


async def test_a_handler_sees_since_when_its_task_was_pending(client: Client, work_until: WorkUntil) -> None:
    seen: list[datetime | None] = []

    async def handler(task: ActiveTask) -> None:
        seen.append(task.pending_since)

    before = datetime.now(UTC)
    await client.enqueue(Task("t"))
    after = datetime.now(UTC)
    await work_until(DONE, handler)

    assert seen[0] is not None
    assert before - timedelta(milliseconds=1) <= seen[0] <= after


async def test_a_handler_sees_all_of_its_task(client: Client, work_until: WorkUntil) -> None:
    seen: list[tuple[object, ...]] = []

    async def handler(task: ActiveTask) -> None:
        seen.append((task.id, task.type, task.queue, task.payload, task.json(), task.retried, task.max_retry))
        seen.append((dict(task.headers), task.group, task.crashes, task.cancel_reason))

    await client.enqueue(Task("email:send", {"to": 7}, task_id="a", headers={"x": "y"}, max_retry=3))
    await work_until(DONE, handler)

    assert seen == [
        ("a", "email:send", "default", b'{"to":7}', {"to": 7}, 0, 3),
        ({"x": "y"}, None, 0, None),
    ]
