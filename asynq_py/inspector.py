"""Inspector: look at queues and tasks, and steer them. Behaviour 13."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from asynq_py.broker.broker import Broker
from asynq_py.broker.lanes import open_lane
from asynq_py.broker.registry import Registry
from asynq_py.clock import Clock, SystemClock
from asynq_py.connection import Connector, RedisSource
from asynq_py.errors import AsynqError, QueueNotFoundError, TaskNotFoundError
from asynq_py.info import TaskInfo, task_info
from asynq_py.options import check_name
from asynq_py.wire.messages import decode_task
from asynq_py.wire.state import TaskState


class Inspector:
    """What operators need to see and do.

    `redis`: as for Client. All methods raise BrokerUnavailableError when Redis is away.
    """

    def __init__(self, redis: RedisSource = None, *, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._connector = Connector(redis)
        self._lane = open_lane(self._connector, role="inspector")
        self._broker = Broker(self._lane, self._clock)
        self._registry = Registry(self._lane)

    async def queues(self) -> list[str]:
        """The names of all queues, sorted."""
        return await self._registry.queues()

    async def task_info(self, queue: str, task_id: str) -> TaskInfo:
        """Look at one task.

        Raises: QueueNotFoundError. TaskNotFoundError. MessageDecodeError: its message is garbled.
        """
        check_name("queue", queue)
        stored = await self._broker.task(queue, task_id)
        if stored is None:
            if not await self._registry.has_queue(queue):
                raise QueueNotFoundError(queue)
            raise TaskNotFoundError(queue, task_id)
        message = decode_task(stored.message, queue=queue, task_id=task_id)
        state = TaskState(stored.state)
        next_at = self._clock.time() if state is TaskState.PENDING else stored.score
        return task_info(message, state=state, next_process_at=next_at, result=stored.result)

    async def cancel_processing(self, task_id: str) -> None:
        """Ask all servers to cancel the task of this ID if one runs it. Nothing tells whether one does."""
        await self._registry.cancel(check_name("task_id", task_id))

    async def pause_queue(self, queue: str) -> None:
        """Stop a queue from being fetched, by any server. Raises: AsynqError: it is paused already."""
        if not await self._registry.pause(check_name("queue", queue), now=self._clock.time()):
            raise AsynqError(f"queue {queue!r} is already paused")

    async def unpause_queue(self, queue: str) -> None:
        """Let a queue be fetched again. Raises: AsynqError: it is not paused."""
        if not await self._registry.unpause(check_name("queue", queue)):
            raise AsynqError(f"queue {queue!r} is not paused")

    async def aclose(self) -> None:
        """Close the connection. Idempotent."""
        await self._lane.aclose()
        await self._connector.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
