"""An end to a task, whatever it is doing."""

from __future__ import annotations

import asyncio

import pytest

from asynq_py import ActiveTask, CancelReason, Client, Inspector, Server, Task, TaskNotFoundError, TaskState
from tests.eventually import eventually


@pytest.mark.parametrize("options", [{}, {"process_in": 3600}, {"group": "g"}], ids=str)
async def test_a_task_that_waits_is_deleted(
    client: Client, redis_url: str, options: dict[str, object]
) -> None:
    await client.enqueue(Task("t"), task_id="a", **options)  # type: ignore[arg-type]  # options are mixed here
    async with Inspector(redis_url) as inspector:
        assert await inspector.cancel_task("default", "a")
        for look in (inspector.task_info, inspector.cancel_task):
            with pytest.raises(TaskNotFoundError):
                await look("default", "a")


async def test_a_task_that_runs_is_asked_to_end_and_one_that_ended_is_left_alone(
    client: Client, redis_url: str
) -> None:
    began, reasons = asyncio.Event(), list[CancelReason | None]()

    async def handle(task: ActiveTask) -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            reasons.append(task.cancel_reason)

    async with Inspector(redis_url) as inspector, Server(redis_url, handle, cancel_grace=5.0):
        await client.enqueue(Task("t"), task_id="a", max_retry=0)
        async with asyncio.timeout(20):
            await began.wait()

        async def asked() -> TaskState:
            assert not await inspector.cancel_task("default", "a")
            return (await inspector.task_info("default", "a")).state

        await eventually(asked, lambda state: state is TaskState.ARCHIVED)
        assert not await inspector.cancel_task("default", "a")
    assert reasons == [CancelReason.CANCELLED]
