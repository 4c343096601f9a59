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

# A machine may be slower than the one for which the shares are meant, and a failure has to be narrowed down.
PATIENCE: Final = 3.0  # times its share
MORE: Final = 120.0  # seconds beyond that


@dataclass(frozen=True, slots=True)
class Programme:
    """`name`: of its report, or what the names of its reports begin with. `short`, `long`: its arguments.
    `share`, `long_share`: seconds that it may take with them.
    """

    name: str
    module: str
    short: str
    share: float
    long: str
    long_share: float

    @property
    def exists(self) -> bool:
        try:
            return importlib.util.find_spec(f"{self.module}.__main__") is not None
        except ModuleNotFoundError:
            return False

    def command(self, arguments: str) -> list[str]:
        return [sys.executable, "-m", self.module, *arguments.split()]


def programme(name: str, short: str, share: float, long: str, long_share: float) -> Programme:
    return Programme(name, f"tests.verify.{name}", short, share, long, long_share)


def soak(topology: str, seconds: float) -> Programme:
    module, always = "tests.verify.chaos", f"--topology {topology} --seconds"
    return Programme(
        f"chaos-{topology}", module, f"{always} {seconds:g}", seconds + 40, f"{always} 900", 960.0
    )


PROGRAMMES: Final = (
    # one seed, so that this says of each change the same; --long walks elsewhere each time
    programme("model", "--steps 8000 --seed 681624 --rounds 20 --mutants 8", 180, "--steps 400000", 1200),
    programme("kill_matrix", "", 60, "", 60),
    soak("standalone", 60),
    soak("sentinel", 40),
    soak("cluster", 40),
    Programme(
        *("chaos-broken", "tests.verify.chaos", "--broken done-keeps-hashes --seconds 10", 40),
        *("--broken all --seconds 25", 480),
    ),
    programme("fuzz", "--seconds 45 --first 1", 60, "--seconds 600", 660),
    programme("load", "--seconds 60", 90, "--seconds 900", 960),
    programme("security", "--offline", 60, "", 120),
)


@dataclass(frozen=True, slots=True)
class Result:
    """`figures`: by the name of the report that has them. `problem`: why it failed, or ""."""

    programme: Programme
    took: float
    figures: Mapping[str, Mapping[str, Figure]]
    problem: str


def carry_out(programme: Programme, *, long: bool = False) -> Result:
    arguments = programme.long if long else programme.short
    patience = PATIENCE * (programme.long_share if long else programme.share) + MORE
    began, started_ns = time.monotonic(), time.time_ns()
    problem = ""
    try:
        code = subprocess.run(programme.command(arguments), timeout=patience).returncode
        problem = f"exit code {code}" if code else ""
    except subprocess.TimeoutExpired:
        problem = f"not done after {patience:.0f} s"
    reports = [
        json.loads(path.read_text("utf-8"))
        for path in sorted(REPORTS.glob(f"{programme.name}*.json"))
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
    for each in PROGRAMMES:
        if given.only not in each.name:
            continue
        why = _why_left_out(each)
        if why:
            sys.stdout.write(f"\n=== {each.name}: left out, {why}\n")
            continue
        sys.stdout.write(f"\n=== {each.name}\n")
        sys.stdout.flush()
        results.append(carry_out(each, long=given.long))
    return _summed_up(results)


def _why_left_out(programme: Programme) -> str:
    if not programme.exists:
        return "there is none yet"
    if topologies.program() is None:
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
    return parser


if __name__ == "__main__":
    sys.exit(main())
