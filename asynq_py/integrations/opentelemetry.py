"""Traces and metrics by OpenTelemetry, by its conventions for messaging.

Needs opentelemetry-api, the extra `otel`; where the numbers go, an SDK decides that the application sets up.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Final, Literal

from asynq_py import (
    ActiveTask,
    App,
    AsyncHandler,
    CancelReason,
    DuplicateTaskError,
    EnqueueCall,
    EnqueueError,
    InvalidOptionError,
    Task,
    TaskIDConflictError,
    TaskInfo,
    __version__,
    scheduled_at,
)
from asynq_py.integrations.outcomes import expected_outcome
from asynq_py.integrations.task_types import TaskTypes

try:
    from opentelemetry import propagate, trace
except ModuleNotFoundError as error:
    raise ImportError(
        'asynq_py.integrations.opentelemetry needs opentelemetry-api: pip install "asynq-py[otel]"'
    ) from error

from opentelemetry.context import Context, attach, detach
from opentelemetry.metrics import MeterProvider, get_meter
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, TracerProvider

SYSTEM: Final = "asynq"
BAGGAGE: Final = "baggage"
SCHEMA: Final = "https://opentelemetry.io/schemas/1.36.0"
BUCKETS: Final = (
    0.005,
    0.01,
    0.025,
    0.05,
    0.075,
    0.1,
    0.25,
    0.5,
    0.75,
    1,
    2.5,
    5,
    7.5,
    10,
)  # the conventions'
LAG_BUCKETS: Final = (0.002, 0.005, 0.01, 0.025, 0.1, 0.5, 1, 5, 30, 60, 300, 1800)

Attributes = dict[str, str | int]


class Telemetry:
    """Spans and metrics of clients and servers. Made once, where the application sets up OpenTelemetry.

    `relation`: of the span of a try to the one that enqueued its task, whose context travels in the headers.
    "child": it belongs to the same trace, and has a link as well. "link": a trace of its own with a link,
    for tasks that run much later. `names`: what a span's name says beside "enqueue" or "process": the
    "queue", as the conventions have it, or the "type" of the task. `types`: tasks of these types get metrics
    of their own, all others share "other"; None: the first 100 that are seen. Providers and propagator: those
    of OpenTelemetry's own settings unless given.

    Raises: InvalidOptionError.
    """

    def __init__(
        self,
        *,
        relation: Literal["child", "link"] = "child",
        names: Literal["queue", "type"] = "queue",
        types: Collection[str] | None = None,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        propagator: TextMapPropagator | None = None,
    ) -> None:
        if relation not in ("child", "link"):
            raise InvalidOptionError("relation", relation, '"child" or "link"')
        if names not in ("queue", "type"):
            raise InvalidOptionError("names", names, '"queue" or "type"')
        self._is_child = relation == "child"
        self._by_type = names == "type"
        self._types = TaskTypes(types)
        self._propagator = propagator
        self._tracer = trace.get_tracer(__name__, __version__, tracer_provider, SCHEMA)
        meter = get_meter(__name__, __version__, meter_provider, SCHEMA)
        self._operation = meter.create_histogram(
            "messaging.client.operation.duration",
            "s",
            "Duration of messaging operation initiated by a producer or consumer client.",
            explicit_bucket_boundaries_advisory=BUCKETS,
        )
        self._sent = meter.create_counter(
            "messaging.client.sent.messages",
            "{message}",
            "Number of messages producer attempted to send to the broker.",
        )
        self._consumed = meter.create_counter(
            "messaging.client.consumed.messages",
            "{message}",
            "Number of messages that were delivered to the application.",
        )
        self._process = meter.create_histogram(
            "messaging.process.duration",
            "s",
            "Duration of processing operation.",
            explicit_bucket_boundaries_advisory=BUCKETS,
        )
        self._lag = meter.create_histogram(
            "asynq.task.lag",
            "s",
            "Time that tasks were pending before their handler began.",
            explicit_bucket_boundaries_advisory=LAG_BUCKETS,
        )

    def instrument(self, app: App) -> None:
        """Add all this to an app and its flows. Before it enqueues or makes a server."""
        app.use(self.middleware)
        app.on_enqueue(self.client_middleware)
        app.mark_flows(self.headers)

    def headers(self) -> dict[str, str]:
        """The present context as headers of a task."""
        headers: dict[str, str] = {}
        propagator = self._propagator or propagate.get_global_textmap()
        propagator.inject(headers)  # pyright: ignore[reportArgumentType]  # of its own default
        return headers

    # -- enqueueing -------------------------------------------------------------------------------------

    async def client_middleware(
        self, tasks: Sequence[Task], call_next: EnqueueCall
    ) -> Sequence[TaskInfo | EnqueueError]:
        """Span the call, and put the context of that span into the headers of each task that has none.

        What a scheduler enqueues begins a trace, and does not belong to where the scheduler was started.
        """
        if not tasks:
            return await call_next(tasks)
        attributes = _operation("enqueue", "send")
        queues = {task.options.queue for task in tasks}
        if len(queues) == 1:
            attributes["messaging.destination.name"] = tasks[0].options.queue
        numbers = dict(attributes)
        attributes |= self._of_tasks(tasks)
        began = time.perf_counter()
        with self._tracer.start_as_current_span(
            self._name("enqueue", attributes),
            None if scheduled_at() is None else Context(),
            kind=SpanKind.PRODUCER,
            attributes=attributes,
        ) as span:
            answers = await call_next([self._injected(task, span) for task in tasks])
            if kind := _tell(span, answers):
                numbers["error.type"] = kind
        self._operation.record(time.perf_counter() - began, numbers)
        self._sent.add(len(tasks), numbers)
        return answers

    def _of_tasks(self, tasks: Sequence[Task]) -> Attributes:
        attributes: Attributes = {}
        if len(tasks) > 1:
            attributes["messaging.batch.message_count"] = len(tasks)
        types = {task.type for task in tasks}
        if len(types) == 1:
            attributes["asynq.task.type"] = tasks[0].type
        return attributes

    def _injected(self, task: Task, span: Span) -> Task:
        if task.headers:
            propagator = self._propagator or propagate.get_global_textmap()
            context = propagator.extract(task.headers, Context())
            origin = trace.get_current_span(context).get_span_context()
            if origin.is_valid:  # that of the caller, or of the flow that it belongs to, is kept
                span.add_link(origin)
                return task
        headers = self.headers()
        if BAGGAGE in headers and BAGGAGE in task.headers:  # somebody else's, of Sentry perhaps
            headers[BAGGAGE] = f"{task.headers[BAGGAGE]},{headers[BAGGAGE]}"
        return task.with_headers(headers) if headers else task

    # -- handling ---------------------------------------------------------------------------------------

    async def middleware(self, task: ActiveTask, call_next: AsyncHandler) -> None:
        """Span a try, and measure it. As the outermost, so that it sees what others do."""
        numbers = _operation("process", "process")
        numbers["messaging.destination.name"] = task.queue
        attributes: Attributes = {
            **numbers,
            "messaging.message.id": task.id,
            "asynq.task.type": task.type,
            "asynq.task.attempt": task.retried + 1,
            "asynq.task.max_retry": task.max_retry,
        }
        context, links = self._extracted(task.headers)
        if (since := task.pending_since) is not None:
            self._lag.record(
                max(0.0, time.time() - since.timestamp()), {"messaging.destination.name": task.queue}
            )
        numbers["asynq.task.type"] = self._types.label(task.type)
        began = time.perf_counter()
        failure: BaseException | None = None
        token = attach(context)  # with its baggage, and without any of those who started the server
        try:
            with self._tracer.start_as_current_span(
                self._name("process", attributes),
                kind=SpanKind.CONSUMER,
                links=links,
                attributes=attributes,
                record_exception=False,  # how a try ends decides what is an error
                set_status_on_exception=False,
            ) as span:
                try:
                    await call_next(task)
                except BaseException as error:
                    failure = error
                    raise
                finally:
                    self._tell_end(span, task, failure, numbers)
                    self._process.record(time.perf_counter() - began, numbers)
                    self._consumed.add(1, numbers)
        finally:
            detach(token)

    def _tell_end(
        self, span: Span, task: ActiveTask, failure: BaseException | None, numbers: Attributes
    ) -> None:
        numbers["asynq.task.outcome"] = outcome = expected_outcome(task, failure)
        span.set_attribute("asynq.task.outcome", outcome)
        if failure is not None and outcome in ("retried", "archived", "lost"):
            numbers["error.type"] = kind = _kind(failure, task.cancel_reason)
            _fail(span, kind, failure)

    def _extracted(self, headers: Mapping[str, str]) -> tuple[Context, list[Link]]:
        """Where a try belongs: nowhere, but to what its task has brought."""
        propagator = self._propagator or propagate.get_global_textmap()
        context = propagator.extract(headers, Context())
        origin = trace.get_current_span(context).get_span_context()
        if not origin.is_valid:
            return context, []
        if not self._is_child:  # baggage comes along all the same
            context = trace.set_span_in_context(trace.INVALID_SPAN, context)
        return context, [Link(origin)]

    def _name(self, operation: str, attributes: Mapping[str, object]) -> str:
        wanted = "asynq.task.type" if self._by_type else "messaging.destination.name"
        return f"{operation} {attributes[wanted]}" if wanted in attributes else operation


def _operation(name: str, kind: str) -> Attributes:
    return {
        "messaging.system": SYSTEM,
        "messaging.operation.name": name,
        "messaging.operation.type": kind,
    }


def _tell(span: Span, answers: Sequence[TaskInfo | EnqueueError]) -> str:
    """Returns what kind of error it was; "": none. That a task is there already is no error."""
    first = answers[0]
    if len(answers) == 1 and isinstance(first, TaskInfo):
        span.set_attribute("messaging.message.id", first.id)
    refused = [answer for answer in answers if isinstance(answer, EnqueueError)]
    if not refused:
        return ""
    span.set_attribute("asynq.enqueue.refused", len(refused))
    wrong = [answer for answer in refused if not isinstance(answer, DuplicateTaskError | TaskIDConflictError)]
    if not wrong:
        return ""
    reason = wrong[0].__cause__ or wrong[0]
    _fail(span, kind := type(reason).__qualname__, reason)
    return kind


def _kind(error: BaseException, reason: CancelReason | None) -> str:
    return type(error).__qualname__ if reason is None else str(reason)


def _fail(span: Span, kind: str, error: BaseException) -> None:
    span.record_exception(error)
    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))
