"""Every file of examples/ runs, ends by itself and prints what it says it does."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.examples.programs import EXAMPLES, run


def test_every_example_has_a_test() -> None:
    tests = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    untested = [path.name for path in EXAMPLES.glob("*.py") if path.stem not in tests]
    assert untested == []


def test_quickstart(redis_url: str) -> None:
    assert run("quickstart.py", redis_url) == ["welcome, user 42"]


def test_quickstart_needs_no_server() -> None:
    assert run("quickstart.py", None) == ["welcome, user 42"]


def test_typed_tasks(redis_url: str) -> None:
    assert run("typed_tasks.py", redis_url) == ["welcome, user 42"]


def test_typed_tour(redis_url: str) -> None:
    mismatch = "send_welcome: user_id: expected int, got str"
    assert run("typed_tour.py", redis_url) == [
        "hi, user 42",
        "image:resize Image(path='cat.png@100', taken_at=datetime.datetime(2026, 1, 31, 0, 0, "
        "tzinfo=datetime.timezone.utc))",
        "scheduled True",
        "['TaskHandle', 'TaskHandle']",
        f"refused: {mismatch}",
        f"archived: the payload does not fit: {mismatch}",
        "without any queue: hello, user 7",
    ]


def test_workflows(redis_url: str) -> None:
    *said, last = run("workflows.py", redis_url)
    assert said == [
        "cat.png@100 cat.png@500",
        "4 of 4",
        "alert: fetch not that way",
        "failed: not that way",
        "0 fetch failed",
        "1 resize waiting",
    ]
    assert last in ("f0 alert sent", "f0 alert ready")  # it runs, perhaps before that is noted


def test_dependencies(redis_url: str) -> None:
    assert run("dependencies.py", redis_url) == [
        "open the database",
        "commit ['LH 100: 2 for acme']",
        "booked, and before it: 0",
        "roll back ['LH 100: 10 for acme']",
        "failed: ValueError: that many are not free",
        "refused: book: db: it is injected where the task runs, and cannot be enqueued",
        "close the database",
        "direct: 1 ['LH 101: 1 for acme']",
        "overridden: 1 ['LH 101: 1 for acme', 'LH 102: 1 for acme']",
    ]


def test_progress(redis_url: str) -> None:
    lines = run("progress.py", redis_url)
    assert lines[0].startswith("running: 1 of 20 (5%), page 1")
    assert lines[-1] == "done: 20 of 20 (100%), page 20"


def test_embedding(redis_url: str) -> None:
    assert run("embedding.py", redis_url) == [
        "POST /pictures: 202",
        "GET /tasks/…: completed, result small-cat.png",
    ]


def test_sync_producer(redis_url: str) -> None:
    assert run("sync_producer.py", redis_url) == [
        "enqueued invoice:send to billing, state pending",
        "enqueued 100 more, 0 refused",
        "sent 101 invoices",
    ]


def test_middleware(redis_url: str) -> None:
    assert run("middleware.py", redis_url) == [
        "building the report of acme",
        "report:build done quickly",
        "report:build failed quickly",
    ]


def test_client_middleware(redis_url: str) -> None:
    assert run("client_middleware.py", redis_url) == [
        "1 enqueued, 0 refused",
        "building the report of acme",
        "1 enqueued, 2 refused",
    ]


def test_tracing(redis_url: str) -> None:
    assert run("tracing.py", redis_url) == [
        "receipt 7",
        "POST /orders",
        "  enqueue send_receipt",
        "    process send_receipt retried",
        "      render",
        "    process send_receipt done",
        "      render",
    ]


def test_fastapi_app(redis_url: str) -> None:
    assert run("fastapi_app.py", redis_url) == [
        "POST /orders: 202",
        "GET /receipts/…: receipt 7 sent to ada@example.org",
    ]


def test_sqlalchemy_commit(redis_url: str) -> None:
    assert run("sqlalchemy_commit.py", redis_url) == [
        "nobody is no address",
        "receipt 1 sent to ada@example.org",
    ]


def test_sqlalchemy_outbox(redis_url: str) -> None:
    assert run("sqlalchemy_outbox.py", redis_url) == [
        "3 brought, then 0",
        "['order 0', 'order 1', 'order 2']",
    ]


def test_sentry_errors(redis_url: str) -> None:
    lines = run("sentry_errors.py", redis_url)
    assert lines[:3] == [
        "transaction: charge, internal_error",
        "event: ConnectionError in charge, try 2",
        "transaction: charge, internal_error",
    ]
    assert lines[3:] == ["ConnectionError: the bank is away"]


def test_from_arq(redis_url: str) -> None:
    assert run("from_arq.py", redis_url) == ["5", "scheduled True", "already there", "5", "a duplicate"]


def test_from_celery(redis_url: str) -> None:
    assert run("from_celery.py", redis_url) == [
        "order 7 paid at try 2",
        "ConnectionError: the bank is away",
        "10",
        "13",
    ]


def test_from_taskiq(redis_url: str) -> None:
    assert run("from_taskiq.py", redis_url) == [
        "greet in mail done",
        "hello, user 42 of nobody",
        "greet in mail done",
        "hello, user 43 of acme",
        "pool closed",
    ]


def test_from_rq(redis_url: str) -> None:
    assert run("from_rq.py", redis_url) == [
        "high pending",
        "499500",
        "['count_words', 'count_words']",
        "6",
    ]


def test_litestar_app(redis_url: str) -> None:
    assert run("litestar_app.py", redis_url) == [
        "POST /pictures: 202",
        "GET /thumbnails/…: small-cat.png",
        "['images'] {'worker': 'active'}",
    ]


def test_flask_app(redis_url: str) -> None:
    assert run("flask_app.py", redis_url) == [
        "POST /users: 202",
        'GET /mails/…: "welcome, ada"',
        "404",
    ]


def test_structured_logs(redis_url: str) -> None:
    bound = {"attempt": 1, "level": "info", "queue": "default", "task_id": "a", "type": "mail:send"}
    assert [json.loads(line) for line in run("structured_logs.py", redis_url)] == [
        {**bound, "event": "connected"},
        {**bound, "event": "sent", "to": "ada"},
    ]


def test_retries_and_errors(redis_url: str) -> None:
    lines = run("retries_and_errors.py", redis_url)
    tries = [line for line in lines if ", try " in line]
    assert sorted(tries) == [
        "endless, try 1: TimeoutError: not done within 1 s",
        "flaky, try 1: ConnectionError: the other side hung up",
        "flaky, try 2: ConnectionError: the other side hung up",
        "hopeless, try 1: SkipRetry: the payload names no customer",
        "pointless, try 1: RevokeTask: ",
        "throttled, try 1: RetryLater: the other side asks us to slow down",
    ]
    assert [line for line in lines if ", try " not in line] == [
        "flaky: completed after 2 failures",
        "hopeless: archived: the payload names no customer",
        "pointless: forgotten",
        "throttled: completed after 0 failures",
        "endless: archived: TimeoutError: not done within 1 s",
    ]


def test_several_processes(redis_url: str) -> None:
    assert run("several_processes.py", redis_url) == ["40 tasks done by 2 worker processes"]


def test_unique_tasks(redis_url: str) -> None:
    assert run("unique_tasks.py", redis_url) == [
        "refused: a unique task of this type and payload is already in queue 'default'",
        "refused: queue 'default' already has a task with the ID 'report-2026-01-31'",
        "syncing account 7",
        "accepted again",
    ]


def test_unique_rules(redis_url: str) -> None:
    assert run("unique_rules.py", redis_url) == [
        "the same: True new: False",
        "refused: a unique task of this type and key is already in queue 'default' | by the first: True",
        "synced user 42, because of sign-up",
        "news: final",
        "reminded: [True, False, False]",
    ]


def test_groups(redis_url: str) -> None:
    assert run("groups.py", redis_url) == [
        "to ada: a comment, a like, a new follower",
        "to grace: a like",
    ]


def test_periodic_tasks(redis_url: str) -> None:
    assert run("periodic_tasks.py", redis_url) == [
        "report:live for eu",
        "report:live for us",
        "report:live for br",
    ]


def test_rate_limits(redis_url: str) -> None:
    assert run("rate_limits.py", redis_url) == [
        "cora may have: [True, True, True, False]",
        "sent: 5 to acme, 1 to bolt",
        "the fourth to acme had to wait: True",
        "reports at once: 2",
        "failed: 0",
    ]


def test_results(redis_url: str) -> None:
    assert run("results.py", redis_url) == ["result: {'words': 4}", "state: completed, kept for 3600 s"]


def test_inspecting(redis_url: str) -> None:
    assert run("inspecting.py", redis_url) == [
        "mail: 5 tasks, 5 pending, 0 scheduled",
        "reports: 4 tasks, 0 pending, 4 scheduled",
        "due first: odd",
        "4 reports are scheduled",
        'odd is pending with {"month":12}',
        "task 'odd' in queue 'reports' cannot be run: it is pending already",
        "archived: 3",
        "deleted: 3",
        "queue 'mail' is not empty: it has tasks",
        "queues: ['reports']",
    ]


def test_metrics(redis_url: str) -> None:
    series = 'asynq_py_task_duration_seconds_count{outcome="%s",queue="default",type="mail:send"} 1.0'
    assert sorted(run("metrics.py", redis_url)) == [
        series % "archived",
        series % "done",
        'asynq_tasks_failed_total{queue="default"} 1.0',
        'asynq_tasks_processed_total{queue="default"} 2.0',
    ]


def test_schema() -> None:
    lines = run("schema.py", None)
    assert '\tTypeImageResize = "image:resize"' in lines
    assert "// Image is the payload of image:resize: Make an image smaller." in lines
    assert "export interface SendWelcomePayload {" in lines
    assert [line for line in lines if line.startswith("breaks:")] == [
        "breaks: send_welcome: template: is gone, but payloads that wait have it",
        "breaks: send_welcome: subject: is new and required; give it a default",
    ]


def test_testing() -> None:
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-c", "/dev/null", "-p", "no:cacheprovider"),
            *("-o", "asyncio_mode=auto", str(EXAMPLES / "testing.py")),
        ],
        capture_output=True,
        encoding="utf-8",
        timeout=50,
    )
    assert "7 passed" in ended.stdout, ended.stdout + ended.stderr


def test_testing_endpoints() -> None:
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-c", "/dev/null", "-p", "no:cacheprovider"),
            *("-o", "asyncio_mode=auto", str(EXAMPLES / "testing_endpoints.py")),
        ],
        capture_output=True,
        encoding="utf-8",
        timeout=50,
    )
    assert "2 passed" in ended.stdout, ended.stdout + ended.stderr


def test_graceful_shutdown(redis_url: str) -> None:
    assert run("graceful_shutdown.py", redis_url) == [
        "short: done, although the worker was told to end",
        "long: cancelled, handing the task back",
        "the worker has ended; long: pending, 0 retries used",
        "long: done by the next worker",
    ]


def test_command_line(redis_url: str) -> None:
    assert run("command_line.py", redis_url) == [
        "before: 1 pending",
        "the worker has ended with 0",
        "may: completed, report of may",
    ]


def test_command_line_needs_no_server() -> None:
    assert run("command_line.py", None)[-1] == "may: completed, report of may"
