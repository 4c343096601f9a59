"""FlowHandle: a flow that was enqueued: how it stands, what came of it, an end to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, NamedTuple, TypeVar, cast

from asynq_py.app.connections import Connections
from asynq_py.errors import (
    BrokerUnavailableError,
    FlowCancelledError,
    FlowFailedError,
    FlowNotFoundError,
    InvalidOptionError,
)
from asynq_py.info import FlowInfo
from asynq_py.options import Duration, check_seconds
from asynq_py.step_text import numbers, value_of
from asynq_py.wire.state import FlowState
from asynq_py.workflows.advance import failure_of

R_co = TypeVar("R_co", covariant=True)

FIRST_PAUSE: Final = 0.02  # seconds
LONGEST_PAUSE: Final = 0.5
GROWTH: Final = 1.5


class FlowProgress(NamedTuple):
    """`done` of `total` steps have succeeded."""

    done: int
    total: int


class FlowHandle(Generic[R_co]):
    """A flow that was enqueued. For use in the event loop that made it.

    All methods raise FlowNotFoundError when the flow is gone, and BrokerUnavailableError.
    """

    def __init__(
        self,
        connections: Connections,
        flow_id: str,
        *,
        read: Callable[[Mapping[int, bytes | None]], Any] | None = None,
        shape: str | None = None,
    ) -> None:
        self._connections = connections
        self._read = read
        self._shape = shape
        self.id = flow_id

    async def result(self, timeout: Duration | None = None) -> R_co:
        """Wait until all steps are done, and return what the last one returned; of a gather, a list.

        `timeout`: seconds, or a timedelta, to wait at most; the flow goes on all the same. An outage of Redis
        is waited out.

        Raises: TimeoutError. FlowFailedError: a step failed for good. FlowCancelledError. PayloadError: the
        result is of another type. InvalidOptionError: the flow that had this ID before is of other steps.
        """
        seconds = None if timeout is None else check_seconds("timeout", timeout)
        try:
            async with asyncio.timeout(seconds):
                return await self._outcome()
        except TimeoutError:
            raise TimeoutError(f"flow {self.id!r} was not done within {seconds:g} s") from None

    async def info(self) -> FlowInfo:
        """Look at the flow and at each of its steps."""
        return await self._connections.inspector.flow(self.id)

    async def status(self) -> FlowState:
        """Say where the flow stands."""
        (status,) = await self._connections.flows.fields(self.id, ["status"])
        if status is None:
            raise FlowNotFoundError(self.id)
        return FlowState(status.decode())

    async def progress(self) -> FlowProgress:
        """Say how many of its steps are done."""
        done, total = await self._connections.flows.fields(self.id, ["done", "total"])
        if done is None or total is None:
            raise FlowNotFoundError(self.id)
        return FlowProgress(int(done), int(total))

    async def cancel(self) -> bool:
        """End the flow: what is not enqueued never is, waiting tasks are deleted, running ones asked to end.

        Returns False when it had ended before, and nothing was done.
        """
        return await self._connections.inspector.cancel_flow(self.id)

    async def retry(self) -> bool:
        """Try the steps again that failed, and go on with the flow. Returns False when none had failed."""
        return await self._connections.inspector.retry_flow(self.id)

    async def _outcome(self) -> R_co:
        await self._connections.waiting.let_run()
        pause = FIRST_PAUSE
        while True:
            with contextlib.suppress(BrokerUnavailableError):
                match await self.status():
                    case FlowState.SUCCEEDED:
                        return cast(R_co, await self._result())
                    case FlowState.CANCELLED:
                        raise FlowCancelledError(self.id)
                    case FlowState.FAILED:
                        raise await self._failure()
            await asyncio.sleep(pause)
            pause = min(pause * GROWTH, LONGEST_PAUSE)

    async def _failure(self) -> FlowFailedError:
        failure = await failure_of(self._connections, self.id)
        return FlowFailedError(
            self.id,
            task_type=failure["task_type"],
            queue=failure["queue"],
            task_id=failure["task_id"],
            error=failure["error"],
        )

    async def _result(self) -> Any:
        output, shape, name = await self._connections.flows.fields(self.id, ["output", "shape", "name"])
        if output is None:
            raise FlowNotFoundError(self.id)
        if self._shape is not None and shape is not None and shape.decode() != self._shape:
            told = "" if name is None else f", {name.decode()!r},"
            raise InvalidOptionError(
                "flow_id",
                self.id,
                f"that of no other flow: the one{told} which had it before is made of other steps; "
                "`app.flow(…)` reads its result",
            )
        source = json.loads(output)
        places = list(numbers(source))
        found = await self._connections.flows.fields(self.id, [f"r:{place}" for place in places])
        results = dict(zip(places, found, strict=True))
        return value_of(source, results) if self._read is None else self._read(results)

    def __repr__(self) -> str:
        return f"<FlowHandle {self.id}>"
