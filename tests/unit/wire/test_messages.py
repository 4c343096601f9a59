"""The messages, against bytes that asynq (Go) wrote. Wire format 3 and 14."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asynq_py.errors import MessageDecodeError
from asynq_py.wire import limits
from asynq_py.wire.messages import (
    SchedulerEnqueueEvent,
    SchedulerEntry,
    ServerInfo,
    TaskMessage,
    WorkerInfo,
    clip,
    completed,
    decode_task,
    encode,
    failed,
    instant,
    set_instant,
    stand_in,
)

START = {"seconds": 1704164645, "nanos": 600}
START_HEX = "08a5facdac0610d804"

GOLDEN: list[tuple[Any, dict[str, Any], str]] = [
    (
        TaskMessage,
        {"type": "t", "id": "id1", "queue": "default", "retry": 25, "timeout": 1800},
        "0a01741a03696431220764656661756c74281940880e",
    ),
    (
        TaskMessage,
        {
            "type": "email:send",
            "payload": b'{"user":42}',
            "id": "b0f5a1de-6f2c-4b5e-9d5b-3f0c6a1f2e11",
            "queue": "critical",
            "retry": 5,
            "retried": 2,
            "error_msg": "boom",
            "timeout": 30,
            "deadline": 1700000600,
            "unique_key": "asynq:{critical}:unique:email:send:abc",
            "last_failed_at": 1700000000,
            "retention": 3600,
            "completed_at": 1700000100,
            "group_key": "g1",
            "headers": {"k": "v"},
        },
        "0a0a656d61696c3a73656e64120b7b2275736572223a34327d1a2462306635613164652d366632632d346235652d396435622d"
        "3366306336613166326531312208637269746963616c280530023a04626f6f6d401e48d8e6cfaa0652266173796e713a7b6372"
        "69746963616c7d3a756e697175653a656d61696c3a73656e643a6162635880e2cfaa0660901c68e4e2cfaa06720267317a060a"
        "016b120176",
    ),
    (
        TaskMessage,
        {"type": "t", "id": "x", "queue": "q", "headers": {"": ""}},
        "0a01741a01782201717a040a001200",
    ),
    (
        TaskMessage,
        {"type": "t", "id": "x", "queue": "q", "timeout": -1},
        "0a01741a017822017140ffffffffffffffffff01",
    ),
    (
        ServerInfo,
        {
            "host": "h",
            "pid": 7,
            "server_id": "sid",
            "concurrency": 10,
            "queues": {"default": 1},
            "strict_priority": True,
            "status": "active",
            "start_time": START,
            "active_worker_count": 3,
        },
        f"0a016810071a03736964200a2a0b0a0764656661756c74100130013a066163746976654209{START_HEX}4803",
    ),
    (
        WorkerInfo,
        {
            "host": "h",
            "pid": 7,
            "server_id": "sid",
            "task_id": "tid",
            "task_type": "tt",
            "task_payload": b"p",
            "queue": "default",
            "start_time": START,
            "deadline": {"seconds": 1704164705, "nanos": 600},
        },
        f"0a016810071a0373696422037469642a0274743201703a0764656661756c744209{START_HEX}4a0908e1facdac0610d804",
    ),
    (
        SchedulerEntry,
        {
            "id": "e1",
            "spec": "@every 30s",
            "task_type": "tt",
            "task_payload": b"p",
            "enqueue_options": ['Queue("low")', "MaxRetry(3)"],
            "next_enqueue_time": START,
            "prev_enqueue_time": {"seconds": -62135596800},
        },
        "0a026531120a406576657279203330731a0274742201702a0c517565756528226c6f7722292a0b4d617852657472792833293209"
        f"{START_HEX}3a0b088092b8c398feffffff01",
    ),
    (
        SchedulerEnqueueEvent,
        {"task_id": "tid", "enqueue_time": START},
        f"0a037469641209{START_HEX}",
    ),
]


@pytest.mark.parametrize(("kind", "fields", "golden"), GOLDEN)
def test_what_go_wrote_is_read_field_by_field(kind: Any, fields: dict[str, Any], golden: str) -> None:
    message = kind.FromString(bytes.fromhex(golden))
    assert {field.name for field, _ in message.ListFields()} == set(fields)
    for name, value in fields.items():
        assert _plain(getattr(message, name)) == value


@pytest.mark.parametrize(("kind", "fields", "golden"), GOLDEN)
def test_what_we_write_is_what_go_wrote(kind: Any, fields: dict[str, Any], golden: str) -> None:
    assert encode(kind(**fields)).hex() == golden  # one entry per map, so the order is that of the fields


def _plain(value: Any) -> Any:
    if hasattr(value, "ListFields"):  # a Timestamp
        return {field.name: number for field, number in value.ListFields()}
    if hasattr(value, "items"):
        return dict(value)
    return value if isinstance(value, str | bytes | int) else list(value)


LATER_FIELD = bytes.fromhex("a2062a") + b"x" * 42  # field 100, which no version knows yet
HEADERS = {"trace": "abc", "": "", "ü": "€"}


def _stored() -> TaskMessage:
    message = TaskMessage(type="t", id="x", queue="q", retry=3, retried=1, headers=HEADERS)
    return decode_task(encode(message) + LATER_FIELD, queue="q", task_id="x")


@pytest.mark.parametrize(
    ("counted", "retried"), [(True, 2), (False, 1)], ids=["a failure that counts", "one that does not"]
)
def test_a_failed_try_changes_three_fields_and_nothing_else(counted: bool, retried: int) -> None:
    """Trap 15: headers and what a newer peer wrote survive a retry."""
    before = _stored()
    data = failed(before, error="boom", now=1700000000.9, counted=counted)

    after = TaskMessage.FromString(data)
    assert (after.error_msg, after.last_failed_at, after.retried) == ("boom", 1700000000, retried)
    assert dict(after.headers) == HEADERS
    assert LATER_FIELD in data
    after.error_msg, after.last_failed_at, after.retried = "", 0, 1
    assert after == before == _stored()


def test_success_changes_the_time_of_completion_and_nothing_else() -> None:
    before = _stored()
    data = completed(before, now=1700000000.9)

    after = TaskMessage.FromString(data)
    assert after.completed_at == 1700000000
    assert LATER_FIELD in data
    after.completed_at = 0
    assert after == before == _stored()


@pytest.mark.parametrize(
    "data",
    [
        b"\xff",
        b"not a message",
        bytes.fromhex("0a0574"),  # a text longer than what is there
        bytes.fromhex("0a01ff1a0178220171"),  # a type that is not UTF-8
        b"",
        encode(TaskMessage(type="t", id="other", queue="q")),
        encode(TaskMessage(type="t", id="x", queue="other")),
    ],
    ids=["noise", "text", "cut off", "no UTF-8", "empty", "another ID", "another queue"],
)
def test_what_is_not_the_message_of_this_task_is_refused(data: bytes) -> None:
    with pytest.raises(MessageDecodeError, match="task 'x' in queue 'q'"):
        decode_task(data, queue="q", task_id="x")


@given(st.binary(max_size=30), st.integers(0, 200), st.integers(0, 200))
def test_no_bytes_whatever_cause_another_error(noise: bytes, start: int, end: int) -> None:
    good = bytes.fromhex(GOLDEN[1][2])
    with contextlib.suppress(MessageDecodeError):
        decode_task(good[:start] + noise + good[end:], queue="q", task_id="x")


def test_undecodable_bytes_become_a_message_that_tools_can_show() -> None:
    message = TaskMessage.FromString(encode(stand_in(b"\xff\x00", queue="q", task_id="x")))
    assert (message.type, message.payload) == ("asynq:undecodable", b"\xff\x00")
    assert (message.id, message.queue, message.retry) == ("x", "q", 0)


@given(st.text(alphabet=st.characters()) | st.text(alphabet="a€😀\ud800", min_size=1200, max_size=5000))
def test_any_error_text_can_be_stored(text: str) -> None:
    """Behaviour 6.6: what is not UTF-8 would leave the task to the end of its lease."""
    clipped = clip(text)
    assert len(clipped.encode()) <= limits.ERROR_TEXT_LIMIT
    whole = text.encode("utf-8", "replace").decode()
    assert clipped == whole or (clipped.endswith("…") and whole.startswith(clipped[:-1]))
    assert TaskMessage(error_msg=clipped).error_msg == clipped


@pytest.mark.parametrize(("length", "is_whole"), [(4096, True), (4097, False)])
def test_an_error_text_is_cut_above_4096_bytes(length: int, is_whole: bool) -> None:
    assert (clip("a" * length) == "a" * length) is is_whole


@given(st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)).map(lambda at: at.replace(tzinfo=UTC)))
def test_an_instant_is_written_and_read_to_the_microsecond_or_so(at: datetime) -> None:
    message = WorkerInfo()
    set_instant(message.deadline, at.timestamp())
    assert 0 <= message.deadline.nanos < 1_000_000_000
    assert abs((instant(message.deadline) - at).total_seconds()) < 1e-4


@pytest.mark.parametrize(
    ("seconds", "nanos", "shown"),
    [
        (2**63 - 1, 0, datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (-(2**63), -(2**31), datetime(1, 1, 1, tzinfo=UTC)),
        (2**63 - 1, 2**31 - 1, datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
    ],
)
def test_an_instant_beyond_what_a_datetime_can_show_is_the_last_or_first_that_it_can(
    seconds: int, nanos: int, shown: datetime
) -> None:
    """Anybody may write one: the list of all servers must not end there."""
    server = ServerInfo(start_time={"seconds": seconds, "nanos": nanos})
    assert instant(server.start_time) == shown


@pytest.mark.parametrize(("at", "year"), [(2.0**63, 9999), (-(2.0**63), 1), (float("inf"), 9999)])
def test_an_instant_beyond_what_a_timestamp_can_hold_is_the_last_or_first_that_it_can(
    at: float, year: int
) -> None:
    """A task may ask for a time limit of any length: no server must end when it tells of its deadline."""
    worker = WorkerInfo()
    set_instant(worker.deadline, at)
    assert instant(worker.deadline).year == year


def test_gos_zero_time_can_be_read() -> None:
    entry = SchedulerEntry(prev_enqueue_time={"seconds": -62135596800})
    assert instant(entry.prev_enqueue_time) == datetime(1, 1, 1, tzinfo=UTC)
