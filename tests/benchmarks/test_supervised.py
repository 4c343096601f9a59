"""A tiny run of worker processes under a supervisor. Nothing is asserted about speed."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import supervised


@pytest.mark.timeout(180, func_only=True)
def test_every_kind_and_number_of_processes_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervised, "PROCESSES", (1, 2))
    out = tmp_path / "supervised.md"
    supervised.main(["--turns", "1", "--share", "0.005", "--out", str(out)])

    rows = [line.split(" | ")[:2] for line in out.read_text("utf-8").splitlines() if line.startswith("| ")]
    assert rows[1:] == [
        [f"| {name}", str(processes)] for name in ("no-op", "1 ms of a processor") for processes in (1, 2)
    ]
