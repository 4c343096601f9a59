"""What Sentry is told of tasks: events, transactions and breadcrumbs, as its SDK sends them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import sentry_sdk
from sentry_sdk.envelope import Envelope
from sentry_sdk.integrations.logging import LoggingIntegration
from sentry_sdk.transport import Transport

from asynq_py import (
    ActiveTask,
    App,
    Client,
    InvalidOptionError,
    RetryLater,
    RevokeTask,
    ServeMux,
    Server,
    SkipRetry,
    Task,
    chain,
)
from asynq_py.integrations.sentry import Sentry
from tests.unit.tries import active_task


class Sent(Transport):
    """Keeps what would be sent."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[dict[str, Any]] = []
        self.transactions: list[dict[str, Any]] = []
        self.check_ins: list[dict[str, Any]] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        for item in envelope.items:
            found: Any = item.payload.json
            if item.type == "event":
                self.events.append(found)
            elif item.type == "transaction":
                self.transactions.append(found)
            elif item.type == "check_in":
                self.check_ins.append(found)


def _init(sent: Sent) -> None:
    sentry_sdk.init(
        dsn="http://key@localhost/1",
        transport=sent,
        traces_sample_rate=1.0,
        default_integrations=False,
        integrations=[LoggingIntegration()],
        auto_session_tracking=False,
        enable_backpressure_handling=False,
    )


@pytest.fixture
def sent() -> Iterator[Sent]:
    sent = Sent()
    _init(sent)
    yield sent
    sentry_sdk.get_client().close()
    sentry_sdk.get_global_scope().set_client(None)


def _server(url: str, mux: ServeMux) -> Server:
    return Server(url, mux, poll_interval=0.05, forward_interval=0.05, retry_delay=lambda n, error, task: 0.0)


async def _until_archived(url: str, mux: ServeMux, client: Client, task: Task) -> None:
    ended = asyncio.Event()

    async def watch(task: ActiveTask, call_next: Any) -> None:
        try:
            await call_next(task)
        finally:
            if task.retried == task.max_retry:
                ended.set()

    outer = ServeMux()
    outer.use(watch)
    outer.handle("t", mux)
    async with _server(url, outer), asyncio.timeout(20):
        await client.enqueue(task)
        await ended.wait()


async def test_only_the_last_failure_is_an_event_and_tells_of_those_before(
    redis_url: str, sent: Sent
) -> None:
    mux = ServeMux()
    mux.use(Sentry().middleware)

    @mux.handler("t")
    async def fail(task: ActiveTask) -> None:
        raise LookupError(f"try {task.retried + 1}")

    async with Client(redis_url) as client:
        await _until_archived(redis_url, mux, client, Task("t", {"secret": 1}, task_id="a", max_retry=2))

    (event,) = sent.events
    (value,) = event["exception"]["values"]
    assert (value["type"], value["value"]) == ("LookupError", "try 3")
    assert value["mechanism"] == {"type": "asynq", "handled": False}
    assert event["transaction"] == "t"
    assert event["tags"] == {
        "asynq.type": "t",
        "asynq.queue": "default",
        "asynq.task_id": "a",
        "asynq.attempt": "3",
    }
    told = event["contexts"]["asynq"]
    assert (told["attempt"], told["max_retry"], "payload" in told) == (3, 2, False)
    crumbs = [crumb for crumb in event["breadcrumbs"]["values"] if crumb["category"] == "asynq"]
    assert [(crumb["message"], crumb["data"]) for crumb in crumbs] == [
        ("a try before this one failed: LookupError: try 2", {"failures": 2})
    ]


async def test_every_failure_if_that_is_wanted(redis_url: str, sent: Sent) -> None:
    mux = ServeMux()
    mux.use(Sentry(report="every").middleware)

    @mux.handler("t")
    async def fail(task: ActiveTask) -> None:
        raise LookupError(f"try {task.retried + 1}")

    async with Client(redis_url) as client:
        await _until_archived(redis_url, mux, client, Task("t", max_retry=1))

    assert [
        (event["exception"]["values"][0]["value"], event["exception"]["values"][0]["mechanism"]["handled"])
        for event in sent.events
    ] == [("try 1", True), ("try 2", False)]


