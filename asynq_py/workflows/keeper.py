"""Keeper: what a server does for flows: records how steps end, and looks after flows that nobody moves."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

import anyio

from asynq_py.active_task import ActiveTask
from asynq_py.app.connections import Connections, Outlet
from asynq_py.broker.broker import StoredTask
from asynq_py.broker.faults import is_full
from asynq_py.broker.flows import Outlook
from asynq_py.clock import Clock
from asynq_py.connection import Connector, RedisSource
from asynq_py.errors import BrokerError, BrokerUnavailableError, RetryLater, RevokeTask, TaskNotFoundError
from asynq_py.handler import AsyncHandler
from asynq_py.outage import Backoff, Outage, every
from asynq_py.server.config import ServerConfig
from asynq_py.step_text import FLOW_HEADER, Definition, defined, is_follow_up, task_id
from asynq_py.wire import limits
from asynq_py.wire.messages import decode_task
from asynq_py.wire.state import FlowState, StepState, TaskState
from asynq_py.workflows.advance import advance

logger = logging.getLogger(__name__)
T = TypeVar("T")

AT_MOST: Final = 15.0  # seconds between looks at a flow that does not move
CALM: Final = 4.0  # a flow is looked at again after this part of the time since it moved last
FIRST_PAUSE: Final = 0.01  # seconds until a step that failed is looked at
LONGEST_PAUSE: Final = 1.0


class Keeper:
    """A companion of a server. Steps that it runs are recorded before they are acknowledged: after a crash
    between the two the step comes back, and is found to be done. All others, those that Go runs and those
    that fail, are found by looking at their tasks.

    `interval`: seconds between looks for flows that are to be looked at.
    """

    def __init__(
        self, open_connections: Callable[[], Connections], clock: Clock, *, place: str, interval: float
    ) -> None:
        self._open = open_connections
        self._clock = clock
        self._interval = interval
        self._outage = Outage(place)
        self._opened: Connections | None = None
        self._suspects: set[tuple[str, str, str]] = set()
        self._alarm = asyncio.Event()

    @property
    def _connections(self) -> Connections:
        if self._opened is None:
            self._opened = self._open()
        return self._opened

    # -- steps that this server runs --------------------------------------------------------------------

    def around(self, handler: AsyncHandler) -> AsyncHandler:
        async def call(active: ActiveTask) -> None:
            if ":" in active.id:  # as all steps have, and tasks without an ID of their own have not
                flow, _, step = active.id.rpartition(":")
                if active.headers.get(FLOW_HEADER) == flow and not is_follow_up(step):
                    await self._step(handler, active, flow, step)
                    return
            await handler(active)

        return call

    async def _step(self, handler: AsyncHandler, active: ActiveTask, flow: str, step: str) -> None:
        try:
            is_done = await self._is_done(flow, step)
        except BrokerUnavailableError as error:
            raise RetryLater(1.0, f"Redis is away, and with it flow {flow}") from error
        if not is_done:
            try:
                await handler(active)
            except BaseException:
                self._suspect(active.queue, flow, step)
                raise
            await self._record(active, flow, step)
        await self._persistently(lambda: advance(self._connections, flow))

    async def _is_done(self, flow: str, step: str) -> bool:
        """Is there nothing left to run? Raises: RevokeTask: nor will there be."""
        status, standing, cancels = await self._connections.flows.standing(flow, step)
        if standing == StepState.DONE:
            return True
        if status == FlowState.FAILED and standing == StepState.FAILED:  # somebody runs it again
            await self._connections.flows.resume(flow, {step: True})
            await self._connections.flows.look_again(flow, int(self._clock.time()))
        elif status == FlowState.CANCELLED or (status == FlowState.FAILED and cancels):
            raise RevokeTask(f"flow {flow} has ended: {status}")
        return False

    async def _record(self, active: ActiveTask, flow: str, step: str) -> None:
        """The work is done: do not lose it because Redis is away, as long as the task is ours."""
        flows = self._connections.flows
        result = await self._persistently(lambda: flows.result(active.queue, active.id))
        answer = await self._persistently(lambda: flows.done(flow, step, result))
        logger.debug("step %s of flow %s: %s", step, flow, answer)

    async def _persistently(self, call: Callable[[], Awaitable[T]]) -> T:
        backoff = Backoff()
        while True:
            try:
                return await call()
            except BrokerUnavailableError as error:
                self._outage.noticed(error)
            except BrokerError as error:
                if not is_full(error):
                    raise
            await asyncio.sleep(backoff.next())

    # -- all others -------------------------------------------------------------------------------------

    async def run(self) -> None:
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(every, lambda: self._interval, self.look_once, self._outage)
                group.start_soon(self._watch_suspects)
        finally:
            with anyio.CancelScope(shield=True):
                await self.aclose()

    async def step_once(self) -> None:
        """Look once at all that `run` looks at."""
        await self.look_once()
        await self._look_at(sorted(self._suspects))

    async def aclose(self) -> None:
        if self._opened is not None:
            await self._opened.aclose()

    async def look_once(self) -> None:
        """Look at all flows whose turn it is, and that no other server looks at just now."""
        flows = self._connections.flows
        if not await flows.is_due():
            return
        while found := await flows.turn(again_at=int(self._clock.time() + AT_MOST)):
            for flow in found:
                await self.look(flow)
            if len(found) < limits.FLOW_BATCH:
                return

    async def look(self, flow: str) -> None:
        """Do for a flow what nobody else has done."""
        flows = self._connections.flows
        seen = await flows.look(flow)
        now = self._clock.time()
        if seen.status is None:
            if seen.is_written:  # it will begin, or vanish
                await flows.look_again(flow, int(now) + limits.FLOW_UNBORN)
            else:
                await flows.forget(flow)
            return
        under_way = await self._settled(flow, seen)
        await flows.looked(flow, under_way)
        if seen.is_ready or len(under_way) < len(seen.out):
            await advance(self._connections, flow)
            seen = await flows.look(flow)
        await flows.look_again(flow, int(now + self._pause(seen, now)))

    def _pause(self, seen: Outlook, now: float) -> float:
        if (
            seen.status == FlowState.RUNNING
            or seen.out
            or (seen.is_ready and seen.status != FlowState.FAILED)
        ):
            return min(max((now - seen.changed_at) / CALM, 1.0), AT_MOST)
        return seen.keep + 1.0

    async def _settled(self, flow: str, seen: Outlook) -> list[str]:
        """Record how steps have ended. Returns those that have not."""
        if not seen.out:
            return []
        cancels = seen.status == FlowState.CANCELLED or (seen.status == FlowState.FAILED and seen.cancels)
        found = await self._connections.flows.fields(flow, [f"d:{step}" for step in seen.out])
        definitions = {
            step: defined(data) for step, data in zip(seen.out, found, strict=True) if data is not None
        }
        ended = await asyncio.gather(
            *(self._settle(flow, step, one, cancels) for step, one in definitions.items())
        )
        return [step for step, has_ended in zip(definitions, ended, strict=True) if not has_ended]

    async def _settle(self, flow: str, step: str, definition: Definition, cancels: bool) -> bool:
        """Record how a step has ended. Returns False when it has not."""
        flows, identity = self._connections.flows, task_id(flow, step)
        stored = await self._connections.tasks.task(definition.queue, identity)
        if stored is None:
            await flows.fail(flow, step, "gone", "its task is gone: deleted or revoked, or kept too short")
        elif stored.state == TaskState.COMPLETED:
            await flows.done(flow, step, stored.result)
        elif stored.state == TaskState.ARCHIVED:
            await flows.fail(flow, step, "archived", _error_of(stored, definition.queue, identity))
        elif not cancels or not await self._is_cancelled(definition.queue, identity):
            return False
        else:
            await flows.fail(flow, step, "gone", "cancelled")
        return True

    async def _is_cancelled(self, queue: str, identity: str) -> bool:
        try:
            return await self._connections.inspector.cancel_task(queue, identity)
        except TaskNotFoundError:
            return True
        except BrokerError as error:  # a worker may be denied what cancels a task
            logger.warning("task %s in %r cannot be cancelled: %s", identity, queue, error)
            return False

    # -- steps that failed here -------------------------------------------------------------------------

    def _suspect(self, queue: str, flow: str, step: str) -> None:
        """Look at this step as soon as it is written how it ended."""
        self._suspects.add((queue, flow, step))
        self._alarm.set()

    async def _watch_suspects(self) -> None:
        while True:
            await self._alarm.wait()
            self._alarm.clear()
            pause = FIRST_PAUSE
            while self._suspects:
                await asyncio.sleep(pause)
                pause = FIRST_PAUSE if self._alarm.is_set() else min(2 * pause, LONGEST_PAUSE)
                self._alarm.clear()
                try:
                    await self._look_at(sorted(self._suspects))
                except BrokerUnavailableError as error:
                    self._outage.noticed(error)
                except BrokerError as error:
                    logger.error("%s", error)
                    self._suspects.clear()

    async def _look_at(self, suspects: Sequence[tuple[str, str, str]]) -> None:
        for queue, flow, step in suspects:
            stored = await self._connections.tasks.task(queue, task_id(flow, step))
            if stored is not None and stored.state == TaskState.ACTIVE:
                continue
            if stored is None or stored.state != TaskState.RETRY:
                await self.look(flow)
            self._suspects.discard((queue, flow, step))


def keeper_of(outlet: Outlet, redis: RedisSource, config: ServerConfig) -> Keeper:
    """Make the companion of a server."""
    return Keeper(
        lambda: outlet.apart(redis, config.clock),
        config.clock,
        place=str(Connector(redis)),
        interval=config.forward_interval,
    )


def _error_of(stored: StoredTask, queue: str, identity: str) -> str:
    return decode_task(stored.message, queue=queue, task_id=identity).error_msg or "archived by hand"
