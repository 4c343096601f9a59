"""A tiny run of the check of operations on all tasks. Nothing is asserted about speed."""

from __future__ import annotations

import re
from collections.abc import Generator
from pathlib import Path

import pytest
import redis

from asynq_py import Inspector
from benchmarks import bulk, redis_process

ALL = re.compile(r"(run|archive|delete)_all_\w+")


@pytest.fixture(scope="module")
def server() -> Generator[redis.Redis]:
    with redis_process.running() as server:
        yield server


def test_every_operation_on_all_tasks_is_measured() -> None:
    measured = {operation.name for operation in bulk.operations()}
    assert {name for name in dir(Inspector) if ALL.fullmatch(name)} <= measured


@pytest.mark.parametrize("operation", bulk.operations(), ids=lambda operation: operation.name)
def test_an_operation_finds_its_tasks_and_takes_scripts(
    server: redis.Redis, operation: bulk.Operation
) -> None:
    measured = bulk.measure(server, operation, 30, turns=2)

    assert measured.tasks == 30 * len(operation.states)
    assert measured.command
    assert measured.longest <= measured.paused
    assert measured.calls >= 1 or operation.name.startswith("groups")
    if ALL.match(operation.name):
        verb, _, state = operation.name.partition(",")[0].split("_", 2)
        emptied = "asynq:{q}:g:g0" if state == "aggregating" else f"asynq:{{q}}:{state}"
        assert not server.exists(emptied), verb
    if operation.name.startswith("delete_queue"):
        assert server.dbsize() == 0


def test_a_pause_of_the_machine_in_one_turn_does_not_count() -> None:
    paused = [("run_all", 9), ("run_all", 500), ("ZCARD", 2)]
    assert bulk.repeatable([paused, [("run_all", 400), ("run_all", 11), ("ZCARD", 3)]]) == (11, "run_all")


def test_commands_are_compared_with_their_kind_in_whatever_order_they_come() -> None:
    one, other = [("run_all", 900), ("ZCARD", 2)], [("ZCARD", 300), ("run_all", 11)]
    assert bulk.repeatable([one, other]) == (11, "run_all")


def test_what_only_one_turn_knows_of_counts_as_it_is() -> None:
    assert bulk.repeatable([[("run_all", 9)], [("run_all", 70), ("run_all", 4), ("ZCARD", 5)]]) == (
        70,
        "run_all",
    )


def test_the_report_says_what_is_above_the_goal(tmp_path: Path) -> None:
    out = tmp_path / "bulk.md"
    bulk.main(["--tasks", "5", "--only", "delete_all_pending", "--out", str(out)])
    slow = bulk.Measured("slow", 10, bulk.GOAL + 1, "run_all", bulk.GOAL + 1, 1.0, 1, 1.0)

    assert "| delete_all_pending | 5 |" in out.read_text("utf-8")
    assert "Above 5 ms: slow." in bulk.report([slow], tasks=10, about="")
