"""The shape of a report, which `make verify` reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.verify import report


def test_a_report_has_a_name_its_figures_and_how_it_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "REPORTS", tmp_path / "reports")

    path = report.write_report("model", {"steps": 40_000, "seconds": 1.5, "worst": "none"}, failed=False)

    assert path == tmp_path / "reports" / "model.json"
    assert json.loads(path.read_text()) == {
        "name": "model",
        "figures": {"steps": 40_000, "seconds": 1.5, "worst": "none"},
        "failed": False,
    }


def test_a_table_has_a_figure_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    report.print_table("model", {"steps": 40_000, "seconds": 1.5, "worst": "none"}, failed=True)

    assert capsys.readouterr().out.splitlines() == [
        "model: FAILED",
        "  steps    40 000",
        "  seconds  1.50",
        "  worst    none",
    ]
