"""What is said of an absent Redis, the pauses meanwhile, and the one periodic loop."""

from __future__ import annotations

import logging

import pytest

from asynq_py.errors import BrokerError, BrokerUnavailableError
from asynq_py.server.outage import Backoff, Outage, every


def _said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_an_outage_is_told_once_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    outage = Outage("h:1/0")
    outage.over()
    for _ in range(3):
        outage.noticed(BrokerUnavailableError("no route"))
        assert outage.is_away
    for _ in range(3):
        outage.over()
        assert not outage.is_away
    assert _said(caplog) == [
        "Redis at h:1/0 is away, waiting for it: no route",
        "Redis at h:1/0 is back",
    ]
    outage.noticed(BrokerUnavailableError("again"))
    assert len(_said(caplog)) == 3


def test_pauses_double_from_50_ms_to_2_s_with_jitter_until_something_works() -> None:
    backoff = Backoff()
    longest = [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0, 1.0]
    for most in longest:
        assert most / 2 <= backoff.next() <= most
    backoff.reset()
    assert backoff.next() <= 0.05
    assert len({Backoff().next() for _ in range(20)}) > 1


class Steps:
    """Raises what the test says, one a step."""

    def __init__(self, *ends: Exception | None) -> None:
        self.left = list(ends)

    async def __call__(self) -> None:
        end = self.left.pop(0)
        if end is not None:
            raise end


async def test_the_loop_goes_on_when_redis_is_away_or_refuses_and_ends_with_a_bug(
    caplog: pytest.LogCaptureFixture,
) -> None:
    away, refused = BrokerUnavailableError("away"), BrokerError("refused")
    steps = Steps(None, away, away, refused, None, KeyError("a bug"), None)
    pauses: list[float] = []

    def pause() -> float:
        pauses.append(0.0)
        return 0.0

    with pytest.raises(KeyError):
        await every(pause, steps, Outage("h"))
    assert steps.left == [None]
    assert len(pauses) == 5
    assert _said(caplog) == [
        "Redis at h is away, waiting for it: away",
        "refused",
        "Redis at h is back",
    ]
    assert [record.levelno for record in caplog.records] == [logging.WARNING, logging.ERROR, logging.WARNING]
