"""Encode and decode the protobuf messages. Wire format, section 3.

The only module that knows the generated classes. Fields that this version does not know survive decoding and
encoding, so a retry here never strips what a newer peer wrote.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from google.protobuf.message import DecodeError

from asynq_py.clock import EARLIEST, LATEST
from asynq_py.errors import MessageDecodeError
from asynq_py.wire.asynq_pb2 import (
    SchedulerEnqueueEvent,
    SchedulerEntry,
    ServerInfo,
    TaskMessage,
    WorkerInfo,
)
from asynq_py.wire.limits import ERROR_TEXT_LIMIT

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

__all__ = [
    "SchedulerEnqueueEvent",
    "SchedulerEntry",
    "ServerInfo",
    "TaskMessage",
    "WorkerInfo",
    "completed",
    "decode_records",
    "decode_task",
    "encode",
    "failed",
    "instant",
    "lock_of",
    "set_instant",
    "stand_in",
    "with_payload",
]

UNDECODABLE_TYPE = "asynq:undecodable"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def encode(message: TaskMessage | ServerInfo | WorkerInfo | SchedulerEntry | SchedulerEnqueueEvent) -> bytes:
    return message.SerializeToString()


def decode_task(data: bytes, *, queue: str, task_id: str) -> TaskMessage:
    """Decode the message of the task that Redis holds as `task_id` of `queue`.

    Raises: MessageDecodeError: not a task message, or that of another task.
    """
    try:
        message = TaskMessage.FromString(data)
    except (DecodeError, ValueError) as error:  # ValueError: text that is not UTF-8, by some runtimes
        raise MessageDecodeError(f"task {task_id!r} in queue {queue!r}: not a task message") from error
    if message.id != task_id or message.queue != queue:
        raise MessageDecodeError(
            f"task {task_id!r} in queue {queue!r}: the message stored there is that of "
            f"task {message.id!r} in queue {message.queue!r}"
        )
    return message


Record = TypeVar("Record", ServerInfo, WorkerInfo, SchedulerEntry, SchedulerEnqueueEvent)


def decode_records(kind: type[Record], data: Iterable[bytes]) -> list[Record]:
    """Decode what processes say of themselves. What cannot be decoded is left out, as in Go."""
    records = []
    for one in data:
        with suppress(DecodeError, ValueError):
            records.append(kind.FromString(one))
    return records


def failed(message: TaskMessage, *, error: str, now: float, counted: bool) -> bytes:
    """Encode the message as it stands after a failed try. Wire format 5.9, 5.10.

    `now`: Unix seconds. `counted`: the try counts as a retry.
    """
    changed = TaskMessage()
    changed.CopyFrom(message)
    changed.error_msg = clip(error)
    changed.last_failed_at = int(now)
    if counted:
        changed.retried += 1
    return changed.SerializeToString()


def completed(message: TaskMessage, *, now: float) -> bytes:
    """Encode the message as it stands after success at `now` (Unix seconds). Wire format 5.8."""
    changed = TaskMessage()
    changed.CopyFrom(message)
    changed.completed_at = int(now)
    return changed.SerializeToString()


def lock_of(data: bytes) -> str:
    """The key of the unique lock that a message names, or "". What is no message names none."""
    try:
        return TaskMessage.FromString(data).unique_key
    except (DecodeError, ValueError):
        return ""


def with_payload(message: TaskMessage, payload: bytes, *, lock: str) -> bytes:
    """Encode the message with another payload, and the key of the lock that this asks for, or ""."""
    changed = TaskMessage()
    changed.CopyFrom(message)
    changed.payload = payload
    changed.unique_key = lock
    return changed.SerializeToString()


def stand_in(data: bytes, *, queue: str, task_id: str) -> TaskMessage:
    """Carry undecodable bytes as the payload of a message that every tool can show."""
    return TaskMessage(type=UNDECODABLE_TYPE, payload=data, id=task_id, queue=queue)


def clip(text: str) -> str:
    """Make any text storable: valid UTF-8 (lone surrogates replaced), of bounded size."""
    data = text.encode("utf-8", "replace")
    if len(data) > ERROR_TEXT_LIMIT:
        data = data[: ERROR_TEXT_LIMIT - 3] + "…".encode()
    return data.decode("utf-8", "ignore")


def set_instant(field: Timestamp, at: float) -> None:
    """Write Unix seconds into a Timestamp field; of those beyond what it can hold, the first or last."""
    at = min(max(at, EARLIEST), LATEST)
    field.seconds, nanos = divmod(int(at * 1_000_000) * 1000, 1_000_000_000)
    field.nanos = nanos


def instant(field: Timestamp) -> datetime:
    """Read a Timestamp field; what a datetime cannot show becomes the first or last moment that it can."""
    seconds = min(max(field.seconds, int(EARLIEST)), int(LATEST))
    microseconds = min(max(field.nanos // 1000, 0), 999_999)
    return _EPOCH + timedelta(seconds=seconds, microseconds=microseconds)
