"""Wrong calls of tasks are errors in mypy and in pyright, and right ones are not."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = sorted((Path(__file__).parent / "programs").glob("*.py"))

pytestmark = pytest.mark.timeout(300)


def _expected() -> set[tuple[str, int]]:
    return {
        (path.name, number)
        for path in PROGRAMS
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if line.endswith("# E")
    }


def _checked(folder: Path, checker: str, *arguments: str) -> str:
    """Check copies, in a folder that has no settings, as in a user's project."""
    if importlib.util.find_spec(checker) is None:
        pytest.skip(f"{checker} is not installed")
    copies = [shutil.copy(program, folder) for program in PROGRAMS]
    ended = subprocess.run(
        [sys.executable, "-m", checker, *arguments, *map(str, copies)],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        timeout=280,
    )
    assert ended.returncode == 1, ended.stdout + ended.stderr
    return ended.stdout


def test_there_is_something_to_refuse() -> None:
    assert len(_expected()) > 20


def test_mypy_refuses_what_is_wrong_and_nothing_else(tmp_path: Path) -> None:
    out = _checked(tmp_path, "mypy", "--strict", "--no-error-summary", "--no-pretty")
    found = re.findall(r"^(?:.*/)?(\w+\.py):(\d+): error: ", out, re.MULTILINE)
    assert {(name, int(line)) for name, line in found} == _expected(), out


def test_pyright_refuses_what_is_wrong_and_nothing_else(tmp_path: Path) -> None:
    answer = json.loads(_checked(tmp_path, "pyright", "--pythonpath", sys.executable, "--outputjson"))
    found = {
        (Path(each["file"]).name, each["range"]["start"]["line"] + 1)
        for each in answer["generalDiagnostics"]
        if each["severity"] == "error"
    }
    assert found == _expected(), answer["generalDiagnostics"]
