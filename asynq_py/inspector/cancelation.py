"""The part of the Inspector that cancels tasks. Behaviour 13."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from asynq_py.errors import AsynqError, BrokerError, BrokerUnavailableError, TaskNotFoundError
from asynq_py.inspector.tasks import Tasks
from asynq_py.options import check_name
from asynq_py.wire.state import TaskState

logger = logging.getLogger(__name__)

_WAITS: Final = frozenset({TaskState.PENDING, TaskState.SCHEDULED, TaskState.RETRY, TaskState.AGGREGATING})


class Cancelation(Tasks):
    """Tasks that run or wait, and shall not."""

    async def cancel_processing(self, task_id: str) -> bool:
        """Ask the servers that run a task of this ID, in whatever queue, to cancel it.

        They hear of it at once; one whose subscription is just broken, with its next beat, as the word is
        left with the task. (Go's hear of it at once or never.) Returns: does any server run it? Where Redis
        keeps us from asking that: does any server listen (in a Cluster: to the node that was asked)?
        """
        try:
            is_running = await self._leave_word(check_name("task_id", task_id))
        except BrokerError as error:  # Redis is full, or withholds what is needed for that
            logger.info("only servers that listen hear that a task is to be cancelled: %s", error)
            return await self._registry.cancel(task_id) > 0
        await self._registry.cancel(task_id)
        return is_running

    async def cancel_task(self, queue: str, task_id: str) -> bool:
        """Delete a task while it waits; ask its worker to end it when it runs.

        Returns True when it was deleted, so it will not run. False: it was running, and what becomes of it is
        up to its handler and its retries; or it had ended, and nothing was done.

        Raises: QueueNotFoundError. TaskNotFoundError.
        """
        info = await self.task_info(queue, task_id)
        if info.state in _WAITS:
            try:
                await self.delete_task(queue, task_id)
            except (TaskNotFoundError, BrokerUnavailableError):
                raise
            except AsynqError:  # it began meanwhile, perhaps
                info = await self.task_info(queue, task_id)
            else:
                return True
        if info.state is TaskState.ACTIVE:
            await self.cancel_processing(task_id)
        return False

    async def _leave_word(self, task_id: str) -> bool:
        queues = await self._registry.queues()
        asked = [self._inspection.ask_to_cancel(queue, task_id) for queue in queues]
        return any(await asyncio.gather(*asked))
