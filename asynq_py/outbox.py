"""Group commit: what arrives during a flush goes out with the next, and each caller gets its own answer."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Outbox(Generic[Item, Answer]):
    """Turns many small calls into few large ones.

    `flush` gets at most `limit` items and returns one answer or exception for each, in order; if it raises,
    every item of that flush gets the error. One flush is under way at a time. What was `put` goes out in a
    task of the outbox's own, so a caller that is cancelled gives up its answer and disturbs nobody.
    """

    def __init__(
        self, flush: Callable[[list[Item]], Awaitable[Sequence[Answer | Exception]]], *, limit: int
    ) -> None:
        self._flush = flush
        self._limit = limit
        self._waiting: deque[tuple[Item, asyncio.Future[Answer]]] = deque()
        self._flusher: asyncio.Future[None] | None = None

    def put(self, item: Item) -> asyncio.Future[Answer]:
        """Queue an item for the next flush; the future brings its answer. Needs a running event loop."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((item, future))
        if not self._is_flushing():
            self._flusher = loop.create_task(self._run())
        return future

    async def now(self, item: Item) -> Answer:
        """The same for a caller that is not cancelled: if nothing is under way, flush in its own task.

        That saves two turns of the event loop. If it is cancelled after all, so is the flush.
        """
        if self._is_flushing():
            return await self.put(item)
        loop = asyncio.get_running_loop()
        self._flusher = flushing = loop.create_future()
        try:
            (answer,) = await self._answers([item])
        finally:
            flushing.set_result(None)
            if self._waiting:
                self._flusher = loop.create_task(self._run())
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def drain(self) -> None:
        """Wait until nothing is waiting or under way."""
        while self._flusher is not None and self._is_flushing():
            await asyncio.wait([self._flusher])
        self._give_up(())  # a flusher that was cancelled before it began could not do so

    def _is_flushing(self) -> bool:
        return self._flusher is not None and not self._flusher.done()

    async def _run(self) -> None:
        batch: list[tuple[Item, asyncio.Future[Answer]]] = []
        try:
            while self._waiting:
                waiting = self._waiting
                batch = [waiting.popleft() for _ in range(min(self._limit, len(waiting)))]
                _resolve(batch, await self._answers([item for item, _ in batch]))
        finally:
            # reached with work left only when the event loop is being torn down
            self._give_up(batch)

    def _give_up(self, batch: Sequence[tuple[Item, asyncio.Future[Answer]]]) -> None:
        self._flusher = None
        for _, future in (*batch, *self._waiting):
            future.cancel()
        self._waiting.clear()

    async def _answers(self, items: list[Item]) -> Sequence[Answer | Exception]:
        try:
            return await self._flush(items)
        except Exception as error:
            return [error] * len(items)


def _resolve(
    batch: Sequence[tuple[object, asyncio.Future[Answer]]], answers: Sequence[Answer | Exception]
) -> None:
    for (_, future), answer in zip(batch, answers, strict=True):
        if future.done():  # its caller was cancelled
            continue
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)
