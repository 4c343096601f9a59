"""`make verify-fuzz`: every target for its share of the time, and a report."""

from __future__ import annotations

import argparse
import itertools
import random
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final

from tests.servers import running
from tests.verify.fuzz.command_line import CommandLine
from tests.verify.fuzz.contents import Contents
from tests.verify.fuzz.scripts import Scripts
from tests.verify.fuzz.target import Tally, Target, try_numbers
from tests.verify.fuzz.texts import Texts
from tests.verify.fuzz.wire import Wire
from tests.verify.report import Figure, print_table, write_report

# Shares of the time. What no caller of ours can do is counted, but fails nothing.
SHARES: Final[Sequence[tuple[Callable[[str], Target], float, bool]]] = (
    (lambda url: Wire(), 0.4, True),
    (lambda url: Texts(), 0.15, True),
    (CommandLine, 0.15, True),
    (lambda url: Scripts(url, spoilt=False), 0.15, True),
    (Contents, 0.1, True),
    (lambda url: Scripts(url, spoilt=True), 0.05, False),
)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.verify.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--first", type=int, help="number of the first input; default: a random one")
    given = parser.parse_args(arguments)
    first = random.randrange(10**9) if given.first is None else given.first
    with running("embedded") as url:
        figures, failed = fuzz(url, given.seconds, first)
    print_table("fuzz", figures, failed)
    write_report("fuzz", figures, failed)
    return 1 if failed else 0


def fuzz(url: str, seconds: float, first: int) -> tuple[dict[str, Figure], bool]:
    """Try all targets. Returns figures, and whether something was found that must not be."""
    figures: dict[str, Figure] = {"first input": first}
    crashes = hangs = 0
    for make, share, counts in SHARES:
        target, tally = make(url), Tally()
        try:
            try_numbers(target, itertools.count(first), tally, until=time.monotonic() + seconds * share)
        finally:
            target.close()
        figures[f"inputs, {target.name}"] = tally.inputs
        if not counts:
            figures["scripts changed something, then failed, by arguments that we never make"] = len(
                tally.finds
            )
            continue
        for find in tally.finds:
            sys.stdout.write(f"--- {find.target}, input {find.number}\n{find.trace}\n")
            hangs += find.is_hang
            crashes += not find.is_hang
    return {**figures, "crashes": crashes, "hangs": hangs}, bool(crashes or hangs)


if __name__ == "__main__":
    sys.exit(main())
