"""docs/internals/faults.md leaves out no fault, and names no test that does not exist."""

from __future__ import annotations

from typing import Final

import pytest

from tests.pages import cited, is_defined, page, rows

PAGE: Final = page("internals/faults.md")
ROWS: Final = [*rows(PAGE, begin="F"), *rows(PAGE, begin="R")]
CITED: Final = cited(PAGE)


def test_every_fault_stands_there_once_and_in_order() -> None:
    faults = [f"F{number}" for number in range(1, 76)]
    hazards = [f"R{number}" for number in range(1, 18)]  # of the driver
    assert [row[0] for row in ROWS] == faults + hazards
    assert all(len(row) == 4 and all(row) for row in ROWS)


def test_every_row_names_what_shows_it_or_says_why_nothing_does() -> None:
    assert [row[0] for row in ROWS if "::test_" not in row[3] and not row[3].startswith("none: ")] == []
    assert PAGE.count("::test_") == len(CITED)


@pytest.mark.parametrize(("path", "name"), sorted(set(CITED)), ids=lambda part: part.rpartition("/")[2])
def test_every_test_that_is_named_exists(path: str, name: str) -> None:
    assert is_defined(path, name)
