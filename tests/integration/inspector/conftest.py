"""Time stands still in 2100, for the reason that tests.state.NOW tells."""

from __future__ import annotations

import pytest

from asynq_py.wire import limits
from tests.clock import ManualClock
from tests.state import NOW


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that few tasks need many steps."""
    monkeypatch.setattr(limits, "INSPECT_BATCH", 2)
