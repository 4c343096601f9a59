"""Run a flow where it is enqueued, step by step, as an app does that is eager: for tests."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from asynq_py.app.connections import Connections
from asynq_py.broker.flows import item_step
from asynq_py.errors import AsynqError
from asynq_py.info import FlowInfo, FlowStepInfo
from asynq_py.options import Duration
from asynq_py.step_text import Definition, Source, defined, task_id, value_of
from asynq_py.wire.state import FlowState, StepState, TaskState
from asynq_py.workflows.advance import FlowFailure
from asynq_py.workflows.handle import FlowHandle, FlowProgress
from asynq_py.workflows.plan import Plan, PlannedStep


async def run_here(connections: Connections, plan: Plan, *, flow: str, name: str) -> FlowHandle[Any]:
    """What a step raises is raised here, once what follows a failure has run."""
    run = Run(connections, plan, flow, name)
    await run.play()
    return HandleOfRun(connections, run)


class Run:
    """A flow that is run at once."""

    def __init__(self, connections: Connections, plan: Plan, flow: str, name: str) -> None:
        self._connections = connections
        self._results: dict[int, bytes | None] = {}
        self.plan = plan
        self.flow = flow
        self.name = name
        self.began_at = datetime.now(UTC)

    async def play(self) -> None:
        for place, step in enumerate(self.plan.steps):
            try:
                self._results[place] = await self._result(step)
            except Exception as error:
                failure = self._failure(step, error)
                for case in ("on_failure", "on_archive"):
                    await self._follow(case, failure)
                raise
        await self._follow("on_success", self._value(self.plan.output))

    def result(self) -> Any:
        return self.plan.read(self._results)

    def info(self) -> FlowInfo:
        count = len(self.plan.steps)
        return FlowInfo(
            id=self.flow,
            name=self.name,
            state=FlowState.SUCCEEDED,
            total=count,
            done=count,
            created_at=self.began_at,
            ended_at=self.began_at,
            failed_step=None,
            error=None,
            steps=tuple(self._told(step) for step in self.plan.steps),
        )

    def _value(self, source: Source | None) -> Any:
        return None if source is None else value_of(source, self._results)

    async def _follow(self, case: str, value: Any) -> None:
        for step in self.plan.follow_ups[case]:
            await self._run(step.id, defined(step.definition()), value)

    async def _result(self, step: PlannedStep) -> bytes | None:
        value, definition = self._value(step.source), defined(step.definition())
        if not step.is_each:
            return await self._run(step.id, definition, value)
        found = [
            await self._run(item_step(step.id, place), defined(definition.item(item)), None)
            for place, item in enumerate(value)
        ]
        return json.dumps(value_of(list(range(len(found))), dict(enumerate(found)))).encode()

    async def _run(self, step: str, definition: Definition, value: Any) -> bytes | None:
        await self._connections.client.enqueue(definition.task(self.flow, step, value))
        identity = task_id(self.flow, step)
        info = await self._connections.inspector.task_info(definition.queue, identity)
        if info.state is not TaskState.COMPLETED:
            raise AsynqError(f"task {info.type!r} has no function here, so nothing has run it")
        return info.result

    def _failure(self, step: PlannedStep, error: Exception) -> FlowFailure:
        return FlowFailure(
            flow=self.flow,
            name=self.name,
            step=step.id,
            task_type=step.call.name,
            queue=step.call.task.options.queue,
            task_id=task_id(self.flow, step.id),
            error=f"{type(error).__name__}: {error}",
        )

    def _told(self, step: PlannedStep) -> FlowStepInfo:
        return FlowStepInfo(
            id=step.id,
            type=step.call.name,
            queue=step.call.task.options.queue,
            task_id=task_id(self.flow, step.id),
            state=StepState.DONE,
            after=tuple(map(str, step.after)),
        )


class HandleOfRun(FlowHandle[Any]):
    """Of a flow that has succeeded already."""

    def __init__(self, connections: Connections, run: Run) -> None:
        super().__init__(connections, run.flow)
        self._run = run

    async def result(self, timeout: Duration | None = None) -> Any:
        return self._run.result()

    async def info(self) -> FlowInfo:
        return self._run.info()

    async def status(self) -> FlowState:
        return FlowState.SUCCEEDED

    async def progress(self) -> FlowProgress:
        return FlowProgress(len(self._run.plan.steps), len(self._run.plan.steps))

    async def cancel(self) -> bool:
        return False

    async def retry(self) -> bool:
        return False
