"""A report from made-up turns: what it says follows from them, and nothing is left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import record, report
from benchmarks.adapter import Answer
from benchmarks.candidates import BARE, OURS, Candidate
from benchmarks.distribution import percentile
from benchmarks.goals import Goal, goals
from benchmarks.losses import losses
from benchmarks.measure import Turn
from benchmarks.publish import BEGIN, END, publish
from benchmarks.record import Recorder

GO = Candidate(name="asynq (Go)", command=(), is_python=False)
ARQ = Candidate(name="arq", command=())


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    about = record.about(redis="Redis 7", go="go1", arguments=["--made-up"])
    recorder = Recorder(tmp_path / "benchmarks" / "results" / "latest", about)
    for candidate in (OURS, BARE, GO, ARQ):
        recorder.system(candidate)
    recorder.figure("c100", "drain, no-op, c=100", "tasks/s")
    recorder.figure("one", "enqueue one by one", "tasks/s")
    recorder.figure("latency", "idle latency", "ms")
    return recorder


def _drained(recorder: Recorder, turn: int, system: Candidate, rate: float) -> None:
    answer = Answer(
        tasks=1_000, seconds=1_000 / rate, cpu=0.01, rss=2**20, samples=[rate] * 10, marks=[1.0] * 11
    )
    recorder.turn(Turn(turn, "c100", system.name, answer))


def _goal(recorder: Recorder, title: str) -> Goal:
    (found,) = (goal for goal in goals(recorder.record) if goal.title == title)
    return found


def test_a_ratio_is_the_median_of_the_ratios_of_each_turn(recorder: Recorder) -> None:
    for turn, (ours, theirs) in enumerate([(1_000, 100), (3_000, 1_000), (900, 200)]):
        _drained(recorder, turn, OURS, ours)
        _drained(recorder, turn, GO, theirs)
    _drained(recorder, 3, OURS, 50_000)  # without a partner: the machine ended before

    assert recorder.record.ratio("c100", OURS.name, GO.name) == pytest.approx(4.5)


@pytest.mark.parametrize(
    ("value", "least", "verdict"),
    [
        (None, True, "not measured"),
        (5.0, True, "ahead"),
        (3.9, True, "level"),
        (3.0, True, "behind"),
        (3.0, False, "ahead"),
        (4.1, False, "level"),
        (5.0, False, "behind"),
        (0.0, False, "ahead"),
    ],
)
def test_a_verdict_follows_from_value_and_goal(value: float | None, least: bool, verdict: str) -> None:
    assert Goal("any", value, 4.0, least=least).verdict == verdict


def test_goals_are_computed_from_the_turns(recorder: Recorder) -> None:
    _drained(recorder, 0, OURS, 40_000)
    _drained(recorder, 0, BARE, 80_000)
    _drained(recorder, 0, GO, 10_000)

    assert _goal(recorder, "drain no-op, c=100, to asynq (Go)").verdict == "level"
    assert _goal(recorder, "drain no-op, c=100, to the bare loop").verdict == "behind"
    assert _goal(recorder, "drain no-op, c=100, to arq").verdict == "not measured"
    assert _goal(recorder, "worker memory, c=100").value == 1.0


def test_a_rival_that_is_faster_is_named_and_the_bare_loop_is_not(recorder: Recorder) -> None:
    _drained(recorder, 0, OURS, 1_000)
    _drained(recorder, 0, BARE, 9_000)
    _drained(recorder, 0, GO, 2_000)
    _drained(recorder, 0, ARQ, 1_010)  # level

    (loss,) = losses(recorder.record)

    assert (loss.system, loss.theirs, loss.ours) == ("asynq (Go)", "2,000/s", "1,000/s")


def test_failures_and_absent_figures_are_in_the_report(recorder: Recorder, tmp_path: Path) -> None:
    _drained(recorder, 0, OURS, 1_000)
    recorder.turn(Turn(0, "c100", GO.name, None, "it broke\nfor this reason"))
    recorder.turn(Turn(0, "c100", ARQ.name, Answer(tasks=0, seconds=0, absent="not its job")))
    recorder.turn(Turn(0, "one", OURS.name, None, "out of time"))
    recorder.system(replace(ARQ, name="broken", failure="not set up: no such package"))

    text = report.write(tmp_path / "benchmarks" / "results" / "latest").read_text()

    assert "asynq (Go): \u2013 (for this reason)" in text
    assert "arq: \u2013 (not its job)" in text
    assert "Nothing was measured: out of time." in text
    assert "not set up: no such package" in text


def test_a_run_that_was_cut_off_still_gives_a_report(recorder: Recorder, tmp_path: Path) -> None:
    folder = tmp_path / "benchmarks" / "results" / "latest"
    _drained(recorder, 0, OURS, 1_234)

    assert "1,234" in report.write(folder).read_text()
    assert record.read(folder) == recorder.record


def test_a_percentile_is_a_sample_that_so_many_do_not_exceed() -> None:
    answers = [
        Answer(tasks=50, seconds=1, samples=[n / 1e3 for n in range(start, 101, 2)]) for start in (1, 2)
    ]

    assert [percentile(answers, percent) for percent in (50, 95, 99, 100)] == [50, 95, 99, 100]
    assert percentile([], 50) is None


def test_a_kept_run_is_shown_in_the_documentation_and_replaces_the_last(
    recorder: Recorder, tmp_path: Path
) -> None:
    _drained(recorder, 0, OURS, 40_000)
    page = tmp_path / "docs" / "guide" / "benchmarks.md"
    page.parent.mkdir(parents=True)
    page.write_text(f"before\n\n{BEGIN}\n\nan old run\n\n{END}\n\nafter\n")

    for _ in range(2):
        publish(tmp_path / "benchmarks" / "results" / "latest", page)

    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "an old run" not in text
    assert text.count("worker memory, c=100") == 1
