"""Group commit: many small calls, few large ones."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from asynq_py.outbox import Outbox


class Desk:
    """Takes batches, and holds each until the test lets it go."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.at_work = 0
        self.most_at_work = 0
        self.arrived = asyncio.Event()
        self.go_on = asyncio.Semaphore(0)

    async def flush(self, items: list[int]) -> Sequence[str | Exception]:
        self.batches.append(items)
        self.at_work += 1
        self.most_at_work = max(self.at_work, self.most_at_work)
        self.arrived.set()
        await self.go_on.acquire()
        self.at_work -= 1
        if 13 in items:
            raise ConnectionError("all of it")
        return [ValueError(item) if item < 0 else f"answer {item}" for item in items]


async def test_what_arrives_during_a_flush_goes_out_with_the_next_and_each_gets_its_own_answer() -> None:
    desk = Desk()
    outbox = Outbox(desk.flush, limit=10)
    first = [outbox.put(n) for n in (1, 2)]
    await desk.arrived.wait()
    later = [outbox.put(n) for n in (3, 4, 5)]
    desk.go_on.release()
    desk.go_on.release()

    assert await asyncio.gather(*first, *later) == [f"answer {n}" for n in (1, 2, 3, 4, 5)]
    assert desk.batches == [[1, 2], [3, 4, 5]]
    assert desk.most_at_work == 1


async def test_a_flush_takes_no_more_than_the_limit_and_keeps_the_order() -> None:
    desk = Desk()
    outbox = Outbox(desk.flush, limit=3)
    answers = [outbox.put(n) for n in range(8)]
    for _ in range(3):
        desk.go_on.release()
    await asyncio.gather(*answers)
    assert desk.batches == [[0, 1, 2], [3, 4, 5], [6, 7]]


async def test_an_answer_that_is_an_error_reaches_its_caller_alone() -> None:
    desk = Desk()
    outbox = Outbox(desk.flush, limit=10)
    bad, good = outbox.put(-1), outbox.put(1)
    desk.go_on.release()
    with pytest.raises(ValueError, match="-1"):
        await bad
    assert await good == "answer 1"


async def test_an_error_of_a_flush_reaches_all_of_it_and_no_later_one() -> None:
    desk = Desk()
    outbox = Outbox(desk.flush, limit=2)
    answers = [outbox.put(n) for n in (13, 1, 2)]
    desk.go_on.release()
    desk.go_on.release()
    results = await asyncio.gather(*answers, return_exceptions=True)
    assert [type(result) for result in results] == [ConnectionError, ConnectionError, str]


async def test_a_caller_that_is_cancelled_gives_up_its_answer_and_disturbs_nobody() -> None:
    desk = Desk()
    outbox = Outbox(desk.flush, limit=10)

    async def call(n: int) -> str:
        return await outbox.put(n)

    impatient, patient = asyncio.create_task(call(1)), asyncio.create_task(call(2))
    await desk.arrived.wait()
    impatient.cancel()
    desk.go_on.release()
    assert await patient == "answer 2"
    assert impatient.cancelled()
    assert desk.batches == [[1, 2]]  # it was sent all the same

    desk.go_on.release()
    assert await call(3) == "answer 3"


async def test_drain_waits_for_what_is_waiting_and_under_way() -> None:
    desk = Desk()
    outbox = Outbox(desk.flush, limit=1)
    answers = [outbox.put(n) for n in (1, 2)]
    draining = asyncio.create_task(outbox.drain())
    await desk.arrived.wait()
    assert not draining.done()
    desk.go_on.release()
    desk.go_on.release()
    await draining
    assert all(answer.done() for answer in answers)
    await outbox.drain()  # nothing to wait for


@pytest.mark.leaves("tasks")
def test_callers_are_cancelled_when_the_event_loop_ends() -> None:
    answers: list[asyncio.Future[str]] = []

    async def main() -> None:
        desk = Desk()
        outbox = Outbox(desk.flush, limit=1)
        answers.extend(outbox.put(n) for n in (1, 2))
        await desk.arrived.wait()

    asyncio.run(main())
    assert [answer.cancelled() for answer in answers] == [True, True]


async def test_a_flusher_cancelled_before_it_began_holds_up_neither_drain_nor_later_calls() -> None:
    desk = Desk()
    outbox = Outbox(desk.flush, limit=10)
    before = asyncio.all_tasks()
    lost = outbox.put(1)
    (flusher,) = asyncio.all_tasks() - before
    flusher.cancel()
    await asyncio.wait([flusher])
    await outbox.drain()
    assert lost.cancelled()

    desk.go_on.release()
    assert await outbox.put(2) == "answer 2"


# -- at once, in the caller's own task ----------------------------------------------------------------------


async def test_who_asks_now_flushes_in_its_own_task_if_nothing_is_under_way() -> None:
    tasks: list[asyncio.Task[object] | None] = []

    async def flush(items: list[int]) -> Sequence[str | Exception]:
        tasks.append(asyncio.current_task())
        return [str(item) for item in items]

    outbox = Outbox(flush, limit=10)
    assert await outbox.now(1) == "1"
    assert await outbox.put(2) == "2"
    assert tasks[0] is asyncio.current_task()
    assert tasks[1] is not asyncio.current_task()


async def test_who_asks_now_during_a_flush_goes_out_with_the_next() -> None:
    desk = Desk()
    outbox = Outbox(desk.flush, limit=10)
    first = outbox.put(1)
    await desk.arrived.wait()
    second, third = asyncio.create_task(outbox.now(2)), outbox.put(3)
    desk.go_on.release()
    desk.go_on.release()

    assert list(await asyncio.gather(first, second, third)) == ["answer 1", "answer 2", "answer 3"]
    assert sorted(desk.batches[1]) == [2, 3]
    assert desk.most_at_work == 1


async def test_what_arrives_while_somebody_flushes_for_itself_goes_out_afterwards() -> None:
    desk = Desk()
    outbox = Outbox(desk.flush, limit=10)
    first = asyncio.create_task(outbox.now(1))
    await desk.arrived.wait()
    later = [outbox.put(2), outbox.put(3)]
    desk.go_on.release()
    desk.go_on.release()

    assert await asyncio.gather(first, *later) == ["answer 1", "answer 2", "answer 3"]
    assert desk.batches == [[1], [2, 3]]
    assert desk.most_at_work == 1


@pytest.mark.parametrize("item", [-1, 13])
async def test_who_asks_now_gets_its_error(item: int) -> None:
    desk = Desk()
    desk.go_on.release()
    with pytest.raises(ConnectionError if item == 13 else ValueError):
        await Outbox(desk.flush, limit=10).now(item)


async def test_when_a_flush_for_itself_is_cancelled_the_others_go_out_all_the_same() -> None:
    desk = Desk()
    outbox = Outbox(desk.flush, limit=10)
    first = asyncio.create_task(outbox.now(1))
    await desk.arrived.wait()
    later = outbox.put(2)
    first.cancel()
    desk.go_on.release()

    assert await later == "answer 2"
    assert first.cancelled()


async def test_draining_waits_for_who_flushes_for_itself() -> None:
    desk = Desk()
    outbox = Outbox(desk.flush, limit=10)
    first = asyncio.create_task(outbox.now(1))
    await desk.arrived.wait()
    draining = asyncio.create_task(outbox.drain())
    desk.go_on.release()

    assert await first == "answer 1"
    await draining
    assert desk.at_work == 0
