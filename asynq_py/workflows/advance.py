"""From what is ready in a flow to tasks in queues. May be done by many at once, and again after a crash."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypedDict

from asynq_py.app.connections import Connections
from asynq_py.broker.faults import is_full
from asynq_py.broker.flows import Ready, item_step
from asynq_py.errors import (
    BrokerError,
    BrokerUnavailableError,
    EnqueueError,
    NotReplicatedError,
    TaskIDConflictError,
    TaskNotFoundError,
)
from asynq_py.info import TaskInfo
from asynq_py.step_text import Definition, defined, is_follow_up, task_id, value_of
from asynq_py.task import Task
from asynq_py.wire import limits
from asynq_py.wire.state import FlowState, StepState

logger = logging.getLogger(__name__)

REFUSED: Final = "refused"  # how a step failed that could not be enqueued


class FlowFailure(TypedDict):
    """What a step of `on_failure` or `on_archive` may take: what failed, and how."""

    flow: str
    name: str
    step: str
    task_type: str
    queue: str
    task_id: str
    error: str


@dataclass(frozen=True, slots=True)
class Item:
    """Something to enqueue."""

    step: str
    definition: Definition

    @property
    def is_follow_up(self) -> bool:
        return is_follow_up(self.step)


async def advance(connections: Connections, flow: str) -> None:
    """Enqueue all that is ready. Raises: BrokerUnavailableError: what is left is left as ready."""
    while ready := await connections.flows.ready(flow):
        await _send(connections, flow, ready)


async def _send(connections: Connections, flow: str, ready: Sequence[Ready]) -> None:
    flows = connections.flows
    items = [Item(one.id, defined(one.definition)) for one in ready]
    places = sorted({place for item in items for place in item.definition.takes()})
    found = await flows.fields(flow, [f"r:{place}" for place in places])
    results = dict(zip(places, found, strict=True))
    failure: FlowFailure | None = None
    if any(isinstance(item.definition.source, str) for item in items):
        failure = await failure_of(connections, flow)
    sending: list[tuple[Item, Task]] = []
    for item in items:
        try:
            if item.definition.is_each:
                await _expand(connections, flow, item, results)
                continue
            sending.append((item, _task(flow, item, results, failure)))
        except (
            ValueError
        ) as error:  # a result that is neither JSON nor text, or of which no payload can be made
            await _refuse(connections, flow, item, f"its payload cannot be made: {error}")
    answers = await connections.client.enqueue_many([task for _, task in sending])
    sent: list[str] = []
    away: Exception | None = None
    for (item, _), answer in zip(sending, answers, strict=True):
        match answer:
            case (
                TaskInfo() | TaskIDConflictError() | NotReplicatedError()
            ):  # it is there, perhaps since before
                sent.append(item.step)
            case EnqueueError(__cause__=BrokerUnavailableError() as cause):
                away = cause
            case EnqueueError(__cause__=BrokerError() as refusal) if is_full(refusal):
                away = BrokerUnavailableError(f"Redis has no memory now: {refusal}")
            case _:
                await _refuse(connections, flow, item, f"it was not enqueued: {answer}")
    if sent and await flows.sent(flow, sent) < len(sent):
        await _take_back(connections, flow, {item.step: item.definition for item, _ in sending}, sent)
    if away is not None:
        raise away


def _task(flow: str, item: Item, results: dict[int, bytes | None], failure: FlowFailure | None) -> Task:
    source = item.definition.source
    value: Any = None
    if source is not None:
        value = failure if isinstance(source, str) else value_of(source, results)
    return item.definition.task(flow, item.step, value)


async def _expand(connections: Connections, flow: str, item: Item, results: dict[int, bytes | None]) -> None:
    """Make a step for each item; or, when these are done, put their results together.

    Raises: ValueError: there are no items, or too many, or a result is neither JSON nor text.
    """
    flows, step = connections.flows, item.step
    # read in one moment: somebody else may have made the steps of the items just now, and they are not done
    made, standing, missing = await flows.fields(flow, [f"n:{step}", f"s:{step}", f"w:{step}"])
    if standing != StepState.READY.encode() or (made is not None and missing != b"0"):
        return
    if made is not None:
        places = range(int(made))
        found = await flows.fields(flow, [f"r:{item_step(step, place)}" for place in places])
        whole = value_of(list(places), dict(enumerate(found)))
        await flows.done(flow, step, json.dumps(whole, ensure_ascii=False, allow_nan=False).encode())
        return
    values = None if item.definition.source is None else value_of(item.definition.source, results)
    if not isinstance(values, list):
        raise ValueError("what it takes is no list")
    if len(values) > limits.FLOW_STEPS:
        raise ValueError(f"there are {len(values)} items, more than {limits.FLOW_STEPS}")
    if values:
        await flows.expand(flow, step, [item.definition.item(value) for value in values])
    else:
        await flows.done(flow, step, b"[]")


async def _refuse(connections: Connections, flow: str, item: Item, why: str) -> None:
    """A step that cannot be enqueued has failed; of a follow-up it is only told."""
    if item.is_follow_up:
        logger.error("flow %s: what follows its end (%s) is left out: %s", flow, item.definition.type, why)
        await connections.flows.sent(flow, [item.step])
    else:
        await connections.flows.fail(flow, item.step, REFUSED, why)


async def _take_back(
    connections: Connections, flow: str, definitions: dict[str, Definition], steps: Sequence[str]
) -> None:
    """Others have sent them, too; or the flow was cancelled just before, and nobody knows of these tasks."""
    status, _, _ = await connections.flows.standing(flow, "")
    if status == FlowState.CANCELLED:
        for step in steps:
            with contextlib.suppress(TaskNotFoundError):
                await connections.inspector.cancel_task(definitions[step].queue, task_id(flow, step))


async def failure_of(connections: Connections, flow: str) -> FlowFailure:
    """What is known of the failure of a flow."""
    name, step, error = await connections.flows.fields(flow, ["name", "failed", "error"])
    failed = (step or b"").decode()
    (data,) = await connections.flows.fields(flow, [f"d:{failed}"])
    definition = None if data is None else defined(data)
    return FlowFailure(
        flow=flow,
        name=(name or b"").decode(),
        step=failed,
        task_type="" if definition is None else definition.type,
        queue="" if definition is None else definition.queue,
        task_id=task_id(flow, failed),
        error=(error or b"").decode("utf-8", "replace"),
    )
