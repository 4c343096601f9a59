"""One try of one task: deadline, handler, outcome. Behaviour 5.4 and 6."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from asynq_py import progress
from asynq_py.active_task import ActiveTask, CancelReason, set_current_task
from asynq_py.broker.broker import Broker, Owned
from asynq_py.clock import Clock, instant
from asynq_py.errors import InvalidOptionError, LeaseExpiredError
from asynq_py.handler import AsyncHandler
from asynq_py.server import attempt_log, callbacks, outcome
from asynq_py.server.config import ServerConfig
from asynq_py.server.outcome import Outcome
from asynq_py.server.reporter import Reporter
from asynq_py.server.threads import Threads
from asynq_py.wire import limits
from asynq_py.wire.messages import TaskMessage

logger = logging.getLogger(__name__)
T = TypeVar("T")

CANCEL_AGAIN = 0.1  # seconds, growing; a handler may swallow one cancelation but hardly a row of them


class Report(Protocol):
    """Where an attempt says how it ended. No outcome: nothing may be written. A bug: ours, no handler's."""

    def __call__(self, attempt: Attempt, outcome: Outcome | None, bug: Exception | None = None) -> None: ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all attempts of a server share.

    `stuck` hears of a try that has not ended `cancel_grace` after it was cancelled; `interrupted`, that a
    handler raised KeyboardInterrupt. `is_torn_down`: is the whole server being cancelled?
    """

    handler: AsyncHandler
    config: ServerConfig
    clock: Clock
    broker: Broker
    threads: Threads
    report: Report
    stuck: Callable[[Attempt], object]
    interrupted: Callable[[], object]
    is_torn_down: Callable[[], bool] = lambda: False


class Attempt:
    """A try, from the moment its task is fetched until its outcome is known.

    `key`: its place among those in flight. `valid_until`: when our lease ends, on the monotonic clock.
    `taken_at`, `started_at` (None: not yet) and `deadline`: Unix seconds.
    """

    __slots__ = (
        "_again", "_around", "_cancelled_for", "_ended", "_has_begun", "_reporter", "_timer",
        "cancel_reason", "crashes", "deadline", "has_left_thread", "id", "key", "message", "owned",
        "pending_since", "queue", "started_at", "taken_at", "task", "valid_until",
    )  # fmt: skip

    def __init__(
        self,
        around: Surroundings,
        message: TaskMessage,
        owned: Owned,
        *,
        crashes: int = 0,
        pending_since: bytes | None = None,
        taken_at: float,
        valid_until: float,
    ) -> None:
        self._around = around
        self._again = CANCEL_AGAIN
        self._cancelled_for = 0.0  # by waits between deliveries, so a blocked loop makes nobody stuck
        self._timer: asyncio.TimerHandle | None = None
        self._has_begun = False
        self._reporter: Reporter | None = None
        self._ended = False
        self.message = message
        self.id = message.id
        self.queue = message.queue
        self.key = (self.queue, self.id)
        self.owned = owned
        self.crashes = crashes
        self.pending_since = pending_since
        self.valid_until = valid_until
        self.taken_at = taken_at
        self.started_at: float | None = None
        self.deadline = math.inf
        self.cancel_reason: CancelReason | None = None
        self.has_left_thread = False
        self.task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Start the try, in an asyncio task of its own. The one who calls waits for its report."""
        self.started_at = now = self._around.clock.time()
        self.deadline = _deadline(self.message, now)
        self.task = asyncio.get_running_loop().create_task(self._run())

    @property
    def is_running(self) -> bool:
        return self.task is not None and not self._ended

    def cancel(self, reason: CancelReason) -> None:
        """Cancel the handler, again and again until it ends. The first reason counts."""
        if self._ended or self.cancel_reason is not None:
            return
        self.cancel_reason = reason
        if self._has_begun:  # else it will see the reason before it begins
            self._deliver_cancel()

    def abandon(self) -> None:
        """Hear of it no more, and write nothing, whatever becomes of it: its task is left to the lease."""

        def unheard(*_: object, **__: object) -> None: ...

        self._around = replace(self._around, report=unheard, stuck=unheard, interrupted=unheard)

    def time_out(self) -> None:
        """Cancel the handler, because its deadline has come."""
        self.cancel(self._overdue())

    def begin_closing(self) -> None:
        """Cancel no more before the grace is over, except for the first cancelation, if it is yet to come."""
        self._again = math.inf
        if self._timer is not None and not self._ended:
            self._timer.cancel()
            left = max(self._timer.when() - asyncio.get_running_loop().time(), 0.0)
            if self._cancelled_for < math.inf:
                self._cancelled_for -= left
            self._wait_for_end()

    def report(self, done: float, total: float | None, note: str | None) -> None:
        """Write how far it has come, now or soon. From any thread. When it has ended, nothing is written."""
        task, retried = self.task, self.message.retried
        data = progress.report(done, total, note, at=self._around.clock.time(), retried=retried)
        if task is None or self._ended:
            return
        if self._reporter is None:
            self._reporter = Reporter(self._write_progress, self._around.clock, task.get_loop())
        self._reporter.report(data)

    async def _write_progress(self, data: bytes) -> bool:
        return await self._around.broker.write_progress(self.queue, self.id, self.owned.token, data)

    async def write_result(self, data: bytes) -> None:
        limit = self._around.config.result_limit
        if len(data) > limit:
            allowed = f"at most {limit} bytes (Server's result_limit)"
            raise InvalidOptionError("result", f"{len(data)} bytes", allowed)
        if not await self._around.broker.write_result(self.queue, self.id, self.owned.token, data):
            raise LeaseExpiredError(self.queue, self.id)

    async def run_in_thread(self, function: Callable[[ActiveTask], T], task: ActiveTask) -> T:
        """A thread cannot be stopped: wait for it even when cancelled, unless the whole server ends."""
        future = asyncio.wrap_future(await self._around.threads.submit(function, task))
        cancelled: asyncio.CancelledError | None = None
        while not future.done():
            try:
                await asyncio.wait([future])
            except asyncio.CancelledError as error:
                if self.cancel_reason is None or self.cancel_reason is CancelReason.SHUTDOWN:
                    self.has_left_thread = True
                    future.add_done_callback(_ignore)
                    raise
                cancelled = error
        if cancelled is not None and isinstance(future.exception(), asyncio.CancelledError):
            raise cancelled
        return future.result()

    # -- the try ----------------------------------------------------------------------------------------

    async def _run(self) -> None:
        """Try, and report. Never raises, except when the whole server is torn down."""
        self._has_begun = True
        active = ActiveTask(self.message, self)
        set_current_task(active)
        ended: Outcome | None = None
        bug: Exception | None = None
        try:
            error = await self._try(active)
            if error is None and self.cancel_reason is None:
                ended = self._success()  # this stands, whatever goes wrong from now on
            if self._reporter is not None:
                await self._reporter.close()
            if ended is None:
                ended = await self._judge(active, error)
            else:
                logger.info("done %s", active)
        except asyncio.CancelledError:  # torn down, perhaps before the end is known
            ended = ended or self._handed_back()
            raise
        except Exception as error:
            bug = error
        finally:
            self._ended = True
            self.task = None  # which leads back here by its context: a circle for the garbage collector
            self._around.report(self, ended, bug)

    async def _try(self, active: ActiveTask) -> BaseException | None:
        """Run the handler to its end. Returns the error it ended with."""
        if self.cancel_reason is None and self.deadline <= (self.started_at or 0.0):
            self.cancel_reason = self._overdue()  # a deadline in the past: the handler is not called at all
        if self.cancel_reason is not None:
            return self._cancelation_error()
        logger.debug("started %s", active)
        try:
            await self._around.handler(active)
        except asyncio.CancelledError as error:
            if self.cancel_reason is not None:
                return self._cancelation_error()
            if self._around.is_torn_down():
                raise
            return error  # the handler's own, or of somebody who cancelled its asyncio task
        except GeneratorExit as error:
            if asyncio.current_task() is not self.task:
                raise  # the coroutine is closed from outside, after its event loop has ended
            return error
        except BaseException as error:
            # SystemExit and the like must not reach the event loop, where they would end every other task
            if isinstance(error, KeyboardInterrupt):
                self._around.interrupted()
            return error
        finally:
            self._ended = True
            if self._timer is not None:
                self._timer.cancel()
                await _absorb_cancelation(self.task)
        return None

    def _overdue(self) -> CancelReason:
        is_absolute = self.message.deadline and self.deadline >= self.message.deadline
        return CancelReason.DEADLINE if is_absolute else CancelReason.TIMEOUT

    def _deliver_cancel(self) -> None:
        if self._ended or self.task is None:
            return
        self.task.cancel()
        left = self._around.config.cancel_grace - self._cancelled_for
        if left <= 0 < self._cancelled_for < math.inf:
            self._cancelled_for = math.inf
            self._around.stuck(self)
        self._wait_for_end()

    def _wait_for_end(self) -> None:
        """Cancel again after a while."""
        left = self._around.config.cancel_grace - self._cancelled_for
        pause = min(self._again, max(left, 0.001) if self._cancelled_for < math.inf else 1.0)
        self._cancelled_for += pause
        self._again = min(self._again * 2, 1.0)
        self._timer = asyncio.get_running_loop().call_later(pause, self._deliver_cancel)

    def _cancelation_error(self) -> BaseException:
        match self.cancel_reason:
            case CancelReason.TIMEOUT:
                return TimeoutError(f"not done within {self.deadline - (self.started_at or 0.0):.0f} s")
            case CancelReason.DEADLINE:
                return TimeoutError(f"not done by {instant(self.deadline):%F %TZ}")
            case CancelReason.LEASE_LOST:
                return LeaseExpiredError(self.queue, self.id)
            case _:
                return asyncio.CancelledError("canceled")

    # -- its end ----------------------------------------------------------------------------------------

    async def _judge(self, active: ActiveTask, error: BaseException | None) -> Outcome | None:
        if self.cancel_reason is CancelReason.SHUTDOWN and error is not None and not outcome.is_wish(error):
            logger.info("handed back %s", active)
            return self._handed_back()
        if self.cancel_reason is CancelReason.LEASE_LOST:
            await self._tell(active, error or LeaseExpiredError(self.queue, self.id))
            attempt_log.lost(active)
            return None
        if error is None:
            logger.info("done %s", active)
            return self._success()
        now = self._around.clock.time()
        await self._tell(active, error)
        ended = outcome.fail(
            self.owned, self.message, error, now, callbacks.rules(self._around.config, active)
        )
        attempt_log.failed(active, error, ended, now)
        return ended

    async def _tell(self, active: ActiveTask, error: BaseException) -> None:
        around = self._around
        await callbacks.tell(around.config, active, error, is_torn_down=around.is_torn_down)

    def _success(self) -> Outcome:
        return outcome.succeed(self.owned, self.message, self._around.clock.time())

    def _handed_back(self) -> Outcome | None:
        # a thread that still runs must not meet a second run: its lease ends, then the task is recovered
        return None if self.has_left_thread else outcome.Requeue(self.owned)


def _deadline(message: TaskMessage, now: float) -> float:
    """When a try that starts now must end. Behaviour 5.2."""
    if message.timeout and message.deadline:
        return min(now + message.timeout, float(message.deadline))
    if message.deadline:
        return float(message.deadline)
    return now + (message.timeout or limits.DEFAULT_TIMEOUT)


async def _absorb_cancelation(task: asyncio.Task[None] | None) -> None:
    """Take in a cancelation that was asked for but came too late to be delivered."""
    while task is not None and task.uncancel():
        pass
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(0)


def _ignore(future: asyncio.Future[T]) -> None:
    """Look at the outcome of a thread that nobody waits for any more, so that it is not reported as lost."""
    if not future.cancelled():
        future.exception()
