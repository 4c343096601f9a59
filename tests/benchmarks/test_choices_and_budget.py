"""The two smaller measurements run, and say something of each of their parts."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import budget, choices
from benchmarks.budget import LOOP, STAGES
from benchmarks.choices import CHOICES
from benchmarks.systems import otherwise


def test_each_choice_has_its_patch() -> None:
    assert sorted(choice.key for choice in CHOICES) == sorted(otherwise.CHOICES)


@pytest.mark.parametrize("key", ["no look-ahead", "task group", "protobuf in Python"])
def test_a_choice_is_measured_beside_asynq_py_as_it_is(tmp_path: Path, key: str) -> None:
    page = tmp_path / "choices.md"

    choices.main(["--turns", "1", "--tasks", "500", "--only", key, "--out", str(page)])

    choice = next(choice for choice in CHOICES if choice.key == key)
    assert [line for figure in choice.figures for line in page.read_text().splitlines() if figure in line]


def test_the_budget_has_all_stages_and_most_of_the_time_is_in_them(tmp_path: Path) -> None:
    page = tmp_path / "budget.md"

    budget.main(["--tasks", "20000", "--out", str(page)])

    rows = [line.split("|")[1:-1] for line in page.read_text().splitlines() if line.startswith("| ")]
    shares = {row[0].strip(): int(row[3].strip(" %")) for row in rows[2:]}
    assert {*STAGES, LOOP} <= set(shares)
    assert sum(shares[stage] for stage in STAGES) > 50
