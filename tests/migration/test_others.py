"""What the guides for those who come from elsewhere say of the other libraries, asked of those libraries.

They run in virtual environments of their own, those that `make bench` sets up; without one a test is skipped.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from benchmarks.candidates import CACHE
from tests.servers import master_url

PROGRAMS = Path(__file__).with_name("programs")
pytestmark = pytest.mark.timeout(240)


def asked(library: str, url: str) -> dict[str, Any]:
    """Run the program about a library on a Redis. Returns what it found."""
    found = sorted(CACHE.glob(f"{library}-*/ready"))
    if not found:
        pytest.skip(f"{library} is in no virtual environment under {CACHE}: `make bench` makes them")
    ended = subprocess.run(
        [found[-1].parent / "bin" / "python", PROGRAMS / f"of_{library}.py"],
        env={**{name: os.environ[name] for name in os.environ if name != "PYTHONPATH"}, "REDIS_URL": url},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=200,
    )
    assert ended.returncode == 0, ended.stderr
    told: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return told


@pytest.fixture
def url(one_server: str) -> str:
    return master_url(one_server)


def test_arq(url: str) -> None:
    told = asked("arq", url)
    assert 3500 <= told.pop("result is kept for") <= 3600
    assert told == {
        "tries": {"fails": [1], "again": [1, 2, 3]},  # any exception is final, but Retry, which is counted
        "succeeded": {"fails": False, "again": False},
        "refused while it waits": True,
        "refused while its result is kept": True,
        "result": "done",
        "deferred is in the queue": True,
        "pickled": True,
        "keys": ["arq"],
    }


def test_rq(url: str) -> None:
    told = asked("rq", url)
    assert 400 <= told.pop("result is kept for") <= 500
    assert told == {
        "failed": ["once", "with Retry"],
        "tries": {"once": 1, "with Retry": 4},
        "result": "done",
        "high first": True,
        "refused": True,
        "scheduled": True,
        "finished": True,
        "has cron": "CronScheduler",
        "keys": ["rq"],
    }


def test_celery(url: str) -> None:
    told = asked("celery", url)
    assert 3400 <= told.pop("result is kept for") <= 3600
    assert told == {
        "chord": 10,
        "chain": 13,
        "tries": {"fails": 1, "again": 3, "dies": 1},
        "a delayed task is held by the worker": True,
        "what a dead worker held is waiting": False,
        "keys": ["_kombu", "celery-task", "unacked"],
    }


def test_taskiq(url: str) -> None:
    told = asked("taskiq", url)
    assert 3500 <= told.pop("result is kept for") <= 3600
    assert told == {
        "label alone": 1,
        "SimpleRetryMiddleware": 3,
        "is_err": True,
        "waits in": ["taskiq"],
        "result": "done",
        "a result is under the bare ID": True,
        "an unknown task is dropped with a warning": True,
        "what a dead worker held is waiting": False,
    }
