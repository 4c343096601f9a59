"""The part of the Inspector for flows. Behaviour 13."""

from __future__ import annotations

from asynq_py.broker.flows import Flows as StoredFlows
from asynq_py.clock import Clock
from asynq_py.connection import RedisSource
from asynq_py.flow_inspector import FlowInspector
from asynq_py.info import FlowInfo
from asynq_py.inspector.arguments import some
from asynq_py.inspector.cancelation import Cancelation
from asynq_py.options import check_name


class Flows(Cancelation):
    """Flows, whose steps are tasks."""

    def __init__(self, redis: RedisSource = None, *, clock: Clock | None = None) -> None:
        super().__init__(redis, clock=clock)
        self._flows = FlowInspector(StoredFlows(self._lane, self._clock), self, self._clock)

    async def flows(self, page: int = 1, size: int = 30) -> list[FlowInfo]:
        """The flows that run or ended lately, without their steps; in a page the oldest first."""
        return await self._flows.flows(*some(page, size))

    async def flow(self, flow_id: str) -> FlowInfo:
        """Look at a flow and at each of its steps. Raises: FlowNotFoundError."""
        return await self._flows.flow(check_name("flow_id", flow_id))

    async def cancel_flow(self, flow_id: str) -> bool:
        """End a flow: what is not enqueued never is, waiting tasks are deleted, running ones asked to end.

        Returns False when it had ended before. Raises: FlowNotFoundError.
        """
        return await self._flows.cancel(check_name("flow_id", flow_id))

    async def retry_flow(self, flow_id: str) -> bool:
        """Try the steps again that failed, and let the flow go on. Steps that ended well stay as they are.

        Returns False when none had failed. Raises: FlowNotFoundError.
        """
        return await self._flows.retry(check_name("flow_id", flow_id))
