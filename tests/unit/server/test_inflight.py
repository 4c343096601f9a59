"""The tries whose outcome is not yet written."""

from __future__ import annotations

import pytest

from asynq_py import ActiveTask, CancelReason
from asynq_py.broker.broker import Broker, Owned
from asynq_py.broker.lane import Lane
from asynq_py.connection import Connector
from asynq_py.server.attempt import Attempt, Surroundings
from asynq_py.server.config import ServerConfig
from asynq_py.server.inflight import InFlight
from asynq_py.server.outcome import Outcome
from asynq_py.server.threads import Threads
from asynq_py.wire.messages import TaskMessage
from tests.clock import ManualClock


async def _handler(task: ActiveTask) -> None: ...


def _report(attempt: Attempt, outcome: Outcome | None, bug: Exception | None = None) -> None: ...


def _attempt(task_id: str, queue: str = "q", *, valid_until: float = 100.0) -> Attempt:
    """A try that has not begun; nothing here connects."""
    clock = ManualClock()
    broker = Broker(Lane(Connector("redis://"), role="test"), clock)
    around = Surroundings(_handler, ServerConfig(), clock, broker, Threads(1), _report, _nobody, _nobody)
    return Attempt(
        around,
        TaskMessage(type="t", id=task_id, queue=queue),
        Owned(task_id, 1),
        taken_at=0.0,
        valid_until=valid_until,
    )


def _nobody(*_: object) -> None: ...


@pytest.fixture
def inflight() -> InFlight:
    return InFlight()


def test_tries_are_known_by_queue_and_id(inflight: InFlight) -> None:
    """IDs are unique within a queue only (Q-24)."""
    here, there = _attempt("x", "here"), _attempt("x", "there")
    inflight.add(here)
    inflight.add(there)
    assert len(inflight) == 2
    inflight.remove([here])
    assert list(inflight) == [there]
    assert here.cancel_reason is there.cancel_reason is None


def test_removing_a_try_tells_whoever_waits_for_that(inflight: InFlight) -> None:
    attempt = _attempt("x")
    inflight.add(attempt)
    assert not inflight.shrank.is_set()
    inflight.remove([attempt])
    assert inflight.shrank.is_set()
    inflight.remove([attempt])  # once more changes nothing
    assert len(inflight) == 0


def test_a_newer_try_of_the_same_task_cancels_the_older_whose_end_does_not_remove_it(
    inflight: InFlight,
) -> None:
    older, newer = _attempt("x"), _attempt("x")
    inflight.add(older)
    inflight.add(newer)
    assert older.cancel_reason is CancelReason.LEASE_LOST
    assert newer.cancel_reason is None
    inflight.remove([older])
    assert list(inflight) == [newer]


def test_a_cancelation_reaches_the_id_in_every_queue_and_no_other(inflight: InFlight) -> None:
    """The channel names no queue (Q-42)."""
    here, there, other = _attempt("x", "here"), _attempt("x", "there"), _attempt("y")
    for attempt in (here, there, other):
        inflight.add(attempt)
    assert inflight.cancel("x")
    assert here.cancel_reason is there.cancel_reason is CancelReason.CANCELLED
    assert other.cancel_reason is None
    assert not inflight.cancel("unknown")


def test_tries_are_cancelled_once_their_lease_has_ended_by_our_own_clock(inflight: InFlight) -> None:
    ended, last_moment = _attempt("ended", valid_until=99.9), _attempt("last", valid_until=100.0)
    inflight.add(ended)
    inflight.add(last_moment)
    inflight.drop_expired(100.0)
    assert ended.cancel_reason is CancelReason.LEASE_LOST
    assert last_moment.cancel_reason is None


def test_the_first_reason_counts(inflight: InFlight) -> None:
    attempt = _attempt("x", valid_until=0.0)
    inflight.add(attempt)
    inflight.cancel("x")
    inflight.drop_expired(100.0)
    assert attempt.cancel_reason is CancelReason.CANCELLED


def test_tries_may_be_removed_while_one_goes_through_them(inflight: InFlight) -> None:
    for task_id in "abc":
        inflight.add(_attempt(task_id))
    for attempt in inflight:
        inflight.remove([attempt])
    assert len(inflight) == 0
