"""Snapshots of tasks. Behaviour 2.6."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import pytest

from asynq_py import TaskState
from asynq_py.info import task_info
from asynq_py.wire.messages import TaskMessage


def test_a_snapshot_has_aware_datetimes_and_seconds() -> None:
    message = TaskMessage(
        type="t",
        payload=b"p",
        id="i",
        queue="q",
        retry=5,
        retried=2,
        error_msg="boom",
        timeout=30,
        deadline=1700000600,
        last_failed_at=1700000000,
        retention=3600,
        completed_at=1700000100,
        group_key="g",
        headers={"k": "v"},
    )
    info = task_info(message, state=TaskState.RETRY, next_process_at=1700000200.5, result=b"r")
    assert dataclasses.asdict(info) == {
        "id": "i",
        "queue": "q",
        "type": "t",
        "payload": b"p",
        "headers": {"k": "v"},
        "state": TaskState.RETRY,
        "max_retry": 5,
        "retried": 2,
        "last_error": "boom",
        "last_failed_at": datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC),
        "timeout": 30,
        "deadline": datetime(2023, 11, 14, 22, 23, 20, tzinfo=UTC),
        "group": "g",
        "next_process_at": datetime(2023, 11, 14, 22, 16, 40, 500_000, tzinfo=UTC),
        "retention": 3600,
        "completed_at": None,  # told only while the task is completed
        "result": b"r",
        "is_orphaned": False,
        "progress": None,
    }


def test_what_is_not_set_is_none() -> None:
    info = task_info(TaskMessage(type="t", id="i", queue="q"), state=TaskState.PENDING, next_process_at=None)
    unset = "last_error last_failed_at timeout deadline group next_process_at completed_at result"
    assert {name: getattr(info, name) for name in unset.split()} == dict.fromkeys(unset.split())
    assert (info.payload, dict(info.headers), info.retention) == (b"", {}, 0)


def test_a_snapshot_is_frozen_and_shows_no_payload_headers_or_result() -> None:
    message = TaskMessage(type="t", payload=b"canary", id="i", queue="q", headers={"canary": "canary"})
    info = task_info(message, state=TaskState.PENDING, next_process_at=None, result=b"canary")
    assert "canary" not in repr(info)
    with pytest.raises(dataclasses.FrozenInstanceError):
        info.state = TaskState.ACTIVE  # type: ignore[misc]


def test_a_completed_task_tells_since_when() -> None:
    message = TaskMessage(type="t", id="i", queue="q", completed_at=1700000100)
    info = task_info(message, state=TaskState.COMPLETED, next_process_at=None)
    assert info.completed_at == datetime(2023, 11, 14, 22, 15, tzinfo=UTC)
