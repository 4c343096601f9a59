"""Store a flow, and let it begin."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from asynq_py.app.connections import Connections
from asynq_py.errors import BrokerUnavailableError
from asynq_py.options import Duration, check_name, check_seconds
from asynq_py.outage import Backoff
from asynq_py.task_ids import TaskIDs
from asynq_py.wire import limits
from asynq_py.workflows.advance import advance
from asynq_py.workflows.handle import FlowHandle
from asynq_py.workflows.here import run_here
from asynq_py.workflows.plan import Plan

logger = logging.getLogger(__name__)
T = TypeVar("T")

PATIENCE: Final = 5.0  # seconds for a Redis that is away, as a client has


async def start(
    connections: Connections, plan: Plan, *, name: str, on_error: str, retention: Duration | None
) -> FlowHandle[Any]:
    """Raises: InvalidOptionError: nothing was sent. BrokerUnavailableError."""
    kept = (
        limits.FLOW_KEPT if retention is None else math.ceil(check_seconds("retention", retention, least=1.0))
    )
    fields = {"name": check_name("name", name), "on_error": on_error, "keep": kept, **plan.head()}
    if connections.is_eager:
        return await run_here(connections, plan, flow=TaskIDs().next(), name=name)
    flow, flows, steps = TaskIDs().next(), connections.flows, plan.new_steps()
    deadline = asyncio.get_running_loop().time() + PATIENCE
    for first in range(0, len(steps), limits.FLOW_BATCH):
        batch = steps[first : first + limits.FLOW_BATCH]
        await _persistently(lambda batch=batch: flows.add(flow, batch), deadline)  # type: ignore[misc]
    await _persistently(lambda: flows.begin(flow, fields), deadline)
    try:
        await advance(connections, flow)
    except BrokerUnavailableError as error:  # it has begun: a server that looks after flows goes on
        logger.warning("flow %s has begun, but its first steps wait for Redis: %s", flow, error)
    return FlowHandle(connections, flow, read=plan.read)


async def _persistently(call: Callable[[], Awaitable[T]], deadline: float) -> T:
    """Each of these calls may be repeated: a flow is written down once, and begins once."""
    backoff = Backoff()
    while True:
        try:
            return await call()
        except BrokerUnavailableError:
            pause = backoff.next()
            if asyncio.get_running_loop().time() + pause > deadline:
                raise
            await asyncio.sleep(pause)
