"""FlowInspector: look at flows, and steer them. The part of the Inspector that knows of them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, Protocol

from asynq_py.broker.flows import Flows, item_step
from asynq_py.clock import Clock, instant
from asynq_py.errors import AsynqError, BrokerUnavailableError, FlowNotFoundError, TaskNotFoundError
from asynq_py.info import FlowInfo, FlowStepInfo
from asynq_py.step_text import Definition, defined, is_follow_up, task_id
from asynq_py.wire import limits
from asynq_py.wire.state import FlowState, StepState

_HEAD: Final = (
    "name",
    "status",
    "total",
    "done",
    "created_at",
    "ended_at",
    "failed",
    "error",
    "steps",
    "follow_ups",
)


class Tasks(Protocol):
    """What an Inspector can do to the tasks of steps."""

    async def cancel_task(self, queue: str, task_id: str) -> bool: ...

    async def run_task(self, queue: str, task_id: str) -> None: ...


class FlowInspector:
    def __init__(self, flows: Flows, tasks: Tasks, clock: Clock) -> None:
        self._flows = flows
        self._tasks = tasks
        self._clock = clock

    async def flows(self, first: int, count: int) -> list[FlowInfo]:
        ids = await self._flows.page(first, count)
        heads: list[Mapping[str, str] | None] = []
        for start in range(0, len(ids), limits.FLOW_BATCH):  # many share a round trip
            heads += await asyncio.gather(*map(self._head, ids[start : start + limits.FLOW_BATCH]))
        found = [_info(flow, head, ()) for flow, head in zip(ids, heads, strict=True) if head is not None]
        return sorted(found, key=lambda info: info.created_at)

    async def flow(self, flow: str) -> FlowInfo:
        """Raises: FlowNotFoundError."""
        head = await self._existing(flow)
        ids = await self._ids(flow, head)
        states = await self._flows.fields(flow, [f"s:{step}" for step in ids])
        definitions = await self._definitions(flow, ids)
        steps = [
            _step(flow, step, state or b"waiting", definitions[step])
            for step, state in zip(ids, states, strict=True)
            if step in definitions
        ]
        return _info(flow, head, steps)

    async def cancel(self, flow: str) -> bool:
        """Raises: FlowNotFoundError."""
        answer = await self._flows.cancel(flow)
        if answer is None:
            raise FlowNotFoundError(flow)
        # again, if need be, for a caller that was lost half-way
        status, _, _ = await self._flows.standing(flow, "")
        if status == FlowState.CANCELLED:
            await self.cancel_steps(flow)
        return answer

    async def cancel_steps(self, flow: str) -> None:
        """Cancel all steps that are enqueued. Those that run are asked to end."""
        head = await self._existing(flow)
        ids = await self._ids(flow, head)
        states = await self._flows.fields(flow, [f"s:{step}" for step in ids])
        sent = [
            step
            for step, state in zip(ids, states, strict=True)
            if state == StepState.SENT.encode() and not is_follow_up(step)
        ]
        for step, definition in (await self._definitions(flow, sent)).items():
            try:
                is_gone = await self._tasks.cancel_task(definition.queue, task_id(flow, step))
            except TaskNotFoundError:
                is_gone = True
            if is_gone:
                await self._flows.fail(flow, step, "gone", "cancelled")

    async def retry(self, flow: str) -> bool:
        """Raises: FlowNotFoundError."""
        ids = await self._ids(flow, await self._existing(flow))
        states = await self._flows.fields(flow, [f"s:{step}" for step in ids])
        failed = [step for step, state in zip(ids, states, strict=True) if state == StepState.FAILED.encode()]
        there: dict[str, bool] = {}
        for step, definition in (await self._definitions(flow, failed)).items():
            there[step] = await self._run(definition.queue, task_id(flow, step))
        resumed = await self._flows.resume(flow, there) if there else 0
        if resumed:
            await self._flows.look_again(flow, int(self._clock.time()))
        return bool(resumed)

    async def _run(self, queue: str, identity: str) -> bool:
        """Let an archived task run again. Returns: is there one?"""
        try:
            await self._tasks.run_task(queue, identity)
        except TaskNotFoundError:
            return False
        except BrokerUnavailableError:
            raise
        except AsynqError:  # it runs already
            return True
        return True

    async def _ids(self, flow: str, head: Mapping[str, str]) -> list[str]:
        """The steps, each followed by those of its items, and what follows the end."""
        steps = list(map(str, range(int(head["steps"]))))
        made = await self._flows.fields(flow, [f"n:{step}" for step in steps])
        ids: list[str] = []
        for step, count in zip(steps, made, strict=True):
            ids += [step, *(item_step(step, place) for place in range(int(count or 0)))]
        return [*ids, *(f"f{place}" for place in range(int(head.get("follow_ups", 0))))]

    async def _existing(self, flow: str) -> Mapping[str, str]:
        head = await self._head(flow)
        if head is None:
            raise FlowNotFoundError(flow)
        return head

    async def _head(self, flow: str) -> Mapping[str, str] | None:
        values = await self._flows.fields(flow, _HEAD)
        head = {
            name: value.decode("utf-8", "replace")
            for name, value in zip(_HEAD, values, strict=True)
            if value is not None
        }
        return head if "status" in head else None

    async def _definitions(self, flow: str, steps: Sequence[str]) -> dict[str, Definition]:
        found = await self._flows.fields(flow, [f"d:{step}" for step in steps])
        return {step: defined(data) for step, data in zip(steps, found, strict=True) if data is not None}


def _info(flow: str, head: Mapping[str, str], steps: Sequence[FlowStepInfo]) -> FlowInfo:
    return FlowInfo(
        id=flow,
        name=head.get("name", ""),
        state=FlowState(head["status"]),
        total=int(head["total"]),
        done=int(head["done"]),
        created_at=instant(float(head["created_at"])),
        ended_at=_instant(head.get("ended_at")),
        failed_step=head.get("failed"),
        error=head.get("error"),
        steps=tuple(steps),
    )


def _step(flow: str, step: str, state: bytes, definition: Definition) -> FlowStepInfo:
    return FlowStepInfo(
        id=step,
        type=definition.type,
        queue=definition.queue,
        task_id=task_id(flow, step),
        state=StepState(state.decode()),
        after=tuple(map(str, definition.after)),
    )


def _instant(seconds: str | None) -> datetime | None:
    return None if seconds is None else instant(float(seconds))
