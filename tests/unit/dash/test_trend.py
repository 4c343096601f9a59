from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from asynq_py import QueueInfo
from asynq_py.dash.trend import LENGTH, Trend

START = datetime(2026, 1, 31, tzinfo=UTC)
FIRST = QueueInfo(
    queue="q", memory_usage=0, latency=0.0, size=0, groups=0, pending=0, active=0, scheduled=0, retry=0,
    archived=0, completed=0, aggregating=0, processed=0, failed=0, processed_total=100, failed_total=10,
    is_paused=False, looked_at=START,
)  # fmt: skip


def look(seconds: float, processed: int = 100, failed: int = 10, latency: float = 0.0) -> QueueInfo:
    return replace(
        FIRST, looked_at=START + timedelta(seconds=seconds), processed_total=processed, failed_total=failed,
        latency=latency,
    )  # fmt: skip


def trend(*looks: QueueInfo) -> Trend:
    found = Trend()
    for info in looks:
        found = found.after(info)
    return found


def test_rates_are_a_second_however_far_apart_the_looks_are() -> None:
    seen = trend(look(0), look(2, 120, 11), look(12, 170, 11))
    assert seen.processed == [10.0, 5.0]
    assert seen.failed == [0.5, 0.0]


def test_the_first_look_tells_no_rate_but_the_latency() -> None:
    seen = trend(look(0, latency=1.5))
    assert (seen.processed, seen.failed, seen.latency) == ([], [], [1.5])


def test_counters_that_begin_again_are_no_rate_below_zero() -> None:
    assert trend(look(0), look(1, processed=3, failed=0)).processed == [0.0]


def test_a_look_at_the_same_moment_takes_the_place_of_the_last() -> None:
    assert trend(look(0), look(1, 110), look(1, 120)).processed == [20.0]


def test_only_the_last_looks_are_kept() -> None:
    seen = trend(*(look(at, latency=at) for at in range(LENGTH + 5)))
    assert len(seen.looks) == LENGTH
    assert seen.latency[-1] == LENGTH + 4
