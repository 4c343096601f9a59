"""What handlers leave behind: asyncio tasks that still run when the try has ended. For development, F39.

Such a task may be collected as garbage in the middle, is cut off when the process ends, and fails unseen,
while the task of the queue counts as done.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final
from weakref import WeakSet

from asynq_py.active_task import ActiveTask
from asynq_py.handler import AsyncHandler

logger = logging.getLogger(__name__)

# Those made below the handler, by whatever depth: each has a copy of the context of its maker.
_made: Final[ContextVar[WeakSet[asyncio.Future[Any]] | None]] = ContextVar("asynq_py_made", default=None)


@contextmanager
def noticing_tasks() -> Generator[None]:
    """Let the present loop note which task each handler makes."""
    loop = asyncio.get_running_loop()
    before = loop.get_task_factory()

    def make(
        loop: asyncio.AbstractEventLoop,
        coro: Coroutine[Any, Any, Any] | Generator[Any, None, Any],
        **options: Any,
    ) -> asyncio.Future[Any]:
        task = asyncio.Task(coro, loop=loop, **options) if before is None else before(loop, coro, **options)
        made = _made.get()
        if made is not None:
            made.add(task)
        return task

    loop.set_task_factory(make)
    try:
        yield
    finally:
        if loop.get_task_factory() is make:
            loop.set_task_factory(before)


def reporting_leaks(handler: AsyncHandler) -> AsyncHandler:
    """Tell what a handler has left behind, each time."""

    async def handle(active: ActiveTask) -> None:
        made: WeakSet[asyncio.Future[Any]] = WeakSet()
        _made.set(made)  # the try has a context of its own
        try:
            await handler(active)
        finally:
            left = [task for task in made if not task.done() and not _is_ending(task)]
            if left:
                logger.warning(
                    "%s left %d asyncio tasks behind: %s",
                    active,
                    len(left),
                    "; ".join(sorted(map(_named, left))),
                )

    return handle


def _is_ending(task: asyncio.Future[Any]) -> bool:
    return isinstance(task, asyncio.Task) and task.cancelling() > 0


def _named(task: asyncio.Future[Any]) -> str:
    if not isinstance(task, asyncio.Task):
        return type(task).__name__
    frames = task.get_stack(limit=1)
    where = f" at {frames[0].f_code.co_filename}:{frames[0].f_lineno}" if frames else ""
    return f"{getattr(task.get_coro(), '__qualname__', task.get_name())}{where}"
