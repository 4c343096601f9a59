"""Store a flow, and let it begin."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, TypeVar, get_args

from asynq_py.app.connections import Connections
from asynq_py.broker.flows import Flows, NewStep
from asynq_py.broker.lane import Argument
from asynq_py.errors import BrokerError, BrokerUnavailableError, InvalidOptionError
from asynq_py.options import Duration, check_name, check_queue, check_seconds
from asynq_py.outage import Backoff
from asynq_py.task_ids import TaskIDs
from asynq_py.wire import limits
from asynq_py.workflows.advance import advance
from asynq_py.workflows.handle import FlowHandle
from asynq_py.workflows.here import run_here
from asynq_py.workflows.plan import Plan

logger = logging.getLogger(__name__)
T = TypeVar("T")

OnError: TypeAlias = Literal["finish", "cancel"]

LONGEST_ID: Final = 200  # characters; IDs of tasks begin with it
PATIENCE: Final = 5.0  # seconds for a Redis that is away, as a client has


@dataclass(frozen=True, slots=True)
class Manner:
    """How a flow is enqueued. `kept`: seconds after its end. `flow_id`: None: any."""

    name: str
    flow_id: str | None
    on_error: OnError
    kept: int

    @classmethod
    def of(cls, name: str, flow_id: str | None, on_error: OnError, retention: Duration | None) -> Manner:
        """Check what a caller gave. Raises: InvalidOptionError."""
        if flow_id is not None and (len(check_queue("flow_id", flow_id)) > LONGEST_ID):
            raise InvalidOptionError("flow_id", flow_id, f"at most {LONGEST_ID} characters")
        if on_error not in get_args(OnError):
            raise InvalidOptionError("on_error", on_error, " or ".join(map(repr, get_args(OnError))))
        kept = (
            limits.FLOW_KEPT
            if retention is None
            else math.ceil(check_seconds("retention", retention, least=1.0))
        )
        return cls(check_name("name", name), flow_id, on_error, kept)


async def start(connections: Connections, plan: Plan, manner: Manner) -> FlowHandle[Any]:
    """Raises: InvalidOptionError: nothing was sent. BrokerUnavailableError."""
    if headers := {name: text for source in connections.flow_headers for name, text in source().items()}:
        plan = plan.marked(headers)
    flow = manner.flow_id or TaskIDs().next()
    if connections.is_eager:
        return await run_here(connections, plan, flow=flow, name=manner.name)
    head = {"name": manner.name, "on_error": manner.on_error, "keep": manner.kept, **plan.head()}
    flows, steps = connections.flows, plan.new_steps()
    deadline = asyncio.get_running_loop().time() + PATIENCE
    for first in range(0, len(steps), limits.FLOW_BATCH):
        batch = steps[first : first + limits.FLOW_BATCH]
        if not await _persistently(lambda batch=batch: flows.add(flow, batch), deadline):  # type: ignore[misc]
            break  # it has begun before
    else:
        await _persistently(lambda: _begin(flows, flow, head, steps), deadline)
    try:
        await advance(connections, flow)
    # it has begun: a server that looks after flows goes on
    except (BrokerUnavailableError, BrokerError) as error:
        logger.warning("flow %s has begun, but its first steps wait for Redis: %s", flow, error)
    return FlowHandle(connections, flow, read=plan.read, shape=plan.shape())


async def _begin(flows: Flows, flow: str, head: Mapping[str, Argument], steps: Sequence[NewStep]) -> bool:
    """Returns False if it has begun before. Steps that a failover has lost are written down once more."""
    while (has_begun := await flows.begin(flow, head)) is None:
        for first in range(0, len(steps), limits.FLOW_BATCH):
            await flows.add(flow, steps[first : first + limits.FLOW_BATCH])
    return has_begun


async def _persistently(call: Callable[[], Awaitable[T]], deadline: float) -> T:
    """Each of these calls may be repeated: a flow is written down once, and begins once."""
    backoff, is_in_doubt = Backoff(), False
    while True:
        try:
            return await call()
        except BrokerUnavailableError as error:
            is_in_doubt = error.maybe_done = error.maybe_done or is_in_doubt
            pause = backoff.next()
            if asyncio.get_running_loop().time() + pause > deadline:
                raise
            await asyncio.sleep(pause)
        except BrokerError as error:
            if not is_in_doubt:
                raise
            raise BrokerUnavailableError(
                f"Redis did not answer, and when asked again: {error}", maybe_done=True
            ) from error
