"""What `make verify` makes of its programmes."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.verify import __main__ as verify

GOOD = {"name": "good", "figures": {"steps": 3}, "failed": False}


class Scripted(verify.Programme):
    """A programme that is a piece of Python."""

    def command(self, arguments: str) -> list[str]:
        return [sys.executable, "-c", arguments]


@pytest.fixture(autouse=True)
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(verify, "REPORTS", tmp_path)
    return tmp_path


def scripted(name: str, code: str) -> Scripted:
    return Scripted(name, "tests.verify", code, 1, code, 1)


def run(code: str) -> verify.Result:
    return verify.carry_out(scripted("good", code))


def writing(folder: Path, report: Mapping[str, object], code: int = 0) -> str:
    return (
        f"import pathlib, sys; pathlib.Path({str(folder / 'good.json')!r})"
        f".write_text({json.dumps(dict(report))!r}); sys.exit({code})"
    )


def test_a_programme_that_writes_a_good_report_passes(reports: Path) -> None:
    result = run(writing(reports, GOOD))

    assert not result.problem
    assert result.figures == {"good": {"steps": 3}}


def test_a_programme_fails_by_its_exit_code_or_by_its_report(reports: Path) -> None:
    assert run(writing(reports, GOOD, code=1)).problem == "exit code 1"
    assert run(writing(reports, GOOD | {"failed": True})).problem


def test_an_old_report_is_none(reports: Path) -> None:
    (reports / "good.json").write_text(json.dumps(GOOD))

    assert run("pass").problem == "no report"


def test_all_figures_are_told_and_one_failure_fails_the_whole(
    reports: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good = scripted("good", writing(reports, GOOD))
    bad = scripted("bad", "raise SystemExit(3)")
    monkeypatch.setattr(verify, "PROGRAMMES", (good, bad))

    assert verify.main(["--only", "good"]) == 0
    assert verify.main([]) == 1

    told = capsys.readouterr().out
    assert "steps  3" in told
    assert "FAILED, exit code 3" in told


def test_nothing_to_do_is_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    assert verify.main(["--only", "nothing of this name"]) == 1
