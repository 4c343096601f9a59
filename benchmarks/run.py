"""A whole run: turns until the time is over, each written down at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import median

import redis

from benchmarks.adapter import Answer, Request
from benchmarks.candidates import Candidate
from benchmarks.measure import Turn, measure
from benchmarks.plan import Figure, order, sized
from benchmarks.record import Recorder
from benchmarks.yardstick import yardstick

Say = Callable[[str], None]


def run(
    figures: Sequence[Figure],
    candidates: Sequence[Candidate],
    *,
    server: redis.Redis,
    recorder: Recorder,
    minutes: float,
    seconds: float,
    turns: float,
    producer: str,
    say: Say,
) -> None:
    """Measure until `minutes` or `turns` are over.

    `seconds`: about how long one measurement of speed takes."""
    ends_at = time.monotonic() + minutes * 60
    latest = -1
    for turn, figure, candidate in order(figures, candidates):
        if turn >= turns or time.monotonic() > ends_at:
            break
        if turn != latest:
            latest = turn
            recorder.yardstick(yardstick(server))
        began = time.monotonic()
        result = _one(figure, candidate, recorder, server, seconds, producer)
        answer, error = (result, "") if isinstance(result, Answer) else (None, result)
        recorder.turn(Turn(turn, figure.key, candidate.name, answer, error))
        left, took = ends_at - time.monotonic(), time.monotonic() - began
        where = (
            f"{max(0.0, left) / 60:5.1f} min left  turn {turn + 1}  {figure.title:<38} {candidate.name:<18}"
        )
        say(f"{where} {_shown(figure, result)}  [{took:.1f} s]")
    missing = _missing(figures, candidates, recorder)
    if missing:
        say("out of time, not measured: " + "; ".join(missing))


def _one(
    figure: Figure,
    candidate: Candidate,
    recorder: Recorder,
    server: redis.Redis,
    seconds: float,
    producer: str,
) -> Answer | str:
    request = _request(figure, candidate, recorder, seconds, producer)
    return request if isinstance(request, str) else measure(request, candidate, server)


def _request(
    figure: Figure, candidate: Candidate, recorder: Recorder, seconds: float, producer: str
) -> Request | str:
    """What to ask, or why it cannot be asked."""
    request = sized(figure, candidate, seconds)
    if figure.load:
        rate = recorder.record.rate("through", candidate.name)
        if rate is None:
            return "its load is a share of 'store and handle at once', which was not measured"
        return replace(request, rate=rate * figure.load)
    if figure.key == "from_go":
        return replace(request, producer=producer) if producer else "Go is not installed"
    return request


def _missing(figures: Sequence[Figure], candidates: Sequence[Candidate], recorder: Recorder) -> list[str]:
    found = {(turn.figure, turn.system) for turn in recorder.record.turns}
    wanted: dict[str, int] = {}
    for turn, figure, candidate in order(figures, candidates):
        if turn:
            break
        if (figure.key, candidate.name) not in found:
            recorder.turn(Turn(0, figure.key, candidate.name, None, "out of time"))
            wanted[figure.title] = wanted.get(figure.title, 0) + 1
    return [f"{title} ({count})" for title, count in wanted.items()]


def _shown(figure: Figure, result: Answer | str) -> str:
    if isinstance(result, str):
        return f"failed: {result.splitlines()[-1] if result else ''}"
    if result.absent:
        return f"\u2013 {result.absent}"
    match figure.unit:
        case "tasks/s":
            return f"{result.tasks / result.seconds:,.0f}/s"
        case "ms":
            return f"p50 {median(result.samples) * 1e3:.2f} ms"
        case "idle":
            return f"{result.commands / result.seconds:.1f} commands/s"
