"""Tasks that the tests of the Django backend run; they must be found by their path."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django_tasks import task
else:
    try:
        from django.tasks import task
    except ModuleNotFoundError:  # before Django 6
        from django_tasks import task


@task
def add(a: int, b: int = 1) -> int:
    assert threading.current_thread() is not threading.main_thread()
    return a + b


@task(queue_name="other")
async def greet(name: str) -> dict[str, str]:
    await asyncio.sleep(0)
    return {"hello": name}


@task
def fail(text: str) -> None:
    raise LookupError(text)


@task(takes_context=True, max_retry=1)
def second_time(context: Any) -> int:
    if context.attempt == 1:
        raise LookupError("not yet")
    attempt: int = context.attempt
    return attempt


@task
def unwritable() -> object:
    return object()


@task(takes_context=True)
def show(context: Any) -> list[Any]:
    task = context.task_result.task
    return [task.queue_name, task.priority]


@task
def pair() -> tuple[int, bytes]:
    return 1, b"two"


@task
def leave() -> None:
    raise SystemExit(3)


@task(timeout=1)
async def endless() -> None:
    await asyncio.Event().wait()


def no_task() -> None: ...
