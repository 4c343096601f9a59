"""Bookkeeper: knows what was enqueued, and answers for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from asynq_py.client_middleware import EnqueueCall
from asynq_py.clock import Clock, instant
from asynq_py.errors import EnqueueError, InvalidOptionError
from asynq_py.info import TaskInfo
from asynq_py.task import Task
from asynq_py.testing.book import Book, Enqueued, Wanted, Which
from asynq_py.testing.virtual_clock import Span


class Bookkeeper:
    """`write_down` is a middleware of clients and schedulers."""

    def __init__(self, clock: Clock) -> None:
        self._book = Book()
        self._time = clock

    def enqueued(self, task: Which | None = None) -> list[Enqueued]:
        """What was enqueued so far, and may have run since; all of it, or of one task."""
        return self._book.enqueued(task)

    def assert_enqueued(
        self,
        task: Which,
        /,
        *args: Any,
        count: int | None = None,
        queue: str | None = None,
        payload: object = None,
        process_in: Span | None = None,
        **arguments: Any,
    ) -> Enqueued:
        """Check that a task was enqueued with these arguments, whatever others it has; return the first such.

        `count`: so often; left out, at least once. `queue`, `process_in`: there, and with this delay.
        `payload`: the whole payload, as Task takes it; for arguments that have such a name, too.

        Raises: AssertionError: it was not; it tells what was. PayloadError: the task takes no such arguments.
        """
        __tracebackhide__ = True
        if count is not None and (type(count) is not int or count < 1):
            raise InvalidOptionError("count", count, "one or more; or assert_not_enqueued")
        return self._book.check(Wanted(task, args, arguments, payload, queue, process_in), count)[0]

    def assert_not_enqueued(
        self,
        task: Which,
        /,
        *args: Any,
        queue: str | None = None,
        payload: object = None,
        process_in: Span | None = None,
        **arguments: Any,
    ) -> None:
        """Check that no such task was enqueued. Raises: AssertionError. PayloadError."""
        __tracebackhide__ = True
        self._book.check_none(Wanted(task, args, arguments, payload, queue, process_in))

    def clear(self) -> None:
        """Forget what was enqueued so far. Tasks that wait go on waiting."""
        self._book.clear()

    async def write_down(
        self, tasks: Sequence[Task], call_next: EnqueueCall
    ) -> Sequence[TaskInfo | EnqueueError]:
        answers = await call_next(tasks)
        for answer in answers:
            if isinstance(answer, TaskInfo):
                self._book.add(Enqueued.of(answer, instant(self._time.time())))
        return answers
