"""Errors of tasks to Sentry, in the trace of what enqueued them. Needs sentry-sdk, the extra `sentry`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Literal

from asynq_py import (
    ActiveTask,
    App,
    AsyncHandler,
    EnqueueCall,
    EnqueueError,
    InvalidOptionError,
    Task,
    TaskInfo,
    scheduled_at,
)
from asynq_py.integrations.outcomes import expected_outcome

try:
    import sentry_sdk
except ModuleNotFoundError as error:
    raise ImportError(
        'asynq_py.integrations.sentry needs sentry-sdk: pip install "asynq-py[sentry]"'
    ) from error

from sentry_sdk.integrations.logging import ignore_logger
from sentry_sdk.utils import event_from_exception

ORIGIN: Final = "auto.queue.asynq"
LOG_OF_TRIES: Final = "asynq_py.server.attempt_log"  # says the same as we do, and would report it again
TRACE: Final = "sentry-trace"
BAGGAGE: Final = "baggage"


class Sentry:
    """Reports what fails, and continues traces. Made once, beside `sentry_sdk.init`, before or after it.

    `report`: "final": an event when a task fails for good; tries before that are breadcrumbs of it. "every":
    an event for each try that fails. `payloads`: events show the payload, which may be private.

    Raises: InvalidOptionError.
    """

    def __init__(self, *, report: Literal["final", "every"] = "final", payloads: bool = False) -> None:
        if report not in ("final", "every"):
            raise InvalidOptionError("report", report, '"final" or "every"')
        self._reported = ("archived",) if report == "final" else ("archived", "retried", "lost")
        self._payloads = payloads
        ignore_logger(LOG_OF_TRIES)

    def instrument(self, app: App) -> None:
        """Add all this to an app and its flows. Before it enqueues or makes a server."""
        app.use(self.middleware)
        app.on_enqueue(self.client_middleware)
        app.mark_flows(_headers)

    async def client_middleware(
        self, tasks: Sequence[Task], call_next: EnqueueCall
    ) -> Sequence[TaskInfo | EnqueueError]:
        """Span the call, and put the trace into the headers of each task."""
        if not sentry_sdk.is_initialized() or not tasks:
            return await call_next(tasks)
        types, queues = {task.type for task in tasks}, {task.options.queue for task in tasks}
        name = tasks[0].type if len(types) == 1 else f"{len(tasks)} tasks"
        with _publishing(name) as span:
            span.set_data("messaging.system", "asynq")
            if len(queues) == 1:
                span.set_data("messaging.destination.name", tasks[0].options.queue)
            headers = dict(sentry_sdk.get_current_scope().iter_trace_propagation_headers(span=span))
            answers = await call_next([_traced(task, headers) for task in tasks])
            if len(answers) == 1 and isinstance(answers[0], TaskInfo):
                span.set_data("messaging.message.id", answers[0].id)
            return answers

    async def middleware(self, task: ActiveTask, call_next: AsyncHandler) -> None:
        """Run a try in a scope and a transaction of its own. As the outermost."""
        if not sentry_sdk.is_initialized():
            await call_next(task)
            return
        with sentry_sdk.isolation_scope() as scope:
            scope.clear_breadcrumbs()
            _describe(scope, task)
            if self._payloads:
                scope.set_context("payload", {"text": task.payload.decode(errors="replace")})
            transaction = sentry_sdk.continue_trace(
                dict(task.headers), op="queue.process", name=task.type, source="task", origin=ORIGIN
            )
            with sentry_sdk.start_transaction(transaction):
                _measure(transaction, task)
                failure: BaseException | None = None
                try:
                    await call_next(task)
                except BaseException as error:  # raised below: here it would make an error of any wish
                    failure = error
                outcome = expected_outcome(task, failure)
                transaction.set_tag("asynq.outcome", outcome)
                transaction.set_status(_status(outcome))
                if failure is not None and outcome in self._reported:
                    _report(scope, task, failure, outcome)
        if failure is not None:
            raise failure


@contextmanager
def _publishing(name: str) -> Iterator[Any]:
    """A span of who enqueues. A scheduler has none that lasts, so each of its times is a trace of its own."""
    if scheduled_at() is None:
        with sentry_sdk.start_span(op="queue.publish", name=name, origin=ORIGIN) as span:
            yield span
        return
    with sentry_sdk.isolation_scope():
        transaction = sentry_sdk.continue_trace(
            {}, op="queue.publish", name=name, source="task", origin=ORIGIN
        )
        with sentry_sdk.start_transaction(transaction):
            yield transaction


def _headers() -> dict[str, str]:
    """The present trace."""
    if not sentry_sdk.is_initialized():
        return {}
    return dict(sentry_sdk.get_current_scope().iter_trace_propagation_headers())


def _traced(task: Task, headers: dict[str, str]) -> Task:
    if TRACE in task.headers:  # of the flow that it belongs to
        return task
    ours = dict(headers)
    if BAGGAGE in task.headers and BAGGAGE in ours:  # somebody else's, of OpenTelemetry perhaps
        ours[BAGGAGE] = f"{task.headers[BAGGAGE]},{ours[BAGGAGE]}"
    return task.with_headers(ours)


def _describe(scope: Any, task: ActiveTask) -> None:
    """What every event of this try says."""
    scope.set_tag("asynq.type", task.type)
    scope.set_tag("asynq.queue", task.queue)
    scope.set_tag("asynq.task_id", task.id)
    scope.set_tag("asynq.attempt", str(task.retried + 1))
    about: dict[str, object] = {
        "type": task.type,
        "queue": task.queue,
        "task_id": task.id,
        "attempt": task.retried + 1,
        "max_retry": task.max_retry,
        "crashes": task.crashes,
        "deadline": task.deadline.isoformat(),
    }
    if task.group:
        about["group"] = task.group
    scope.set_context("asynq", about)
    if task.last_error is not None:
        scope.add_breadcrumb(
            category="asynq",
            level="warning",
            message=f"a try before this one failed: {task.last_error}",
            timestamp=task.last_failed_at,
            data={"failures": task.retried},
        )


def _measure(transaction: Any, task: ActiveTask) -> None:
    transaction.set_data("messaging.system", "asynq")
    transaction.set_data("messaging.destination.name", task.queue)
    transaction.set_data("messaging.message.id", task.id)
    transaction.set_data("messaging.message.retry.count", task.retried)


def _status(outcome: str) -> str:
    if outcome in ("retried", "archived"):
        return "internal_error"
    return "ok" if outcome == "done" else "aborted"


def _report(scope: Any, task: ActiveTask, failure: BaseException, outcome: str) -> None:
    if task.cancel_reason is not None and isinstance(failure, asyncio.CancelledError):
        # where it was cut off is what one wants to see, under a name that says why
        failure = TimeoutError(f"cancelled: {task.cancel_reason}").with_traceback(failure.__traceback__)
    event, hint = event_from_exception(
        failure,
        client_options=sentry_sdk.get_client().options,
        mechanism={"type": "asynq", "handled": outcome == "retried"},
    )
    scope.capture_event(event, hint=hint)
