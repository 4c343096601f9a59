"""A tiny run of the whole harness: it measures, and says so. Nothing is asserted about speed."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path

import pytest
import redis

from benchmarks import redis_process
from benchmarks.__main__ import main
from benchmarks.adapter import Answer, Request
from benchmarks.candidates import BARE, OURS, Candidate
from benchmarks.measure import measure
from benchmarks.record import read


@pytest.fixture(scope="module")
def server() -> Generator[redis.Redis]:
    with redis_process.running() as server:
        yield server


def _answer(request: Request, server: redis.Redis, candidate: Candidate = OURS) -> Answer:
    answer = measure(request, candidate, server)
    assert isinstance(answer, Answer), answer
    return answer


@pytest.mark.leaves("files")  # fonts that matplotlib keeps open
def test_a_run_without_peers_leaves_turns_and_a_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--no-peers", "--only", "10 ms", "--turns", "1", "--seconds", "0.02", "--out", str(tmp_path)])

    found = read(tmp_path)
    assert {(turn.system, turn.error) for turn in found.turns} == {("asynq-py", ""), ("bare loop", "")}
    assert all(turn.answer and turn.answer.tasks == 500 for turn in found.turns)
    report = (tmp_path / "report.md").read_text()
    assert "drain, 10 ms, c=100" in report
    assert report in capsys.readouterr().out


@pytest.mark.parametrize("candidate", [OURS, BARE], ids=lambda candidate: candidate.name)
def test_a_drain_tells_time_memory_and_what_redis_did(server: redis.Redis, candidate: Candidate) -> None:
    answer = _answer(Request(figure="drain", tasks=100, concurrency=10), server, candidate)

    assert answer.tasks == 100
    assert answer.seconds > 0
    assert answer.commands >= 100  # those in scripts count
    assert len(answer.samples) == 10
    assert answer.marks[-1] > 1e6


def test_several_queues_are_drained(server: redis.Redis) -> None:
    assert _answer(Request(figure="drain", tasks=100, queues={"high": 2, "low": 1}), server).tasks == 100


def test_a_latency_has_a_sample_for_each_task(server: redis.Redis) -> None:
    answer = _answer(Request(figure="idle_latency", tasks=4), server)

    assert len(answer.samples) == 4
    assert min(answer.samples) > 0


def test_a_system_says_what_it_does_not_offer(server: redis.Redis) -> None:
    assert _answer(Request(figure="late", tasks=3), server, BARE).absent == "no delayed tasks"


def test_a_process_that_fails_is_an_error_and_not_an_answer(server: redis.Redis) -> None:
    broken = measure(Request(figure="no such figure"), OURS, server)

    assert isinstance(broken, str)
    assert "KeyError: 'no such figure'" in broken


def test_a_system_that_could_not_be_set_up_is_not_asked(server: redis.Redis) -> None:
    absent = Candidate(name="absent", command=("/nowhere",), failure="not set up: no network")

    assert measure(Request(figure="drain"), absent, server) == "not set up: no network"


def test_turns_are_written_as_lines_of_json(tmp_path: Path) -> None:
    main(["--no-peers", "--only", "no such figure", "--out", str(tmp_path)])

    kinds = [json.loads(line)["kind"] for line in (tmp_path / "turns.jsonl").read_text().splitlines()]
    assert kinds == ["about", "system", "system"]
