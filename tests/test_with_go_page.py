"""docs/with-go.md promises nothing that no test shows."""

from __future__ import annotations

import re
from pathlib import Path

from tests.interop.build import NEWEST, OLDEST

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "with-go.md").read_text("utf-8")


def _defined() -> set[str]:
    sources = (path.read_text("utf-8") for path in TESTS.rglob("test_*.py"))
    return {name for source in sources for name in re.findall(r"^(?:async )?def (test_\w+)", source, re.M)}


def test_every_test_that_is_named_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert len(named) > 50
    assert named - _defined() == set()


def test_every_defect_of_go_has_its_row() -> None:
    rows = re.findall(r"^\| (Q-\d\d) \| .+ \| (.+?) \| .+ \|$", PAGE, re.MULTILINE)
    assert [number for number, _ in rows] == [f"Q-{number:02}" for number in range(1, 44)]
    assert all(re.match(r"mended|not yet$|not ours$", verdict) for _, verdict in rows)


def test_a_mended_defect_names_the_test_that_shows_it() -> None:
    rows = re.findall(r"^\| (Q-\d\d) \| .+? \| mended.*? \| (.+) \|$", PAGE, re.MULTILINE)
    assert [number for number, shown in rows if "`test_" not in shown] == []


def test_the_versions_are_those_that_are_tested() -> None:
    assert f"| {NEWEST} |" in PAGE
    assert f"| {OLDEST}, " in PAGE
