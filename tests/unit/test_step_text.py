"""Steps as text: what is written down makes the same task again, and takes what it is to take."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from asynq_py import Task
from asynq_py.step_text import WHOLE, define, defined, numbers, task_id, value_of

AT = datetime(2100, 1, 2, 3, 4, 5, 500_000, tzinfo=UTC)


@pytest.mark.parametrize(
    "task",
    [
        Task("t"),
        Task("t", b""),
        Task("t", b"\xff\x00"),
        Task("t", {"ü": [1, 2.5, None]}),
        Task("t", "{}", headers={"a": "ü"}, queue="q", max_retry=0, timeout=5, unique=60.5, retention=7200),
        Task("t", "{}", deadline=datetime(2100, 1, 1, tzinfo=UTC), process_at=AT),
        Task("t", "{}", process_in=1.5),
    ],
    ids=lambda task: repr(task),
)
def test_a_task_that_is_written_down_is_the_same_again_but_for_what_a_flow_gives_it(task: Task) -> None:
    made = defined(define(task, at=None, source=None, after=())).task("f", "3")

    given: Any = {"task_id": "f:3", "retention": max(task.options.retention, 3600)}
    assert made.type == task.type
    assert made.payload == task.payload
    assert made.headers == {**task.headers, "asynq-flow": "f"}
    assert made.options == task.options.override(given)


def test_what_is_written_down_is_small_and_says_where_a_result_goes() -> None:
    data = define(Task("t", '{"a":1}'), at="b", source=[0, [1, 2]], after=(0, 1, 2))
    assert json.loads(data) == {
        "type": "t",
        "text": '{"a":1}',
        "at": "b",
        "source": [0, [1, 2]],
        "after": [0, 1, 2],
    }
    assert defined(data).takes() == [0, 1, 2]
    assert defined(data).task("f", "3", ["x"]).payload == b'{"a":1,"b":["x"]}'


def test_a_result_can_be_the_whole_payload() -> None:
    definition = defined(define(Task("t", b""), at=WHOLE, source=0, after=(0,)))
    assert definition.task("f", "1", {"ü": 1}).payload == '{"ü":1}'.encode()
    assert definition.task("f", "1", None).payload == b"null"


@pytest.mark.parametrize(
    ("source", "value"),
    [
        (0, {"a": 1}),
        (1, "plain text"),
        (2, None),
        ([0, [2, 1]], [{"a": 1}, [None, "plain text"]]),
        ([], []),
    ],
)
def test_what_a_step_takes_is_made_of_results(source: Any, value: Any) -> None:
    assert value_of(source, {0: b'{"a":1}', 1: b"plain text", 2: None}) == value


def test_a_result_that_is_neither_json_nor_text_is_refused() -> None:
    with pytest.raises(ValueError, match="utf-8"):
        value_of(0, {0: b"\xff"})
    with pytest.raises(ValueError, match="no result"):
        value_of("failure", {})
    with pytest.raises(ValueError, match="JSON"):
        defined(define(Task("t", b""), at=WHOLE, source=0, after=())).task("f", "1", float("nan"))


def test_the_steps_that_a_source_names_are_found_at_any_depth() -> None:
    assert list(numbers([[3], 1, [[2]]])) == [3, 1, 2]
    assert list(numbers("failure")) == []
    assert list(numbers(None)) == []


def test_the_id_of_a_task_tells_flow_and_step() -> None:
    assert task_id("a:b", "7") == "a:b:7"
