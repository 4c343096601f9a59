"""One process, one temporary server, whoever asks for it first."""

from __future__ import annotations

import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from asynq_py.embedded import server


@pytest.mark.leaves("files")  # the lock of a directory is held until the process ends
def test_a_client_and_a_server_that_connect_at_the_same_time_meet_in_one_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make = tempfile.mkdtemp
    both_are_making_one = threading.Barrier(2, timeout=10)

    def mkdtemp(prefix: str) -> str:
        both_are_making_one.wait()
        return make(prefix=prefix, dir=tmp_path)

    monkeypatch.setattr(server, "_temporary", {})
    monkeypatch.setattr(tempfile, "mkdtemp", mkdtemp)
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(server._temporary_directory, (0, 0))

    assert first == second
    assert list(tmp_path.iterdir()) == [first]
