"""The messages of the wire: what is none is refused as such, and what is one harms nobody who shows it."""

from __future__ import annotations

import json
import math
import random
from typing import Any, Final

from asynq_py.active_task import ActiveTask
from asynq_py.cli.plain import plain
from asynq_py.errors import MessageDecodeError
from asynq_py.info import enqueue_event, scheduler_entry_info, server_infos, task_info
from asynq_py.server.attempt import _deadline
from asynq_py.wire.messages import (
    SchedulerEnqueueEvent,
    SchedulerEntry,
    ServerInfo,
    TaskMessage,
    WorkerInfo,
    completed,
    decode_records,
    decode_task,
    encode,
    failed,
    lock_of,
    stand_in,
    with_payload,
)
from asynq_py.wire.state import TaskState
from tests.unit.tries import Try
from tests.unit.wire.test_messages import GOLDEN
from tests.verify.fuzz.noise import mutated_bytes
from tests.verify.fuzz.target import Target

KINDS: Final = (TaskMessage, ServerInfo, WorkerInfo, SchedulerEntry, SchedulerEnqueueEvent)
INTEGERS: Final = (0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1)
UNKNOWN: Final = range(100, 120)  # numbers of fields that no version knows
_STATES: Final = tuple(TaskState)
_GOLDEN: Final = {kind: [bytes.fromhex(data) for of, _, data in GOLDEN if of is kind] for kind in KINDS}


class Wire(Target):
    name = "wire messages"

    def try_one(self, random: random.Random) -> None:
        kind = random.choice(KINDS)
        data = _data(random, kind)
        if kind is TaskMessage:
            _check_task(random, data)
        else:
            _check_record(kind, data)


# -- making ------------------------------------------------------------------------------------------------


def _data(random: random.Random, kind: Any) -> bytes:
    made = random.random()
    if made < 0.1:
        return random.randbytes(random.randint(0, 200))
    good = random.choice(_GOLDEN[kind])
    if made < 0.3:
        return _fields(random)
    if made < 0.5:
        return good + _fields(random)  # told twice, the later one counts
    return mutated_bytes(random, good)


def _fields(random: random.Random, depth: int = 0) -> bytes:
    return b"".join(_field(random, depth) for _ in range(random.randint(1, 6)))


def _field(random: random.Random, depth: int) -> bytes:
    """A field of any number and wire type, right or wrong."""
    number = random.choice((random.randint(1, 16), random.choice(UNKNOWN), random.getrandbits(31)))
    kind = random.choice((0, 0, 1, 2, 2, 2, 3, 4, 5, 6, 7))
    tag = varint(number << 3 | kind, random.randint(0, 1))
    match kind:
        case 0:
            value = random.choice((*INTEGERS, random.getrandbits(64)))
            return tag + varint(value, random.choice((0, 0, 0, 1, 4, 20)))
        case 1:
            return tag + random.randbytes(8)
        case 5:
            return tag + random.randbytes(4)
        case 2:
            body = _fields(random, depth + 1) if depth < 3 and random.random() < 0.5 else _body(random)
            length = len(body) if random.random() < 0.9 else random.choice(INTEGERS)  # a lie
            return tag + varint(length) + body
        case 3:
            return tag * random.choice((1, 200)) + (_fields(random, depth + 1) if depth < 3 else b"")
        case _:
            return tag


def _body(random: random.Random) -> bytes:
    return random.choice(
        (
            b"",
            b"t",
            b"q",
            b"\xff\xfe",
            "é".encode(),
            b"\xed\xa0\x80",
            b"\0",
            random.randbytes(20),
            b"x" * 5000,
        )
    )


def varint(value: int, spare: int = 0) -> bytes:
    """A number as protobuf has it, with so many bytes more than it needs."""
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    for _ in range(spare):
        parts[-1] |= 0x80
        parts.append(0)
    return bytes(parts)


# -- reading -----------------------------------------------------------------------------------------------


def _check_task(random: random.Random, data: bytes) -> None:
    lock_of(data)
    try:  # under the names it has, so that it is taken further
        raw = TaskMessage.FromString(data)
        queue, task_id = raw.queue, raw.id
    except Exception:
        queue, task_id = "q", "x"
    try:
        message = decode_task(data, queue=queue, task_id=task_id)
    except MessageDecodeError:
        message = stand_in(data, queue=queue, task_id=task_id)
    else:
        _check_kept(message)
    state = random.choice(_STATES)
    score = random.choice((None, 0.0, -1e300, 1e300, math.inf, -math.inf))
    info = task_info(message, state=state, next_process_at=score)
    assert repr(info)
    _print(info)
    since = random.choice((b"", b"1", b"x", b"9" * 30, b"9" * 5000, b"-1"))
    attempt = Try()
    attempt.deadline, attempt.pending_since = _deadline(message, 1.0), since
    active = ActiveTask(message, attempt)
    assert repr(active)
    assert (active.deadline, active.pending_since, active.headers, active.group) is not None


def _check_kept(message: TaskMessage) -> None:
    """What we do not know of goes on with the task, whatever becomes of it. Wire format 3."""
    later = varint(999 << 3 | 2) + varint(5) + b"later"
    known = decode_task(encode(message) + later, queue=message.queue, task_id=message.id)
    counted = message.retried < 2**31 - 1
    for data in (
        encode(known),
        failed(known, error="boom \ud800", now=1.0, counted=counted),
        completed(known, now=1.0),
        with_payload(known, b"new", lock=""),
    ):
        assert later in data, "a field that we do not know was dropped"
        decode_task(data, queue=message.queue, task_id=message.id)


def _check_record(kind: Any, data: bytes) -> None:
    for record in decode_records(kind, [data]):
        match record:
            case ServerInfo():
                shown: Any = server_infos([record], [])
            case WorkerInfo():
                server = ServerInfo(server_id=record.server_id)
                shown = server_infos([server], [record, record])
            case SchedulerEntry():
                shown = scheduler_entry_info(record)
            case _:
                shown = enqueue_event(record)
        _print(shown)


def _print(shown: Any) -> None:
    """As the program does, to a place that takes UTF-8 only."""
    json.dumps(plain(shown), ensure_ascii=False).encode()
