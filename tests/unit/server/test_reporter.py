"""Of many reports few are written: the first, the last, and one every half second."""

from __future__ import annotations

import asyncio

from asynq_py.errors import BrokerUnavailableError
from asynq_py.server.reporter import Reporter
from tests.clock import ManualClock


class Store:
    """Where reports are written. `is_ours`: what it answers; `hold`: until when it waits with that."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.is_ours = True
        self.error: Exception | None = None
        self.hold: asyncio.Event | None = None
        self.changed = asyncio.Event()

    async def write(self, data: bytes) -> bool:
        self.written.append(data)
        self.changed.set()
        if self.hold is not None:
            await self.hold.wait()
        if self.error is not None:
            raise self.error
        return self.is_ours

    async def change(self) -> None:
        await asyncio.wait_for(self.changed.wait(), 20)
        self.changed.clear()


def reporter(store: Store, clock: ManualClock) -> Reporter:
    return Reporter(store.write, clock, asyncio.get_running_loop())


async def test_the_first_is_written_at_once_and_the_next_when_its_time_has_come() -> None:
    store, clock = Store(), ManualClock()
    reports = reporter(store, clock)

    reports.report(b"1")
    await store.change()
    clock.advance(0.5)
    reports.report(b"2")
    await store.change()

    assert store.written == [b"1", b"2"]
    await reports.close()
    assert store.written == [b"1", b"2"]


async def test_those_between_go_to_nobody_and_the_last_is_written_at_the_end() -> None:
    store, clock = Store(), ManualClock()
    reports = reporter(store, clock)

    reports.report(b"first")
    await store.change()
    for number in range(1000):
        reports.report(b"%d" % number)
    reports.report(b"last")
    await reports.close()

    assert store.written == [b"first", b"last"]


async def test_the_last_of_a_burst_is_written_soon_although_nothing_follows() -> None:
    store = Store()
    reports = reporter(store, ManualClock())

    reports.report(b"first")
    await store.change()
    reports.report(b"between")
    reports.report(b"last")
    await store.change()

    assert store.written == [b"first", b"last"]
    await reports.close()


async def test_reports_of_another_thread_are_written_too() -> None:
    store = Store()
    reports = reporter(store, ManualClock())

    await asyncio.to_thread(reports.report, b"1")
    await store.change()
    await asyncio.to_thread(reports.report, b"2")
    await reports.close()

    assert store.written == [b"1", b"2"]


async def test_a_report_during_a_write_comes_after_it_and_never_beside() -> None:
    store, clock = Store(), ManualClock()
    store.hold = asyncio.Event()
    reports = reporter(store, clock)

    reports.report(b"1")
    await store.change()
    clock.advance(5)
    reports.report(b"2")
    reports.report(b"3")
    assert store.written == [b"1"]
    store.hold.set()
    await store.change()

    assert store.written == [b"1", b"3"]
    await reports.close()


async def test_who_has_lost_the_task_writes_no_more() -> None:
    store, clock = Store(), ManualClock()
    store.is_ours = False
    reports = reporter(store, clock)

    reports.report(b"1")
    await store.change()
    await asyncio.sleep(0)
    clock.advance(5)
    reports.report(b"2")
    await reports.close()

    assert store.written == [b"1"]


async def test_what_could_not_be_written_is_made_up_for_by_the_next() -> None:
    store, clock = Store(), ManualClock()
    store.error = BrokerUnavailableError("away")
    reports = reporter(store, clock)

    reports.report(b"1")
    await store.change()
    store.error = None
    clock.advance(0.5)
    reports.report(b"2")
    await reports.close()

    assert store.written == [b"1", b"2"]


async def test_nothing_is_written_after_the_end() -> None:
    store = Store()
    reports = reporter(store, ManualClock())

    await reports.close()
    reports.report(b"1")
    await asyncio.sleep(0)

    assert store.written == []
