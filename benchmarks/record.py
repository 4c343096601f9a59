"""A run on disk: a line of JSON for each thing that happened, written at once: a broken run is still one."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.adapter import Answer
from benchmarks.candidates import Candidate
from benchmarks.measure import Turn

NAME = "turns.jsonl"


@dataclass
class Record:
    """What a run has found so far."""

    about: dict[str, Any] = field(default_factory=dict)
    systems: list[dict[str, Any]] = field(default_factory=list)
    figures: list[dict[str, Any]] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    yardsticks: list[dict[str, float]] = field(default_factory=list)

    def of(self, figure: str, system: str) -> list[Answer]:
        """The answers, turn by turn; none for turns that failed or figures that are absent."""
        return [turn.answer for turn in self._of(figure, system) if turn.answer and not turn.answer.absent]

    def problem(self, figure: str, system: str) -> str:
        """Why there is no answer."""
        for turn in self._of(figure, system):
            if turn.error or (turn.answer and turn.answer.absent):
                text = turn.error or (turn.answer.absent if turn.answer else "")
                return text.splitlines()[-1][:200]
        return ""

    def rate(self, figure: str, system: str) -> float | None:
        """The median of tasks/s."""
        rates = [answer.tasks / answer.seconds for answer in self.of(figure, system) if answer.seconds]
        return median(rates) if rates else None

    def ratio(self, figure: str, system: str, other: str) -> float | None:
        """The median of the ratios of tasks/s in each turn."""
        ours, theirs = self._rates(figure, system), self._rates(figure, other)
        ratios = [ours[turn] / theirs[turn] for turn in ours if turn in theirs]
        return median(ratios) if ratios else None

    def _rates(self, figure: str, system: str) -> dict[int, float]:
        return {
            turn.turn: turn.answer.tasks / turn.answer.seconds
            for turn in self._of(figure, system)
            if turn.answer and turn.answer.seconds
        }

    def _of(self, figure: str, system: str) -> list[Turn]:
        return [turn for turn in self.turns if turn.figure == figure and turn.system == system]


class Recorder:
    """Keeps a record, and writes it down."""

    def __init__(self, folder: Path, about: dict[str, Any]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.record = Record()
        self._path = folder / NAME
        self._path.write_text("")
        self._write("about", about)

    def system(self, candidate: Candidate) -> None:
        self._write("system", {key: value for key, value in asdict(candidate).items() if key != "command"})

    def figure(self, key: str, title: str, unit: str) -> None:
        self._write("figure", {"key": key, "title": title, "unit": unit})

    def yardstick(self, values: dict[str, float]) -> None:
        self._write("yardstick", values)

    def turn(self, turn: Turn) -> None:
        self._write("turn", asdict(turn))

    def _write(self, kind: str, content: dict[str, Any]) -> None:
        with self._path.open("a") as file:
            file.write(json.dumps({"kind": kind, **content}) + "\n")
        _take(self.record, kind, content)


def read(folder: Path) -> Record:
    """The record of a run, whole or not."""
    record = Record()
    for line in (folder / NAME).read_text().splitlines():
        content = json.loads(line)
        _take(record, content.pop("kind"), content)
    return record


def _take(record: Record, kind: str, content: dict[str, Any]) -> None:
    match kind:
        case "about":
            record.about = content
        case "system":
            record.systems.append(content)
        case "figure":
            record.figures.append(content)
        case "yardstick":
            record.yardsticks.append(content)
        case "turn":
            answer = Answer(**content["answer"]) if content["answer"] else None
            record.turns.append(Turn(**{**content, "answer": answer}))


def about(*, redis: str, go: str, arguments: Sequence[str]) -> dict[str, Any]:
    """The machine and the programs."""
    return {
        "at": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "processor": _processor(),
        "processors": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "redis": redis,
        "go": go,
        "arguments": list(arguments),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown"
    )
