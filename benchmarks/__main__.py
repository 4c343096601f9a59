"""`make bench`: measure asynq-py beside the bare loop and its peers, on a Redis of its own, and report."""

from __future__ import annotations

import argparse
import math
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from benchmarks import redis_process, report
from benchmarks.candidates import BARE, OURS, Candidate, peers
from benchmarks.plan import figures
from benchmarks.publish import PAGE, publish
from benchmarks.record import Recorder, about
from benchmarks.run import run

RESULTS = Path(__file__).parent / "results"
LATEST = RESULTS / "latest"


def main(arguments: Sequence[str] | None = None) -> None:
    given = _parser().parse_args(arguments)
    began = time.monotonic()
    minutes = given.minutes or (4.0 if given.quick else 25.0)
    folder: Path = given.out or (
        RESULTS / "quick" if given.quick or given.only or not given.peers else LATEST
    )
    chosen = [
        figure
        for figure in figures()
        if given.only in figure.title and (figure.is_quick or not given.quick)
    ]  # fmt: skip
    with redis_process.running() as server:
        recorder = Recorder(
            folder,
            about(
                redis=f"Redis {server.info('server')['redis_version']}",
                go=_go(),
                arguments=sys.argv[1:] if arguments is None else arguments,
            ),
        )
        candidates = _candidates(recorder, quick=given.quick, with_peers=given.peers)
        for figure in chosen:
            recorder.figure(figure.key, figure.title, figure.unit)
        try:
            run(
                chosen,
                candidates,
                server=server,
                recorder=recorder,
                minutes=minutes - (time.monotonic() - began) / 60,  # what setting up has left
                seconds=given.seconds or min(3.0, minutes / 12),
                turns=given.turns,
                producer=next(
                    (one.command[0] for one in candidates if not one.is_python and one.command), ""
                ),
                say=_say,
            )
        except KeyboardInterrupt:
            _say("interrupted: the report holds what was measured until now")
    path = report.write(folder)
    _say(path.read_text())
    _say(f"report: {path}")
    if folder == LATEST:
        publish(folder)
        _say(f"shown in {PAGE}")


def _candidates(recorder: Recorder, *, quick: bool, with_peers: bool) -> list[Candidate]:
    own = replace(OURS, version=version("asynq-py"))
    found = [own, replace(BARE, version=f"redis-py {version('redis')}")]
    for candidate in found:
        recorder.system(candidate)
    for candidate in peers(quick=quick) if with_peers else ():
        _say(f"{candidate.name} {candidate.version}: {candidate.failure or 'ready'}")
        recorder.system(candidate)
        found.append(candidate)
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer systems, figures and minutes")
    parser.add_argument("--full", dest="quick", action="store_false", help="everything (this is the default)")
    parser.add_argument(
        "--minutes", type=float, help="when to end (25; 4 with --quick); the report comes after"
    )
    parser.add_argument("--turns", type=float, default=math.inf, help="how often, if the time allows")
    parser.add_argument("--seconds", type=float, help="about how long one measurement of speed takes")
    parser.add_argument(
        "--no-peers", dest="peers", action="store_false", help="only asynq-py and the bare loop"
    )
    parser.add_argument("--only", metavar="TEXT", default="", help="figures whose title contains this")
    parser.add_argument("--out", type=Path, help="folder of the report (benchmarks/results/latest or quick)")
    return parser


def _go() -> str:
    if shutil.which("go") is None:
        return ""
    done = subprocess.run(["go", "version"], capture_output=True, text=True, timeout=20)
    return done.stdout.strip().removeprefix("go version ")


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()
