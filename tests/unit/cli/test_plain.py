from __future__ import annotations

import dataclasses
import json
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from asynq_py import (
    ClusterNode,
    DailyStats,
    EnqueueEvent,
    GroupInfo,
    QueueInfo,
    SchedulerEntryInfo,
    ServerInfo,
    TaskInfo,
    TaskState,
    WorkerInfo,
)
from asynq_py.cli.enqueue import Enqueued
from asynq_py.cli.plain import plain
from asynq_py.cli.queue import Listed
from asynq_py.cli.stats import Stats
from asynq_py.cli.steer import Done


def test_a_snapshot_keeps_its_names() -> None:
    assert plain([GroupInfo(group="g", size=2)]) == [{"group": "g", "size": 2}]


def test_bytes_are_text_or_else_base64_under_a_name_that_is_always_there() -> None:
    at = datetime(2026, 1, 31, 12, tzinfo=UTC)

    def told(payload: bytes) -> object:
        worker = WorkerInfo(
            task_id="a", task_type="t", task_payload=payload, queue="q", started_at=at, deadline=at
        )
        found = plain(worker)
        assert isinstance(found, dict)
        return found["task_payload"], found["task_payload_base64"]

    assert told(b"\xc3\xa9") == ("é", None)
    assert told(b"\xff\x00") == (None, "/wA=")
    assert told(b"") == ("", None)
    assert plain({"result": None}) == {"result": None, "result_base64": None}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (datetime(2026, 1, 31, 12, tzinfo=timezone(timedelta(hours=2))), "2026-01-31T10:00:00Z"),
        (date(2026, 1, 31), "2026-01-31"),
        (timedelta(minutes=1.5), 90.0),
        (TaskState.RETRY, "retry"),
        ((1, None, True, 2.5), [1, None, True, 2.5]),
    ],
)
def test_values_are_what_json_can_hold(value: object, text: object) -> None:
    assert plain(value) == text
    assert json.loads(json.dumps(plain(value))) == text


def test_what_json_cannot_hold_is_a_bug() -> None:
    with pytest.raises(TypeError):
        plain(object())


def test_every_field_of_a_task_is_told() -> None:
    fields = set(TaskInfo.__dataclass_fields__)
    info = TaskInfo(
        id="a", queue="q", type="t", payload=b"", headers={"payload": "x"}, state=TaskState.PENDING,
        max_retry=1, retried=0, last_error=None, last_failed_at=None, timeout=None, deadline=None, group=None,
        next_process_at=None, retention=0, completed_at=None, result=None,
    )  # fmt: skip
    found = plain(info)
    assert isinstance(found, dict)
    assert set(found) == fields | {"payload_base64", "result_base64"}
    assert found["headers"] == {"payload": "x"}


# Programs rely on these names: one may be added, none may go or change without a line in the changelog.
PROMISED: dict[type, str] = {
    TaskInfo: "id queue type payload headers state max_retry retried last_error last_failed_at timeout"
    " deadline group next_process_at retention completed_at result is_orphaned",
    QueueInfo: "queue memory_usage latency size groups pending active scheduled retry archived completed"
    " aggregating processed failed processed_total failed_total is_paused looked_at",
    DailyStats: "queue date processed failed",
    GroupInfo: "group size",
    ServerInfo: "id host pid concurrency queues strict_priority status started_at active_workers",
    WorkerInfo: "task_id task_type task_payload queue started_at deadline",
    SchedulerEntryInfo: "id spec type payload options next_enqueue_at previous_enqueue_at",
    EnqueueEvent: "task_id enqueued_at",
    ClusterNode: "id host port",
    Stats: "total queues redis looked_at",
    Listed: "queues cluster",
    Done: "verb queue is_dry_run count failed",
    Enqueued: "count failed",
}


@pytest.mark.parametrize("kind", PROMISED)
def test_the_names_in_json_are_those_promised(kind: type) -> None:
    assert {field.name for field in dataclasses.fields(kind)} >= set(PROMISED[kind].split())
