"""Task: what is to be done."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from asynq_py import InvalidOptionError, Task
from asynq_py.options import DEFAULTS


@pytest.mark.parametrize(
    ("payload", "sent"),
    [
        (None, None),
        (b"", b""),
        (b"\xff\x00", b"\xff\x00"),
        (bytearray(b"ab"), b"ab"),
        (memoryview(b"ab"), b"ab"),
        ("", b""),
        ("é", b"\xc3\xa9"),
        ('{"a": 1}', b'{"a": 1}'),
        ({"user_id": 42, "x": [1, None, True]}, b'{"user_id":42,"x":[1,null,true]}'),
        ({"name": "é"}, '{"name":"é"}'.encode()),
        ([], b"[]"),
        (0, b"0"),
        (False, b"false"),
    ],
)
def test_a_payload_is_bytes_text_or_compact_json(payload: object, sent: bytes | None) -> None:
    assert Task("t", payload).payload == sent


def _endless() -> list[Any]:
    loop: list[Any] = []
    loop.append(loop)
    return loop


@pytest.mark.parametrize(
    "payload",
    [
        object(),
        {"a": {1}},
        float("nan"),
        [float("inf")],
        "canary\ud800",
        {"canary": "\ud800"},
        _endless(),
        {(): 1},
    ],
    ids=["object", "set", "nan", "inf", "surrogate", "surrogate within", "endless", "odd key"],
)
def test_a_payload_that_cannot_be_sent_is_refused_without_being_shown(payload: object) -> None:
    with pytest.raises(InvalidOptionError, match=r"^payload=<class .*> is not allowed: ") as caught:
        Task("t", payload)
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("type_", ["", "  ", "a\nb", "t" * 256, b"t", None])
def test_a_bad_type_is_refused(type_: Any) -> None:
    with pytest.raises(InvalidOptionError, match=r"^type="):
        Task(type_)


def test_headers_are_copied_and_cannot_be_changed() -> None:
    given = {"trace": "1", "": ""}
    task = Task("t", headers=given)
    given["trace"] = "2"
    assert dict(task.headers) == {"trace": "1", "": ""}
    with pytest.raises(TypeError):
        task.headers["trace"] = "3"  # type: ignore[index]
    assert dict(Task("t").headers) == {}


@pytest.mark.parametrize("headers", [1, "a", [("a", "b")], [], 0])
def test_headers_that_are_no_mapping_are_refused(headers: Any) -> None:
    with pytest.raises(InvalidOptionError, match=r"^headers=.* a mapping of text by name"):
        Task("t", headers=headers)


@pytest.mark.parametrize("headers", [{"a": 1}, {1: "a"}, {"a": None}, {"a": "\ud800"}, {"a": b"b"}])
def test_a_header_that_is_no_text_is_refused(headers: Any) -> None:
    with pytest.raises(InvalidOptionError, match=r"^headers="):
        Task("t", headers=headers)


def test_options_are_checked_when_the_task_is_made() -> None:
    assert Task("t").options is DEFAULTS
    assert Task("t", queue="low", timeout=0.5).options == dataclasses.replace(
        DEFAULTS, queue="low", timeout=1
    )
    with pytest.raises(InvalidOptionError, match=r"^max_retry=-1"):
        Task("t", max_retry=-1)


def test_a_task_cannot_be_changed_and_does_not_show_its_payload() -> None:
    task = Task("t", b"canary", headers={"canary": "canary"})
    with pytest.raises(dataclasses.FrozenInstanceError):
        task.type = "u"  # type: ignore[misc]
    assert "canary" not in repr(task)
    assert task == Task("t", "canary", headers={"canary": "canary"})
    assert task != Task("t", "other", headers={"canary": "canary"})


TASKS = [
    Task("t"),
    Task("t", b"\xff", headers={"trace": "1", "a": "é"}, queue="low", process_in=5, retention=60),
]


@pytest.mark.parametrize("task", TASKS, ids=["bare", "full"])
@pytest.mark.parametrize(
    "twin",
    [lambda task: pickle.loads(pickle.dumps(task)), copy.copy, copy.deepcopy],
    ids=["pickle", "copy", "deep"],
)
def test_a_task_that_was_pickled_or_copied_is_equal_and_still_immutable(
    task: Task, twin: Callable[[Task], Task]
) -> None:
    again = twin(task)

    assert again == task
    assert hash(again) == hash(task)
    assert (again.type, again.payload, dict(again.headers), again.options) == (
        *(task.type, task.payload, dict(task.headers), task.options),
    )
    headers: Any = again.headers
    with pytest.raises(TypeError):
        headers["b"] = "2"


def test_tasks_are_told_apart_in_a_set_by_their_headers_too() -> None:
    assert len({Task("t", headers={"a": text}) for text in ("1", "2", "1")}) == 2


def test_headers_and_options_can_be_changed_on_a_copy() -> None:
    task = Task("t", b"p", headers={"a": "1", "b": "2"}, queue="low", process_in=5)

    other = task.with_headers({"b": "3", "c": "4"}).with_options(max_retry=1, process_at=datetime.now(UTC))

    assert (other.type, other.payload) == ("t", b"p")
    assert other.headers == {"a": "1", "b": "3", "c": "4"}
    assert (other.options.queue, other.options.max_retry, other.options.process_in) == ("low", 1, None)
    assert (task.headers, task.options.max_retry) == ({"a": "1", "b": "2"}, 25)
    with pytest.raises(InvalidOptionError, match="headers"):
        task.with_headers({"a": 1})  # type: ignore[dict-item]
    with pytest.raises(InvalidOptionError, match="max_retry"):
        task.with_options(max_retry=-1)
