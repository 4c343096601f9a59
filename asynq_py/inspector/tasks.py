"""The part of the Inspector for single tasks. Behaviour 13."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from asynq_py.broker.inspection import Moved, Updated
from asynq_py.errors import (
    AsynqError,
    DuplicateTaskError,
    InvalidOptionError,
    MessageDecodeError,
    TaskNotFoundError,
)
from asynq_py.info import TaskInfo, task_info
from asynq_py.inspector.access import Access
from asynq_py.options import check_name
from asynq_py.progress import read
from asynq_py.task import Task
from asynq_py.wire import limits
from asynq_py.wire.keys import QueueKeys
from asynq_py.wire.messages import decode_task, with_payload
from asynq_py.wire.state import TaskState

CHANGES: Final = 10  # times that a payload is read again which others changed meanwhile

_WHY_NOT: Final[Mapping[Moved, str]] = {
    Moved.ACTIVE: "it is running; cancel_processing asks its worker to end it",
    Moved.ALREADY: "it is {goal} already",
    Moved.AGGREGATING: "it is just being aggregated with others of its group; that ends within two minutes",
    Moved.ELSEWHERE: "it is not where its state says, as a worker lost it or moves it right now",
}


class Tasks(Access):
    """One task: look at it, move it, change it."""

    async def task_info(self, queue: str, task_id: str) -> TaskInfo:
        """Look at one task.

        Raises: QueueNotFoundError. TaskNotFoundError. MessageDecodeError: its message is garbled.
        """
        check_name("queue", queue)
        stored = await self._broker.task(queue, task_id)
        if stored is None:
            await self._check_queue(queue)
            raise TaskNotFoundError(queue, task_id)
        message = decode_task(stored.message, queue=queue, task_id=task_id)
        try:
            state = TaskState(stored.state)
        except ValueError as error:
            raise MessageDecodeError(f"task {task_id!r} in queue {queue!r}: its state is none") from error
        next_at = self._clock.time() if state is TaskState.PENDING else stored.score
        # left over from a try in Python, where one in Go has succeeded that says nothing
        of_try = message.retried if state is TaskState.COMPLETED else None
        progress = read(stored.progress, retried=of_try)
        return task_info(
            message, state=state, next_process_at=next_at, result=stored.result, progress=progress
        )

    async def run_task(self, queue: str, task_id: str) -> None:
        """Make a task pending that waits for something or is kept: it joins the end of its queue.

        A completed task can be run again. It does not take its unique lock again, which ended with its
        success, and keeps its result until the new try brings one.

        Raises: TaskNotFoundError. AsynqError: it is running, pending already, or just being aggregated.
        """
        await self._move(self._inspection.run_task, queue, task_id, "run", "pending")

    async def archive_task(self, queue: str, task_id: str) -> None:
        """Put a task aside that is not running; it keeps its unique lock until that ends or it is deleted.

        Raises: TaskNotFoundError. AsynqError: it is running, archived already, or just being aggregated.
        """
        await self._move(self._inspection.archive_task, queue, task_id, "archived", "archived")

    async def delete_task(self, queue: str, task_id: str) -> None:
        """Forget a task that is not running. Its ID and its unique lock are free again.

        Raises: TaskNotFoundError. AsynqError: it is running, or just being aggregated.
        """
        await self._move(self._inspection.delete_task, queue, task_id, "deleted", "")

    async def update_task_payload(self, queue: str, task_id: str, payload: object) -> None:
        """Give a scheduled task another payload, which is encoded as that of a Task.

        Its unique lock moves along, and lasts as long as before. Of two changes at once the later one stands,
        with its lock; what else changed in the task meanwhile stays.

        Raises: TaskNotFoundError. DuplicateTaskError: another task holds the lock on the new payload.
        AsynqError: it is not scheduled. MessageDecodeError: its message is garbled.
        """
        check_name("queue", queue)
        new, answer = _payload(payload), Updated.CHANGED
        for _ in range(CHANGES):
            answer = await self._update(queue, check_name("task_id", task_id), new)
            match answer:
                case Updated.OK:
                    return
                case Updated.GONE:
                    await self._check_queue(queue)
                    raise TaskNotFoundError(queue, task_id)
                case Updated.LOCKED:
                    raise DuplicateTaskError(queue=queue, task_id=task_id)
                case Updated.STATE:
                    break
                case Updated.CHANGED:
                    continue
        why = "it is not scheduled" if answer is Updated.STATE else "others keep changing it"
        raise AsynqError(f"the payload of task {task_id!r} in queue {queue!r} cannot be changed: {why}")

    async def _update(self, queue: str, task_id: str, payload: bytes | None) -> Updated:
        stored = await self._broker.task(queue, task_id)
        if stored is None:
            return Updated.GONE
        message = decode_task(stored.message, queue=queue, task_id=task_id)
        keys, old = QueueKeys(queue), message.unique_key
        of_payload = (keys.unique(message.type, message.payload), keys.unique(message.type, None))
        new = keys.unique(message.type, payload) if old in of_payload else old  # that of a key stays
        after = with_payload(message, payload or b"", lock=new)
        return await self._inspection.update_payload(
            queue, task_id, before=stored.message, after=after, locks=(old, new)
        )

    async def _move(
        self, move: Callable[[str, str], Awaitable[Moved]], queue: str, task_id: str, done: str, goal: str
    ) -> None:
        check_name("queue", queue)
        answer = await move(queue, check_name("task_id", task_id))
        if answer is Moved.GONE:
            await self._check_queue(queue)
            raise TaskNotFoundError(queue, task_id)
        if answer is not Moved.OK:
            why = _WHY_NOT[answer].format(goal=goal)
            raise AsynqError(f"task {task_id!r} in queue {queue!r} cannot be {done}: {why}")


def _payload(payload: object) -> bytes | None:
    data = Task("t", payload).payload
    if data is not None and len(data) > limits.PAYLOAD_LIMIT:
        raise InvalidOptionError("payload", len(data), f"at most {limits.PAYLOAD_LIMIT} bytes")
    return data
