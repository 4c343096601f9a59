"""`python -m tests.verify.kill_matrix`: every cell, or those that are named. `make verify-kills`."""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path

from asynq_py.embedded import EmbeddedServer
from tests.verify.kill_matrix.actors import quiet
from tests.verify.kill_matrix.cells import CELLS, FINDS, Cell, Fault, cell
from tests.verify.kill_matrix.matrix import Played, Player
from tests.verify.report import Figure, print_table, write_report

SHORT_PATIENCE = 15.0  # seconds for what a defect may keep from happening


def main() -> int:
    options = _options()
    quiet()
    cells = [cell for cell in CELLS if options.only in cell.name]
    random.Random(1).shuffle(cells)  # so that slow ones do not wait for each other
    begun_at = time.monotonic()
    played, overlooked = asyncio.run(_play(cells, options.at_once, sows=not options.only))
    problems = [one for one in played if one.problem]
    figures: dict[str, Figure] = {
        "cells": len(cells),
        "cells as written": len(played) - len(problems),
        "seconds": round(time.monotonic() - begun_at, 1),
        "longest cell, seconds": round(max(one.seconds for one in played), 1),
    }
    for fault in Fault:
        of_fault = [one for one in played if one.cell.fault is fault]
        right = sum(not one.problem for one in of_fault)
        figures[f"{fault}"] = f"{right} of {len(of_fault)}"
    if not options.only:
        figures["defects sown"] = len(FINDS)
        figures["defects found"] = len(FINDS) - len(overlooked)
    failed = bool(problems or overlooked)
    write_report("kill_matrix", figures, failed)
    print_table("kill_matrix", figures, failed)
    for one in problems:
        sys.stdout.write(f"{one.cell.name}: {one.problem}\n")
    for name in overlooked:
        sys.stdout.write(f"not found: {name}\n")
    return int(failed)


async def _play(cells: list[Cell], at_once: int, *, sows: bool) -> tuple[list[Played], list[str]]:
    """Returns what became of the cells, and the defects that were not found, if any were sown."""
    server = EmbeddedServer(None)
    path = str(server.acquire())
    try:
        with tempfile.TemporaryDirectory(prefix="asynq-py-kills-") as folder:
            played = await Player(path, Path(folder), at_once).play_all(cells, _tell)
            overlooked: list[str] = []
            if sows and not any(one.problem for one in played):
                player = Player(path, Path(folder), at_once, patience=SHORT_PATIENCE)
                finds = {name: cell(place) for name, place in FINDS.items()}
                overlooked = await player.overlooked(finds)
            return played, overlooked
    finally:
        server.release()


def _tell(played: Played) -> None:
    mark = "F" if played.problem else "."
    sys.stdout.write(mark)
    sys.stdout.flush()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.verify.kill_matrix", description=__doc__)
    parser.add_argument("--only", default="", help='cells with this in their name, say "done / before send"')
    parser.add_argument("--at-once", type=int, default=12, help="cells at a time, at most 16 (default: 12)")
    parser.add_argument("--seconds", type=float, default=0, help="of no effect: the matrix is always whole")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