async def test_a_transaction_continues_the_trace_of_who_enqueued(redis_url: str, sent: Sent) -> None:
    app, seen = App(redis_url), asyncio.Event()
    Sentry().instrument(app)

    @app.task
    async def render(n: int) -> None:
        with sentry_sdk.start_span(op="db", name="select"):
            seen.set()

    async with app, app.server(poll_interval=0.05), asyncio.timeout(20):
        with sentry_sdk.start_transaction(op="http.server", name="GET /"):
            handle = await render.enqueue(1)
        await seen.wait()

    by_name = {transaction["transaction"]: transaction for transaction in sent.transactions}
    request, run = by_name["GET /"], by_name["render"]
    (publish,) = request["spans"]
    assert (publish["op"], publish["description"]) == ("queue.publish", "render")
    assert publish["data"]["messaging.message.id"] == handle.id
    trace = run["contexts"]["trace"]
    assert (trace["op"], trace["status"]) == ("queue.process", "ok")
    assert (trace["trace_id"], trace["parent_span_id"]) == (
        request["contexts"]["trace"]["trace_id"],
        publish["span_id"],
    )
    assert trace["data"]["messaging.message.id"] == handle.id
    assert [span["description"] for span in run["spans"]] == ["select"]
    assert (run["tags"]["asynq.outcome"], sent.events) == ("done", [])


async def test_all_steps_of_a_flow_belong_to_the_trace_of_who_enqueued_it(redis_url: str, sent: Sent) -> None:
    app = App(redis_url)
    Sentry().instrument(app)

    @app.task
    async def one(n: int) -> int:
        return n + 1

    async with app, app.server(poll_interval=0.05):
        with sentry_sdk.start_transaction(name="GET /") as request:
            handle = await chain(one.step(1), one.step()).enqueue()
            trace = request.trace_id
        assert await handle.result(timeout=20) == 3

    runs = [told["contexts"]["trace"] for told in sent.transactions if told["transaction"] == "one"]
    assert [run["trace_id"] for run in runs] == [trace] * 2


async def test_baggage_of_others_is_kept(redis_url: str, sent: Sent) -> None:
    async with Client(redis_url, middleware=[Sentry().client_middleware]) as client:
        with sentry_sdk.start_transaction(name="GET /"):
            infos = await client.enqueue_many([Task("t", headers={"baggage": "tenant=acme"}), Task("u")])

    first, second = infos
    assert not isinstance(first, Exception)
    assert not isinstance(second, Exception)
    assert first.headers["baggage"].startswith("tenant=acme,sentry-")
    assert first.headers["sentry-trace"] == second.headers["sentry-trace"]


@pytest.mark.parametrize(
    ("error", "reported", "status"),
    [
        (RetryLater(60), False, "aborted"),
        (RevokeTask(), False, "aborted"),
        (ValueError(), False, "internal_error"),
        (SkipRetry("useless"), True, "internal_error"),
    ],
)
async def test_what_a_handler_wishes_is_no_event(
    sent: Sent, error: Exception, reported: bool, status: str
) -> None:
    async def handler(task: ActiveTask) -> None:
        raise error

    with pytest.raises(type(error)):
        await Sentry().middleware(active_task(), handler)

    assert (len(sent.events), sent.transactions[0]["contexts"]["trace"]["status"]) == (int(reported), status)


async def test_a_timeout_shows_where_the_handler_was_cut_off(redis_url: str, sent: Sent) -> None:
    mux = ServeMux()
    mux.use(Sentry().middleware)

    @mux.handler("t")
    async def endless(task: ActiveTask) -> None:
        await asyncio.Event().wait()

    async with Client(redis_url) as client:
        await _until_archived(redis_url, mux, client, Task("t", timeout=1, max_retry=0))

    (event,) = sent.events
    (value,) = event["exception"]["values"]
    assert (value["type"], value["value"]) == ("TimeoutError", "cancelled: timeout")
    assert "endless" in [frame["function"] for frame in value["stacktrace"]["frames"]]


