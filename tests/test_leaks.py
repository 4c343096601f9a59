"""Whatever a test leaves behind fails it; tests/leaking.py leaves something of each kind."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

import pytest

from tests.pages import ROOT

FILE: Final = ROOT / "tests" / "leaking.py"
NAMES: Final = [
    node.name
    for node in ast.parse(FILE.read_text("utf-8")).body
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
]
BLAME: Final = {
    "test_task": "left behind: asyncio task",
    "test_task_of_a_loop_of_its_own": "left behind: asyncio task",
    "test_task_of_a_fixture": "left behind: asyncio task",
    "test_thread": "left behind: thread 'lingering'",
    "test_file": "left behind: open file",
    "test_socket": "left behind: open file",
    "test_connection": "left behind: open file",
    "test_coroutine": "coroutine '_for_ever' was never awaited",
    "test_forgotten_socket": "unclosed <socket.socket",
    "test_failure_that_leaves_something_behind": "on purpose",
    "test_mark_with_a_mistake": "a test leaves tasks, threads, files",
    "test_last_which_hides_a_coroutine_in_a_circle": "coroutine '_for_ever' was never awaited",
}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """By the name of a test what is said against it."""
    report = tmp_path_factory.mktemp("leaks") / "report.xml"
    options = ("-p", "tests.leaks", "--noconftest", f"--junitxml={report}")
    settings = ("-o", "python_files=leaking.py", "-o", "leak_patience=1")
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *options, *settings, str(FILE.relative_to(ROOT))],
        cwd=ROOT,
        check=False,
        capture_output=True,
        timeout=50,
    )
    return _read(report)


def _read(report: Path) -> dict[str, list[str]]:
    told: dict[str, list[str]] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        complaints = [part.get("message", "") + (part.text or "") for part in case]
        told.setdefault(case.get("name", ""), []).extend(complaints)
    return told


def test_all_of_them_were_run(told: dict[str, list[str]]) -> None:
    assert list(told) == NAMES
    assert [name for name in NAMES if "good" not in name] == list(BLAME)


@pytest.mark.parametrize("name", NAMES)
def test_a_test_is_blamed_for_what_it_leaves_behind_and_for_nothing_else(
    told: dict[str, list[str]], name: str
) -> None:
    if name in BLAME:
        (complaint,) = told[name]
        assert BLAME[name] in complaint
    else:
        assert told[name] == []
