"""The backend of Django's Tasks, by the contract that Django documents, and its worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import django
import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test import override_settings

APP = "asynq_py.integrations.django"
TASKS = "django.tasks" if django.VERSION[0] >= 6 else "django_tasks"


def _tasks(redis_url: str | None, **options: Any) -> dict[str, Any]:
    return {
        "default": {
            "BACKEND": f"{APP}.backend.AsynqBackend",
            "QUEUES": ["default", "other"],
            "OPTIONS": {"redis": redis_url, **options},
        },
        "immediate": {"BACKEND": f"{TASKS}.backends.immediate.ImmediateBackend"},
    }


if not settings.configured:
    settings.configure(
        INSTALLED_APPS=[
            "asynq_py.integrations.django",
            *(["django_tasks"] if TASKS == "django_tasks" else []),
        ],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        LOGGING_CONFIG=None,
        USE_TZ=True,
        TASKS=_tasks(None),
    )
    django.setup()

from asynq_py import Client, Inspector, InvalidOptionError, Task, TaskState  # noqa: E402
from asynq_py.integrations.django.framework import (  # noqa: E402
    InvalidTask,
    TaskResultDoesNotExist,
    TaskResultStatus,
    task_backends,
    task_enqueued,
    task_finished,
    task_started,
)
from asynq_py.integrations.django.portal import portal_to  # noqa: E402
from asynq_py.integrations.django.worker import server_for  # noqa: E402
from tests.eventually import eventually  # noqa: E402
from tests.integration.integrations import django_tasks_of_tests as jobs  # noqa: E402


@pytest.fixture(autouse=True, scope="module")
def thread_of_django() -> None:
    """asgiref has one for the whole process."""
    asyncio.run(sync_to_async(lambda: None)())


@pytest.fixture(autouse=True)
def site(redis_url: str) -> Iterator[None]:
    with override_settings(TASKS=_tasks(redis_url)):
        yield
    portal_to(redis_url).close()


@pytest.fixture
def told() -> Iterator[list[tuple[str, str]]]:
    """What signals say: which, and the status."""
    seen: list[tuple[str, str]] = []

    def note(name: str) -> Callable[..., None]:
        def receive(task_result: Any, **_: Any) -> None:
            seen.append((name, str(task_result.status)))

        return receive

    receivers = [
        (signal, note(name))
        for signal, name in (
            (task_enqueued, "enqueued"),
            (task_started, "started"),
            (task_finished, "finished"),
        )
    ]
    for signal, receiver in receivers:
        signal.connect(receiver)
    yield seen
    for signal, receiver in receivers:
        signal.disconnect(receiver)


@asynccontextmanager
async def working() -> AsyncGenerator[None]:
    async with server_for(poll_interval=0.05, forward_interval=0.05, retry_delay=lambda n, error, task: 0.0):
        yield


async def _finished(result: Any) -> Any:
    async def look() -> bool:
        await result.arefresh()
        return bool(result.is_finished)

    await eventually(look, within=30)
    return result


async def test_a_task_is_enqueued_and_its_value_comes_back(told: list[tuple[str, str]]) -> None:
    result = await jobs.add.aenqueue(1, b=2)
    assert (result.status, result.args, result.kwargs, result.attempts) == ("READY", [1], {"b": 2}, 0)
    assert len(result.id) <= 64
    async with working():
        await _finished(result)

    assert (result.status, result.return_value, result.errors, result.attempts) == ("SUCCESSFUL", 3, [], 1)
    moments: list[Any] = [result.enqueued_at, result.started_at, result.finished_at]
    assert moments == sorted(moments)
    assert result.last_attempted_at == result.started_at
    assert told == [("enqueued", "READY"), ("started", "RUNNING"), ("finished", "SUCCESSFUL")]


async def test_plain_code_enqueues_and_reads_results() -> None:
    result = await asyncio.to_thread(jobs.add.enqueue, 1)
    async with working():
        await _finished(result)

    found = await asyncio.to_thread(jobs.add.get_result, result.id)
    assert (found, found.return_value) == (result, 2)


async def test_a_coroutine_function_runs_from_the_queue_it_names() -> None:
    async with working():
        result = await _finished(await jobs.greet.aenqueue("ada"))

    assert (result.return_value, result.task.queue_name) == ({"hello": "ada"}, "other")
    again: Any = await jobs.greet.aget_result(result.id)
    assert again.return_value == {"hello": "ada"}


async def test_a_failure_is_kept_with_its_class_and_traceback(told: list[tuple[str, str]]) -> None:
    async with working():
        result = await _finished(await jobs.fail.aenqueue("nothing here"))

    assert (result.status, result.attempts) == (TaskResultStatus.FAILED, 1)
    (error,) = result.errors
    assert error.exception_class is LookupError
    assert "nothing here" in error.traceback
    assert "in fail" in error.traceback
    assert result.finished_at is not None
    with pytest.raises(ValueError, match="failed"):
        _ = result.return_value
    assert told[-1] == ("finished", "FAILED")


async def test_a_task_with_retries_is_tried_again_and_knows_its_attempt(told: list[tuple[str, str]]) -> None:
    async with working():
        result = await _finished(await jobs.second_time.aenqueue())

    assert (result.status, result.return_value, result.attempts) == ("SUCCESSFUL", 2, 2)
    assert [error.exception_class for error in result.errors] == [LookupError]
    assert [name for name, _ in told] == ["enqueued", "started", "started", "finished"]


async def test_a_value_that_json_cannot_hold_fails_the_task() -> None:
    async with working():
        result = await _finished(await jobs.unwritable.aenqueue())

    assert (result.status, result.errors[0].exception_class) == ("FAILED", TypeError)


async def test_a_value_that_is_too_large_fails_the_task() -> None:
    async with server_for(poll_interval=0.05, result_limit=1000):
        result = await _finished(await jobs.greet.aenqueue("a" * 1000))

    assert (result.status, result.errors[0].exception_class) == ("FAILED", InvalidOptionError)


async def test_a_timeout_fails_the_task_with_what_the_server_says() -> None:
    async with working():
        result = await _finished(await jobs.endless.aenqueue())

    assert result.status == "FAILED"
    assert "not done within 1 s" in result.errors[-1].traceback


async def test_run_after_is_when_it_is_scheduled(inspector: Inspector) -> None:
    then = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    result = await jobs.add.using(run_after=then).aenqueue(1)

    info = await inspector.task_info("default", result.id)
    assert (info.state, info.next_process_at) == (TaskState.SCHEDULED, then)
    assert (await jobs.add.aget_result(result.id)).status == "READY"


async def test_options_of_the_backend_are_those_of_its_tasks(redis_url: str, inspector: Inspector) -> None:
    with override_settings(TASKS=_tasks(redis_url, max_retry=7, timeout=12, retention=60)):
        result = await jobs.add.aenqueue(1)
        own = await jobs.second_time.aenqueue()

    info = await inspector.task_info("default", result.id)
    assert (info.max_retry, info.timeout, info.retention) == (7, 12, 60)
    assert (await inspector.task_info("default", own.id)).max_retry == 1


async def test_without_a_word_about_retries_there_are_none(inspector: Inspector) -> None:
    result = await jobs.add.aenqueue(1)
    assert (await inspector.task_info("default", result.id)).max_retry == 0


@pytest.mark.parametrize("commit", [True, False])
async def test_on_commit_a_task_leaves_with_the_transaction_or_not_at_all(
    redis_url: str, inspector: Inspector, commit: bool, told: list[tuple[str, str]]
) -> None:
    def request() -> tuple[str, list[tuple[str, str]]]:
        try:
            with transaction.atomic():  # pyright: ignore[reportGeneralTypeIssues]  # untyped
                result = jobs.add.enqueue(1)
                before = list(told)
                if not commit:
                    transaction.set_rollback(True)
            return result.id, before
        finally:
            connection.close()

    with override_settings(TASKS=_tasks(redis_url, enqueue_on_commit=True)):
        task_id, before = await asyncio.to_thread(request)

    assert before == []
    if commit:
        assert (await inspector.task_info("default", task_id)).state is TaskState.PENDING
    else:
        assert await inspector.queues() == []


async def test_results_that_are_not_there_are_told_so(client: Client) -> None:
    await client.enqueue(Task("django:nowhere.at_all", {"args": [], "kwargs": {}}, task_id="gone"))
    await client.enqueue(Task("email", {}, task_id="core"))
    for result_id in ("unheard-of", "gone", "core"):
        with pytest.raises(TaskResultDoesNotExist):
            await task_backends["default"].aget_result(result_id)


async def test_what_the_backend_does_not_support_is_refused() -> None:
    with pytest.raises(InvalidTask):
        jobs.add.using(queue_name="unheard-of")
    with pytest.raises(TypeError):
        await jobs.add.aenqueue(object())  # type: ignore[arg-type]  # that is the point


async def test_a_priority_is_a_queue_beside_its_own_and_comes_back_with_the_result() -> None:
    results = {priority: await jobs.show.using(priority=priority).aenqueue() for priority in (-1, 0, 100)}
    urgent = await jobs.show.aget_result(results[100].id)
    assert (urgent.task.queue_name, urgent.task.priority, urgent.status) == ("default", 100, "READY")

    async with server_for(concurrency=1, strict_priority=True, poll_interval=0.05):
        for result in results.values():
            await _finished(result)

    assert {priority: result.return_value for priority, result in results.items()} == {
        priority: ["default", priority] for priority in results
    }
    moments: list[Any] = [results[priority].started_at for priority in (100, 0, -1)]
    assert moments == sorted(moments)


async def test_a_worker_of_some_queues_serves_their_priorities(inspector: Inspector) -> None:
    assert server_for(queues={"other": 2}).config.queues == {"other:high": 12, "other": 6, "other:low": 2}
    assert server_for(queues=["other:high"]).config.queues == {"other:high": 3}
    await jobs.greet.using(priority=1).aenqueue("ada")
    assert await inspector.queues() == ["other:high"]


async def test_priorities_may_be_turned_off(redis_url: str) -> None:
    with override_settings(TASKS=_tasks(redis_url, priorities=False)):
        assert set(server_for().config.queues) == {"default", "other"}
        with pytest.raises(InvalidTask):
            jobs.add.using(priority=3)


async def test_a_value_is_what_json_makes_of_it_for_signals_as_well(told: list[tuple[str, str]]) -> None:
    values: list[Any] = []

    def receive(task_result: Any, **_: Any) -> None:
        values.append(task_result.return_value)

    task_finished.connect(receive)
    try:
        async with working():
            await _finished(await jobs.pair.aenqueue())
    finally:
        task_finished.disconnect(receive)
    assert values == [[1, "two"]]


async def test_a_task_that_wants_to_end_the_process_has_failed() -> None:
    async with working():
        result = await _finished(await jobs.leave.aenqueue())
    assert (result.status, result.errors[0].exception_class) == ("FAILED", SystemExit)


@pytest.mark.parametrize(
    "path", ["nowhere.at_all", "os.getcwd", "tests.integration.integrations.django_tasks_of_tests.no_task"]
)
async def test_a_type_that_names_no_task_is_parked_and_runs_nothing(
    client: Client, inspector: Inspector, path: str
) -> None:
    await client.enqueue(Task(f"django:{path}", {"args": [], "kwargs": {}}, task_id="a"))

    async def state() -> TaskState:
        return (await inspector.task_info("default", "a")).state

    async with working():
        await eventually(state, lambda seen: seen is TaskState.RETRY)

    assert "parked" in ((await inspector.task_info("default", "a")).last_error or "")


async def test_a_payload_that_is_none_of_ours_is_archived(client: Client, inspector: Inspector) -> None:
    path = f"django:{jobs.add.module_path}"
    await client.enqueue(Task(path, b"nonsense", task_id="a"), max_retry=5)

    async def state() -> TaskState:
        return (await inspector.task_info("default", "a")).state

    async with working():
        await eventually(state, lambda seen: seen is TaskState.ARCHIVED)


async def test_a_call_is_a_core_task_that_schedulers_enqueue_again_and_again(client: Client) -> None:
    backend = task_backends["default"]
    again = backend.core_task(jobs.add, 1, b=2)
    infos = [await client.enqueue(again) for _ in range(2)]
    async with working():
        for info in infos:

            async def status(task_id: str = info.id) -> str:
                return str((await jobs.add.aget_result(task_id)).status)

            assert await eventually(status, lambda seen: seen == "SUCCESSFUL") == "SUCCESSFUL"
    assert (await jobs.add.aget_result(infos[0].id)).enqueued_at is None


def test_settings_that_mean_nothing_are_told(redis_url: str) -> None:
    with (
        override_settings(TASKS=_tasks(redis_url, max_retires=3)),
        pytest.raises(InvalidOptionError, match="max_retires"),
    ):
        task_backends["default"]


def test_commands_tell_what_they_cannot_do() -> None:
    with pytest.raises(CommandError, match="AsynqBackend"):
        call_command("asynq_worker", backend="immediate")
    with pytest.raises(CommandError, match="NAME=WEIGHT"):
        call_command("asynq_worker", "--queue", "default=often")
    with pytest.raises(CommandError, match="concurrency"):
        call_command("asynq_worker", "-c", "0")
    with pytest.raises(CommandError, match="AsynqBackend"):
        call_command("asynq", "--backend", "immediate", "stats")
