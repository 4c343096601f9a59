"""`make verify`: every programme of verification in its share of ten minutes, and one table of all figures.

`--long`: as long as before a release. `--only NAME`: those whose name has this in it. The exit code says
whether all of them passed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tests import topologies
from tests.verify.report import REPORTS, Figure, print_table

PATIENCE: Final = 240.0  # seconds that a programme may take beyond its share: to start, to drain, to shrink


@dataclass(frozen=True, slots=True)
class Programme:
    """`short`, `long`: seconds. `needs_server`: a redis-server, or the binary of the embedded server."""

    name: str
    module: str
    short: float
    long: float
    arguments: Sequence[str] = ()
    needs_server: bool = True

    @property
    def exists(self) -> bool:
        try:
            return importlib.util.find_spec(f"{self.module}.__main__") is not None
        except ModuleNotFoundError:
            return False

    def command(self, seconds: float) -> list[str]:
        return [sys.executable, "-m", self.module, "--seconds", f"{seconds:g}", *self.arguments]


def soak(topology: str, short: float, long: float) -> Programme:
    return Programme(
        f"chaos-{topology}", "tests.verify.chaos", short, long, ("--topology", topology, "--seed", "1")
    )


PROGRAMMES: Final = (
    Programme("model", "tests.verify.model", 60, 900),
    Programme("kill_matrix", "tests.verify.kill_matrix", 60, 300),
    soak("standalone", 60, 900),
    soak("sentinel", 40, 900),
    soak("cluster", 40, 900),
    Programme("fuzz", "tests.verify.fuzz", 45, 600),
    Programme("load", "tests.verify.load", 60, 600),
    Programme("security", "tests.verify.security", 45, 120),
)


@dataclass(frozen=True, slots=True)
class Result:
    """`figures`: by the name of the report that has them. `problem`: why it failed, or ""."""

    programme: Programme
    took: float
    figures: Mapping[str, Mapping[str, Figure]]
    problem: str


def carry_out(programme: Programme, seconds: float) -> Result:
    began, started_ns = time.monotonic(), time.time_ns()
    problem = ""
    try:
        code = subprocess.run(programme.command(seconds), timeout=seconds + PATIENCE).returncode
        problem = f"exit code {code}" if code else ""
    except subprocess.TimeoutExpired:
        problem = f"not done {PATIENCE:g} s after its time"
    reports = [
        json.loads(path.read_text("utf-8"))
        for path in sorted(REPORTS.glob("*.json"))
        if path.stat().st_mtime_ns >= started_ns
    ]
    if not problem and not reports:
        problem = "no report"
    if not problem and any(report["failed"] for report in reports):
        problem = "its report says so"
    figures = {report["name"]: report["figures"] for report in reports}
    return Result(programme, time.monotonic() - began, figures, problem)


def main(arguments: Sequence[str] | None = None) -> int:
    given = _parser().parse_args(arguments)
    results = []
    for programme in PROGRAMMES:
        if given.only not in programme.name:
            continue
        why = _why_left_out(programme)
        if why:
            sys.stdout.write(f"\n=== {programme.name}: left out, {why}\n")
            continue
        sys.stdout.write(f"\n=== {programme.name}\n")
        sys.stdout.flush()
        seconds = given.share * (programme.long if given.long else programme.short)
        results.append(carry_out(programme, seconds))
    return _summed_up(results)


def _why_left_out(programme: Programme) -> str:
    if not programme.exists:
        return "there is none yet"
    if programme.needs_server and topologies.program() is None:
        return "there is neither redis-server nor the binary of the embedded server"
    return ""


def _summed_up(results: Sequence[Result]) -> int:
    sys.stdout.write("\n=== all figures\n")
    for result in results:
        for name, figures in result.figures.items() or ((result.programme.name, {}),):
            print_table(f"\n{name}", figures, failed=bool(result.problem))
    total: dict[str, Figure] = {
        result.programme.name: f"{'FAILED, ' + result.problem if result.problem else 'passed'}"
        f" ({result.took:.0f} s)"
        for result in results
    }
    failed = not results or any(result.problem for result in results)
    print_table("\nverification", total, failed)
    return int(failed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m tests.verify", description=__doc__)
    parser.add_argument("--long", action="store_true", help="as long as before a release")
    parser.add_argument("--only", default="", metavar="NAME", help="programmes with this in their name")
    parser.add_argument("--share", type=float, default=1.0, help="of the time of each")
    return parser


if __name__ == "__main__":
    sys.exit(main())
