"""Spans and metrics from enqueue to handler, as the SDK of OpenTelemetry exports them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, NumberDataPoint
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode

from asynq_py import (
    ActiveTask,
    App,
    CancelReason,
    Client,
    DuplicateTaskError,
    InvalidOptionError,
    RetryLater,
    RevokeTask,
    ServeMux,
    Server,
    SkipRetry,
    SyncClient,
    Task,
    chain,
    gather,
)
from asynq_py.integrations.opentelemetry import Telemetry
from tests.unit.tries import Try, active_task

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"


class Exported:
    """An SDK whose exports stay in memory."""

    def __init__(self) -> None:
        self._spans = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self.meters = MeterProvider([self._reader])

    def telemetry(self, **settings: Any) -> Telemetry:
        return Telemetry(tracer_provider=self.tracers, meter_provider=self.meters, **settings)

    def spans(self, name: str = "") -> list[ReadableSpan]:
        return [span for span in self._spans.get_finished_spans() if span.name.startswith(name)]

    def points(self, metric: str) -> list[NumberDataPoint | HistogramDataPoint]:
        data = self._reader.get_metrics_data()
        return [
            point
            for resource in (data.resource_metrics if data else [])
            for scope in resource.scope_metrics
            for found in scope.metrics
            if found.name == metric
            for point in found.data.data_points
            if isinstance(point, NumberDataPoint | HistogramDataPoint)
        ]


@pytest.fixture
def exported() -> Iterator[Exported]:
    exported = Exported()
    yield exported
    exported.tracers.shutdown()
    exported.meters.shutdown()


def _attributes(span: ReadableSpan | NumberDataPoint | HistogramDataPoint) -> Mapping[str, Any]:
    return dict(span.attributes or {})


def _context(span: ReadableSpan) -> trace.SpanContext:
    found: trace.SpanContext | None = span.context
    assert found is not None
    return found


def _server(url: str, mux: ServeMux) -> Server:
    return Server(url, mux, poll_interval=0.05, forward_interval=0.05, retry_delay=lambda n, error, task: 0.0)


async def test_a_trace_leads_from_enqueue_to_the_handler(redis_url: str, exported: Exported) -> None:
    telemetry, mux, done = exported.telemetry(), ServeMux(), asyncio.Event()
    mux.use(telemetry.middleware)
    inside: list[trace.SpanContext] = []

    @mux.handler("mail:send")
    async def send(task: ActiveTask) -> None:
        inside.append(trace.get_current_span().get_span_context())
        done.set()

    async with Client(redis_url, middleware=[telemetry.client_middleware]) as client:
        with exported.tracers.get_tracer("web").start_as_current_span("GET /") as request:
            info = await client.enqueue(Task("mail:send"), queue="default", max_retry=3)
        async with _server(redis_url, mux), asyncio.timeout(20):
            await done.wait()

    (enqueue,), (process,) = exported.spans("enqueue"), exported.spans("process")
    assert (enqueue.name, enqueue.kind) == ("enqueue default", SpanKind.PRODUCER)
    assert enqueue.parent == request.get_span_context()
    assert _attributes(enqueue) == {
        "messaging.system": "asynq",
        "messaging.operation.name": "enqueue",
        "messaging.operation.type": "send",
        "messaging.destination.name": "default",
        "messaging.message.id": info.id,
        "asynq.task.type": "mail:send",
    }
    assert (process.name, process.kind) == ("process default", SpanKind.CONSUMER)
    assert process.parent is not None
    assert (process.parent.trace_id, process.parent.span_id, process.parent.is_remote) == (
        *(_context(enqueue).trace_id, _context(enqueue).span_id, True),
    )
    assert [link.context for link in process.links] == [process.parent]
    assert _attributes(process) == {
        "messaging.system": "asynq",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "default",
        "messaging.message.id": info.id,
        "asynq.task.type": "mail:send",
        "asynq.task.attempt": 1,
        "asynq.task.max_retry": 3,
        "asynq.task.outcome": "done",
    }
    assert inside == [process.context]
    assert {span.status.status_code for span in (enqueue, process)} == {StatusCode.UNSET}


async def test_the_header_is_the_one_that_w3c_defines(redis_url: str, exported: Exported) -> None:
    async with Client(redis_url, middleware=[exported.telemetry().client_middleware]) as client:
        info = await client.enqueue(Task("t", headers={"tenant": "acme"}))

    (span,) = exported.spans()
    here = _context(span)
    assert info.headers == {
        "tenant": "acme",
        "traceparent": f"00-{here.trace_id:032x}-{here.span_id:016x}-{here.trace_flags:02x}",
    }


async def test_each_try_has_a_span_below_the_same_origin(redis_url: str, exported: Exported) -> None:
    telemetry, mux, done = exported.telemetry(), ServeMux(), asyncio.Event()
    mux.use(telemetry.middleware)

    @mux.handler("t")
    async def fail_once(task: ActiveTask) -> None:
        if not task.retried:
            raise LookupError("no such thing")
        done.set()

    async with Client(redis_url, middleware=[telemetry.client_middleware]) as client:
        await client.enqueue(Task("t"))
        async with _server(redis_url, mux), asyncio.timeout(20):
            await done.wait()

    (enqueue,), (first, second) = exported.spans("enqueue"), exported.spans("process")
    assert [span.parent.span_id for span in (first, second) if span.parent] == [_context(enqueue).span_id] * 2
    assert [
        (_attributes(span)["asynq.task.attempt"], _attributes(span)["asynq.task.outcome"])
        for span in (first, second)
    ] == [(1, "retried"), (2, "done")]
    assert (first.status.status_code, first.status.description) == (
        StatusCode.ERROR,
        "LookupError: no such thing",
    )
    assert _attributes(first)["error.type"] == "LookupError"
    assert [event.name for event in first.events] == ["exception"]


async def test_plain_handlers_see_the_span_and_what_they_enqueue_hangs_below(
    redis_url: str, exported: Exported
) -> None:
    telemetry, mux, done = exported.telemetry(), ServeMux(), asyncio.Event()
    mux.use(telemetry.middleware)
    loop = asyncio.get_running_loop()

    with SyncClient(redis_url, middleware=[telemetry.client_middleware]) as plain:

        @mux.handler("first")
        def first(task: ActiveTask) -> None:
            plain.enqueue(Task("second"))

        @mux.handler("second")
        def second(task: ActiveTask) -> None:
            loop.call_soon_threadsafe(done.set)

        await asyncio.to_thread(plain.enqueue, Task("first"))
        async with _server(redis_url, mux), asyncio.timeout(20):
            await done.wait()

    chain = sorted(exported.spans(), key=lambda span: span.start_time or 0)
    assert [span.name.split()[0] for span in chain] == ["enqueue", "process", "enqueue", "process"]
    assert {_context(span).trace_id for span in chain} == {_context(chain[0]).trace_id}
    for parent, child in pairwise(chain):
        assert child.parent is not None
        assert child.parent.span_id == _context(parent).span_id


async def test_one_span_for_a_batch(redis_url: str, exported: Exported) -> None:
    async with Client(redis_url, middleware=[exported.telemetry().client_middleware]) as client:
        await client.enqueue_many([Task("t", task_id="a"), Task("t", task_id="b")], queue="low")
        await client.enqueue_many([Task("t", queue="low"), Task("u", queue="high")])

    same, mixed = exported.spans()
    assert (same.name, _attributes(same)["messaging.batch.message_count"]) == ("enqueue low", 2)
    assert "messaging.message.id" not in _attributes(same)
    assert (mixed.name, "messaging.destination.name" in _attributes(mixed)) == ("enqueue", False)
    assert "asynq.task.type" not in _attributes(mixed)


async def test_a_context_that_the_caller_gave_is_kept_and_linked(redis_url: str, exported: Exported) -> None:
    async with Client(redis_url, middleware=[exported.telemetry().client_middleware]) as client:
        info = await client.enqueue(Task("t", headers={"traceparent": PARENT}))

    (span,) = exported.spans()
    assert info.headers == {"traceparent": PARENT}
    assert [f"{link.context.trace_id:032x}" for link in span.links] == [TRACE]


async def test_baggage_of_others_is_kept_beside_ours(redis_url: str, exported: Exported) -> None:
    token = context.attach(baggage.set_baggage("user", "ada"))
    async with Client(redis_url, middleware=[exported.telemetry().client_middleware]) as client:
        info = await client.enqueue(Task("t", headers={"baggage": "sentry-release=1"}))
    context.detach(token)

    assert info.headers["baggage"] == "sentry-release=1,user=ada"
    assert "traceparent" in info.headers


async def test_with_link_a_try_has_a_trace_of_its_own(exported: Exported) -> None:
    token = context.attach(baggage.set_baggage("user", "ada"))
    headers: dict[str, str] = {"traceparent": PARENT, "baggage": "tenant=acme"}
    seen: list[Mapping[str, object]] = []

    async def handler(task: ActiveTask) -> None:
        seen.append(baggage.get_all())

    await exported.telemetry(relation="link").middleware(active_task(headers=headers), handler)
    context.detach(token)

    (span,) = exported.spans()
    assert span.parent is None
    assert f"{_context(span).trace_id:032x}" != TRACE
    assert [f"{link.context.span_id:016x}" for link in span.links] == [SPAN]
    assert seen == [{"tenant": "acme"}]


async def test_a_try_does_not_belong_to_where_the_server_was_started(exported: Exported) -> None:
    async def handler(task: ActiveTask) -> None: ...

    with exported.tracers.get_tracer("main").start_as_current_span("start"):
        await exported.telemetry().middleware(active_task(), handler)

    (span,) = exported.spans("process")
    assert (span.parent, list(span.links)) == (None, [])


@pytest.mark.parametrize("header", ["nonsense", "00-0-0-00", ""])
async def test_a_header_that_is_no_context_does_no_harm(exported: Exported, header: str) -> None:
    async def handler(task: ActiveTask) -> None: ...

    await exported.telemetry().middleware(active_task(headers={"traceparent": header}), handler)

    (span,) = exported.spans()
    assert span.parent is None


@pytest.mark.parametrize(
    ("error", "outcome", "status"),
    [
        (RetryLater(60), "put_off", StatusCode.UNSET),
        (RevokeTask(), "revoked", StatusCode.UNSET),
        (SkipRetry("useless"), "archived", StatusCode.ERROR),
        (OSError("away"), "retried", StatusCode.ERROR),
    ],
)
async def test_what_a_handler_wishes_is_no_error(
    exported: Exported, error: Exception, outcome: str, status: StatusCode
) -> None:
    async def handler(task: ActiveTask) -> None:
        raise error

    with pytest.raises(type(error)):
        await exported.telemetry().middleware(active_task(), handler)

    (span,) = exported.spans()
    assert (_attributes(span)["asynq.task.outcome"], span.status.status_code) == (outcome, status)


async def test_a_timeout_is_told_as_such(redis_url: str, exported: Exported) -> None:
    telemetry, mux, ended = exported.telemetry(), ServeMux(), asyncio.Event()

    async def outermost(task: ActiveTask, call_next: Any) -> None:
        try:
            await call_next(task)
        finally:
            ended.set()

    mux.use(outermost, telemetry.middleware)

    @mux.handler("t")
    async def endless(task: ActiveTask) -> None:
        await asyncio.Event().wait()

    async with Client(redis_url) as client, _server(redis_url, mux), asyncio.timeout(20):
        await client.enqueue(Task("t"), timeout=1, max_retry=0)
        await ended.wait()

    (span,) = exported.spans("process")
    assert (_attributes(span)["error.type"], span.status.status_code) == ("timeout", StatusCode.ERROR)


async def test_a_duplicate_is_told_but_is_no_error(redis_url: str, exported: Exported) -> None:
    async with Client(redis_url, middleware=[exported.telemetry().client_middleware]) as client:
        await client.enqueue(Task("t", unique=60))
        with pytest.raises(DuplicateTaskError):
            await client.enqueue(Task("t", unique=60))

    _, span = exported.spans()
    assert (_attributes(span)["asynq.enqueue.refused"], span.status.status_code) == (1, StatusCode.UNSET)


async def test_an_outage_is_an_error_of_the_producer(exported: Exported) -> None:
    telemetry = exported.telemetry()
    async with Client(
        "redis://127.0.0.1:1/0", middleware=[telemetry.client_middleware], timeout=0.1
    ) as client:
        with pytest.raises(Exception, match="1"):
            await client.enqueue(Task("t"))

    (span,) = exported.spans()
    assert span.status.status_code is StatusCode.ERROR
    assert _attributes(span)["error.type"] == "BrokerUnavailableError"
    (sent,) = exported.points("messaging.client.sent.messages")
    assert _attributes(sent)["error.type"] == "BrokerUnavailableError"


async def test_metrics_count_and_time_what_is_sent_and_processed(redis_url: str, exported: Exported) -> None:
    telemetry, mux, done = exported.telemetry(types=["t"]), ServeMux(), asyncio.Event()
    mux.use(telemetry.middleware)

    @mux.handler("t")
    async def fail_once(task: ActiveTask) -> None:
        if not task.retried:
            raise LookupError

    @mux.handler("unforeseen")
    async def last(task: ActiveTask) -> None:
        done.set()

    async with Client(redis_url, middleware=[telemetry.client_middleware]) as client:
        await client.enqueue(Task("t"))
        async with (
            Server(
                redis_url,
                mux,
                concurrency=1,
                poll_interval=0.05,
                forward_interval=0.05,
                retry_delay=lambda n, error, task: 0.0,
            ),
            asyncio.timeout(20),
        ):
            await client.enqueue(Task("unforeseen"), process_in=2)
            await done.wait()

    processed = {
        (_attributes(point)["asynq.task.type"], _attributes(point)["asynq.task.outcome"]): point
        for point in exported.points("messaging.process.duration")
    }
    assert processed.keys() == {("t", "retried"), ("t", "done"), ("other", "done")}
    assert _attributes(processed["t", "retried"]) == {
        "messaging.system": "asynq",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "default",
        "asynq.task.type": "t",
        "asynq.task.outcome": "retried",
        "error.type": "LookupError",
    }
    assert len(exported.points("messaging.client.consumed.messages")) == 3
    (sent,) = exported.points("messaging.client.sent.messages")
    assert isinstance(sent, NumberDataPoint)
    assert sent.value == 2
    (operation,) = exported.points("messaging.client.operation.duration")
    assert isinstance(operation, HistogramDataPoint)
    assert (operation.count, operation.explicit_bounds[0]) == (2, 0.005)
    (lag,) = exported.points("asynq.task.lag")
    assert isinstance(lag, HistogramDataPoint)
    assert lag.count == 3


async def test_an_app_is_traced_as_a_whole(redis_url: str, exported: Exported) -> None:
    app = App(redis_url)
    exported.telemetry(names="type").instrument(app)

    @app.task
    async def double(n: int) -> int:
        return 2 * n

    async with app, app.server(poll_interval=0.05):
        handle = await double.options(wait=True).enqueue(21)
        assert await handle.result(timeout=20) == 42

    enqueue, process = exported.spans()
    assert (enqueue.name, process.name) == ("enqueue double", "process double")
    assert _context(enqueue).trace_id == _context(process).trace_id


async def test_all_steps_of_a_flow_belong_to_the_trace_of_who_enqueued_it(
    redis_url: str, exported: Exported
) -> None:
    app = App(redis_url)
    exported.telemetry(names="type").instrument(app)

    @app.task
    async def add(x: int, y: int) -> int:
        return x + y

    @app.task
    async def total(numbers: list[int]) -> int:
        return sum(numbers)

    async with app, app.server(poll_interval=0.05):
        with exported.tracers.get_tracer("web").start_as_current_span("GET /") as request:
            flow = gather(add.step(1, 2), chain(add.step(3, 4), add.step(y=1))).then(total.step())
            handle = await flow.enqueue()
        assert await handle.result(timeout=20) == 11

    tries = exported.spans("process")
    assert sorted(span.name for span in tries) == ["process add"] * 3 + ["process total"]
    assert {span.parent.span_id for span in tries if span.parent} == {request.get_span_context().span_id}
    assert all(span.parent for span in tries)


async def test_a_trace_that_is_not_sampled_is_carried_all_the_same(redis_url: str) -> None:
    telemetry = Telemetry(tracer_provider=TracerProvider(sampler=ALWAYS_OFF))
    async with Client(redis_url, middleware=[telemetry.client_middleware]) as client:
        info = await client.enqueue(Task("t"))
    flags = int(info.headers["traceparent"].rpartition("-")[2], 16)
    assert not flags & trace.TraceFlags.SAMPLED


async def test_without_an_sdk_nothing_is_added(redis_url: str) -> None:
    telemetry = Telemetry()
    async with Client(redis_url, middleware=[telemetry.client_middleware]) as client:
        info = await client.enqueue(Task("t"))
    assert info.headers == {}


@pytest.mark.parametrize("setting", [{"relation": "parent"}, {"names": "id"}])
def test_a_setting_that_does_not_exist_is_told(setting: dict[str, Any]) -> None:
    with pytest.raises(InvalidOptionError, match=next(iter(setting))):
        Telemetry(**setting)


def test_without_the_library_an_error_says_what_to_install() -> None:
    program = "import sys; sys.modules['opentelemetry'] = None; import asynq_py.integrations.opentelemetry"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert 'pip install "asynq-py[otel]"' in ended.stderr


async def test_a_lost_lease_is_an_error(exported: Exported) -> None:
    attempt = Try()

    async def handler(task: ActiveTask) -> None:
        attempt.cancel_reason = CancelReason.LEASE_LOST
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await exported.telemetry().middleware(active_task(attempt=attempt), handler)

    (span,) = exported.spans()
    assert (_attributes(span)["asynq.task.outcome"], _attributes(span)["error.type"]) == (
        "lost",
        "lease_lost",
    )


async def test_each_time_of_a_scheduler_begins_a_trace_that_leads_to_the_tries(
    one_server: str, exported: Exported
) -> None:
    app = App(one_server)
    exported.telemetry(names="type").instrument(app)

    @app.cron("@hourly")
    async def tidy() -> None: ...

    with exported.tracers.get_tracer("web").start_as_current_span("start up"):
        async with app.test(one_server) as rehearsal:
            await rehearsal.advance("2h")

    enqueued, tried = exported.spans("enqueue tidy"), exported.spans("process tidy")
    assert [span.parent for span in enqueued] == [None, None]
    assert [span.parent and (span.parent.trace_id, span.parent.span_id) for span in tried] == [
        (_context(span).trace_id, _context(span).span_id) for span in enqueued
    ]
    assert len({_context(span).trace_id for span in exported.spans()}) == 3
    assert [span.kind for span in enqueued] == [SpanKind.PRODUCER] * 2