async def test_tasks_do_not_share_a_scope(sent: Sent) -> None:
    sentry = Sentry(report="every")

    async def handler(task: ActiveTask) -> None:
        sentry_sdk.set_tag("own", task.type)
        sentry_sdk.add_breadcrumb(message=task.type)
        raise LookupError(task.type)

    async def run(kind: str) -> None:
        with pytest.raises(LookupError):
            await sentry.middleware(active_task(kind), handler)

    await asyncio.gather(run("a"), run("b"))

    for event in sent.events:
        kind = event["exception"]["values"][0]["value"]
        assert event["tags"]["own"] == kind
        assert [crumb["message"] for crumb in event["breadcrumbs"]["values"]] == [kind]


async def test_a_payload_is_sent_only_if_that_is_wanted(sent: Sent) -> None:
    async def handler(task: ActiveTask) -> None:
        raise SkipRetry

    for payloads in (False, True):
        with pytest.raises(SkipRetry):
            await Sentry(payloads=payloads).middleware(active_task("t", b'{"a":1}'), handler)

    assert [event["contexts"].get("payload") for event in sent.events] == [None, {"text": '{"a":1}'}]


async def test_without_init_tasks_run_as_ever(redis_url: str) -> None:
    ran: list[str] = []

    async def handler(task: ActiveTask) -> None:
        ran.append(task.type)

    await Sentry().middleware(active_task(), handler)
    async with Client(redis_url, middleware=[Sentry().client_middleware]) as client:
        info = await client.enqueue(Task("t"))
    assert (ran, info.headers) == (["t"], {})


def test_a_setting_that_does_not_exist_is_told() -> None:
    nonsense: Any = "first"
    with pytest.raises(InvalidOptionError, match="report="):
        Sentry(report=nonsense)


def test_without_the_library_an_error_says_what_to_install() -> None:
    program = "import sys; sys.modules['sentry_sdk'] = None; import asynq_py.integrations.sentry"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert 'pip install "asynq-py[sentry]"' in ended.stderr


async def test_each_time_of_a_scheduler_begins_a_trace_that_leads_to_the_tries(
    one_server: str, sent: Sent
) -> None:
    app = App(one_server)
    Sentry().instrument(app)

    @app.cron("@hourly")
    async def tidy() -> None: ...

    with sentry_sdk.start_transaction(op="function", name="start up"):
        async with app.test(one_server) as rehearsal:
            await rehearsal.advance("2h")

    traces = [(item["transaction"], item["contexts"]["trace"]) for item in sent.transactions]
    published = [trace for name, trace in traces if trace["op"] == "queue.publish"]
    tried = [trace for name, trace in traces if trace["op"] == "queue.process"]
    assert [(trace["trace_id"], trace["parent_span_id"]) for trace in tried] == [
        (trace["trace_id"], trace["span_id"]) for trace in published
    ]
    assert len({trace["trace_id"] for _, trace in traces}) == 3


async def test_errors_that_sentry_is_told_to_ignore_are_no_events(redis_url: str, sent: Sent) -> None:
    mux = ServeMux()
    mux.use(Sentry().middleware)

    @mux.handler("t")
    async def fail(task: ActiveTask) -> None:
        raise ConnectionError("ignored")

    sentry_sdk.get_client().options["ignore_errors"] = [ConnectionError]
    async with Client(redis_url) as client:
        await _until_archived(redis_url, mux, client, Task("t", max_retry=0))
    assert sent.events == []
    assert [transaction["transaction"] for transaction in sent.transactions] == ["t"]


async def test_a_monitor_of_sentry_checks_in_with_each_run(one_server: str, sent: Sent) -> None:
    app = App(one_server)
    Sentry().instrument(app)
    failures = iter([LookupError])

    @app.cron("@hourly", max_retry=1)
    @sentry_sdk.monitor("tidy", {"schedule": {"type": "crontab", "value": "0 * * * *"}})
    async def tidy() -> None:
        for failure in failures:
            raise failure

    @app.cron("@hourly")
    @sentry_sdk.monitor("plain")
    def plain() -> None: ...

    async with app.test(one_server, now=datetime(2026, 1, 2, 11, 59, tzinfo=UTC)) as rehearsal:
        await rehearsal.advance("59m")

    told = {
        name: [item["status"] for item in sent.check_ins if item["monitor_slug"] == name]
        for name in ("tidy", "plain")
    }
    assert told == {"tidy": ["in_progress", "error", "in_progress", "ok"], "plain": ["in_progress", "ok"]}
