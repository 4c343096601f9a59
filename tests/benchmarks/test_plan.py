"""What is measured in which order, and who the peers are."""

from __future__ import annotations

import re
import tomllib
from itertools import islice

import pytest

from benchmarks.candidates import BARE, HERE, OURS, Candidate
from benchmarks.plan import MILLION, figures, order, sized

SLOW = Candidate(name="slow", command=(), is_quick=False, handle=100, store=50)
PEERS = tomllib.loads((HERE / "peers.toml").read_text())


def test_systems_take_turns_at_each_figure() -> None:
    some = [figure for figure in figures() if figure.is_main and figure.on == "all"][:2]
    names = [(turn, figure.key, who.name) for turn, figure, who in islice(order(some, (OURS, SLOW)), 12)]

    first = [(0, key, name) for key in ("c100", "c10") for name in ("asynq-py", "slow")]
    quick = [(turn, key, "asynq-py") for turn in (1, 2) for key in ("c100", "c10")]
    assert names == [*first, *quick, *((3, key, name) for _, key, name in first)]


def test_a_figure_that_is_measured_once_does_not_come_again() -> None:
    million = [figure for figure in figures() if figure.is_once]

    assert {figure.request.tasks for figure in million} >= {MILLION}
    assert [turn for turn, *_ in order(million, (OURS, BARE))] == [0] * len(million)


def test_slow_systems_get_fewer_tasks_and_none_gets_no_task() -> None:
    drain = next(figure for figure in figures() if figure.key == "c100")

    assert sized(drain, OURS, 2.0).tasks == 2 * OURS.handle
    assert sized(drain, SLOW, 7.0).tasks == 700
    assert sized(drain, SLOW, 0.01).tasks == 5 * drain.request.concurrency


def test_no_figure_is_named_twice() -> None:
    assert (
        len({figure.key for figure in figures()})
        == len({figure.title for figure in figures()})
        == len(figures())
    )


@pytest.mark.parametrize("name", PEERS)
def test_each_peer_has_an_adapter_and_pinned_versions(name: str) -> None:
    folder = HERE / "peers"

    assert (folder / f"{name}.py").exists() or (folder / f"{name}_go" / "main.go").exists()
    if "requirements" in PEERS[name]:
        assert re.fullmatch(r"[\w-]+(\[[\w,]+\])?==[\d.]+", PEERS[name]["requirements"][0])
    else:
        assert f"asynq {PEERS[name]['version']}" in (folder / "asynq_go" / "go.mod").read_text()


def test_each_adapter_is_of_a_peer() -> None:
    adapters = {path.stem for path in (HERE / "peers").glob("*.py")} - {"__init__"}

    assert adapters == PEERS.keys() - {"asynq"}


def test_the_quick_run_is_a_part_of_the_whole() -> None:
    quick = [figure for figure in figures() if figure.is_quick]

    assert {"c10", "c100", "one", "latency", "late", "idle"} <= {figure.key for figure in quick}
    assert not any(figure.is_once for figure in quick)
