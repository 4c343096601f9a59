"""What a hostile producer costs a worker: its memory stays within what it runs and has fetched ahead."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from asynq_py.wire.keys import QueueKeys
from asynq_py.wire.messages import TaskMessage, encode
from tests.servers import blocking_client, running
from tests.verify.security.flood_worker import CONCURRENCY

K: Final = QueueKeys("default")
MIB: Final = 1 << 20
COPIES: Final = 2  # of a message: as it came, and decoded
BASE: Final = 48 * MIB  # what the allocator keeps, and the tables of Python
PATIENCE: Final = 180.0


class Flood(NamedTuple):
    """`number` messages of `size` bytes, made of a number."""

    name: str
    number: int
    size: int
    make: Callable[[int], TaskMessage]


def _headers(number: int) -> TaskMessage:
    return TaskMessage(type="t", headers={f"{number}-{n}": "v" * 1000 for n in range(500)})


FLOODS: Final = (
    Flood("tiny tasks", 5_000, 64, lambda n: TaskMessage(type="t", payload=b"x" * 16)),
    Flood("payloads of 1 MiB", 60, MIB, lambda n: TaskMessage(type="t", payload=b"x" * MIB)),
    Flood("payloads of 32 MiB", 4, 32 * MIB, lambda n: TaskMessage(type="t", payload=b"x" * 32 * MIB)),
    Flood("500 headers of 1 KB", 60, MIB // 2, _headers),
    Flood("types of 100 KB", 150, 100_000, lambda n: TaskMessage(type="x" * 100_000)),
)


def growth() -> dict[str, tuple[int, int]]:
    """By flood: by how much the worker's memory grew at most, and by how much it may, in bytes."""
    found: dict[str, tuple[int, int]] = {}
    with running("embedded") as url, blocking_client(url) as client:
        redis: Any = client
        redis.flushall()
        with _worker(url) as pid:
            _send(redis, FLOODS[0]._replace(number=500))
            _wait_until_empty(redis)
            for flood in FLOODS:
                before = _status(pid, "VmRSS")
                Path(f"/proc/{pid}/clear_refs").write_text("5")  # the highest mark begins anew
                _send(redis, flood)
                _wait_until_empty(redis)
                grown = _status(pid, "VmHWM") - before
                found[flood.name] = (grown, BASE + CONCURRENCY * flood.size * COPIES)
    return found


def _send(redis: Any, flood: Flood) -> None:
    step = max(1, min(500, 8 * MIB // flood.size))  # a few MiB in each round trip
    for first in range(0, flood.number, step):
        with redis.pipeline(transaction=False) as pipe:
            for number in range(first, min(first + step, flood.number)):
                message = flood.make(number)
                message.id, message.queue, message.timeout = f"{flood.name}-{number}", "default", 600
                pipe.hset(K.task(message.id), mapping={"msg": encode(message), "state": "pending"})
                pipe.lpush(K.pending, message.id)
            pipe.execute()


def _wait_until_empty(redis: Any) -> None:
    give_up_at = time.monotonic() + PATIENCE
    while redis.exists(K.pending, K.active, K.lease):
        assert time.monotonic() < give_up_at, "the worker does not get through"
        time.sleep(0.05)


@contextmanager
def _worker(url: str) -> Iterator[int]:
    process = subprocess.Popen([sys.executable, "-m", "tests.verify.security.flood_worker", url])
    try:
        yield process.pid
        assert process.poll() is None, "the worker has died"
    finally:
        process.terminate()
        process.wait(30)


def _status(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise AssertionError(name)
