"""`make bench`: measure asynq-py beside the bare loop, on a Redis of its own."""

from __future__ import annotations

import argparse
import os
import platform

from rich.console import Console

from benchmarks import redis_process
from benchmarks.measure import FailedError, in_turns
from benchmarks.plan import CANDIDATES, figures
from benchmarks.report import rows, table


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer tasks and turns")
    parser.add_argument("--only", metavar="TEXT", default="", help="figures whose title contains this")
    given = parser.parse_args()
    console = Console()
    result = table()
    with redis_process.running() as server:
        version = server.info("server").get("redis_version")
        console.print(
            f"Python {platform.python_version()}, Redis {version}, {os.cpu_count()} processors, "
            f"{platform.machine()}"
        )
        for figure in figures(quick=given.quick):
            if given.only not in figure.title:
                continue
            with console.status(figure.title):
                try:
                    turns = list(in_turns(figure, CANDIDATES, server, 3 if given.quick else 5))
                except FailedError as error:
                    console.print(f"[red]failed:[/red] {error}")
                    continue
            for row in rows(turns):
                result.add_row(*row)
            result.add_section()
    console.print(result)


if __name__ == "__main__":
    main()
