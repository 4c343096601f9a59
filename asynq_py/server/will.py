"""Will: what a worker process runs, told to its supervisor, so that it runs again at once if that one dies.

The supervisor knows of a death at once, but has no connection to Redis. So it keeps the last word of each
process, and gives it to the one that takes its place, which hands those tasks back. Each carries the token of
its lease: what the dead process has ended since, or others have by now, is not touched. What it took after
its last word, within a second, waits for the end of its lease. Reliability F31.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import anyio

from asynq_py.broker.broker import Broker, Owned
from asynq_py.errors import BrokerUnavailableError
from asynq_py.server.each import each
from asynq_py.server.inflight import InFlight
from asynq_py.server.outage import Backoff, Outage
from asynq_py.tracebacks import one_line
from asynq_py.wire import limits

logger = logging.getLogger(__name__)

INTERVAL: Final = 1.0  # seconds between words
MOST: Final = 10_000  # tasks of one word, the oldest; the others are left to their leases
LONGEST: Final = 16 << 20  # bytes of one word, far above that


class Bequest(NamedTuple):
    """A task that a process ran. `id`: with surrogates where it is not UTF-8."""

    queue: str
    id: str
    token: int

    @property
    def owned(self) -> Owned:
        raw = self.id.encode("utf-8", "surrogateescape")
        try:
            return Owned(raw.decode(), self.token)
        except UnicodeDecodeError:
            return Owned(raw, self.token)


@dataclass(frozen=True, slots=True)
class Will:
    """`channel`: to the supervisor. `inherited`: what the process before this one ran when it died."""

    channel: socket.socket
    inherited: Sequence[Bequest]


class WillKeeper:
    """Hands back what was inherited, and then says every second what runs here.

    `lease`: seconds after which what was inherited is recovered by its leases anyway.
    """

    def __init__(
        self, will: Will, broker: Broker, inflight: InFlight, outage: Outage, *, lease: float
    ) -> None:
        self._will = will
        self._broker = broker
        self._inflight = inflight
        self._outage = outage
        self._lease = lease

    async def run(self) -> None:
        with anyio.move_on_after(self._lease):
            await self._hand_back()
        try:
            _, writer = await asyncio.open_connection(sock=self._will.channel)
            said = None
            try:
                while True:
                    word = self._word()
                    if word != said:
                        writer.write(word)
                        await writer.drain()
                        said = word
                    await anyio.sleep(INTERVAL)
            finally:
                writer.close()
        except OSError:  # the supervisor is gone; others look after that
            logger.debug("nobody hears any more what runs here")

    def _word(self) -> bytes:
        running = [(a.queue, _text(a.owned.id), a.owned.token) for a in self._inflight][:MOST]
        return json.dumps(running).encode() + b"\n"

    async def _hand_back(self) -> None:
        by_queue: dict[str, list[Owned]] = {}
        for bequest in self._will.inherited:
            by_queue.setdefault(bequest.queue, []).append(bequest.owned)
        backoff = Backoff()
        while by_queue:
            try:
                await each(by_queue, lambda queue: self._recover(queue, by_queue[queue]))
                return
            except BrokerUnavailableError as error:
                self._outage.noticed(error)
                await anyio.sleep(backoff.next())

    async def _recover(self, queue: str, tasks: list[Owned]) -> None:
        # the last batch first: each goes to the head, so that in the end the oldest task runs next
        for first in reversed(range(0, len(tasks), limits.REPAIR_BATCH)):
            batch = tasks[first : first + limits.REPAIR_BATCH]
            for task, is_back in zip(batch, await self._broker.recover_owned(queue, batch), strict=True):
                if is_back:
                    logger.warning(
                        "recovered task %s in %r: its process died", one_line(_text(task.id)), queue
                    )


class WillReader:
    """Keeps the last whole word of a process. `latest`: None: it has said none, so it has not begun.

    `ended`: it says no more.
    """

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self.latest: Sequence[Bequest] | None = None
        self.ended = asyncio.Event()

    async def run(self) -> None:
        try:
            reader, writer = await asyncio.open_connection(sock=self._channel, limit=LONGEST)
            try:
                while (line := await reader.readline()).endswith(b"\n"):
                    self.latest = [Bequest(*told) for told in json.loads(line)]
            finally:
                writer.close()
        except OSError:  # it was killed while it spoke
            logger.debug("a worker process ended in the middle of a word")
        finally:
            self.ended.set()


def _text(task_id: str | bytes) -> str:
    return task_id.decode("utf-8", "surrogateescape") if isinstance(task_id, bytes) else task_id
