"""`python -m tests.verify.chaos`: a soak under faults; the exit code says whether all promises were kept."""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Sequence
from dataclasses import replace

from tests.verify.chaos import breakage, soak
from tests.verify.chaos.ground import KINDS
from tests.verify.report import Figure, print_table, write_report

EXAMPLES = 5


ALL = "all"


def main() -> int:
    given = _parser().parse_args()
    seed = given.seed or str(random.SystemRandom().randrange(1_000_000))
    settings = soak.Settings(given.topology, given.seconds, seed, given.rate, keep=given.keep)
    if given.broken:
        return _test_the_test(settings, breakage.NAMES if given.broken == ALL else (given.broken,))
    verdict = soak.run(settings)
    name = f"chaos-{given.topology}"
    write_report(name, verdict.figures, verdict.failed)
    print_table(name, verdict.figures, verdict.failed)
    for label, found in verdict.broken.items():
        sys.stdout.write(f"\n{label}:\n")
        sys.stdout.writelines(f"  {example}\n" for example in found[:EXAMPLES])
    return int(verdict.failed)


def _test_the_test(settings: soak.Settings, names: Sequence[str]) -> int:
    """Break the product, and see whether the verdict names the promise that is broken by that."""
    figures: dict[str, Figure] = {"seed": settings.seed}
    found = 0
    for name in names:
        verdict = soak.run(replace(settings, broken=name))
        is_found = breakage.PROMISES[name] in verdict.broken
        found += is_found
        told = "; ".join(f"{label} ({len(items)})" for label, items in verdict.broken.items())
        figures[name] = f"{'found' if is_found else 'NOT FOUND'}: {told or 'nothing broken'}"
    write_report("chaos-broken", figures, found < len(names))
    print_table("chaos-broken", figures, found < len(names))
    return int(found < len(names))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m tests.verify.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=180.0, help="load and faults last so long")
    parser.add_argument("--seed", default="", help="of tasks and faults; default: another one each time")
    parser.add_argument("--topology", choices=KINDS, default="standalone")
    parser.add_argument("--rate", type=float, default=soak.RATE, help="tasks a second")
    parser.add_argument("--keep", action="store_true", help="the ledger, even if nothing is wrong")
    parser.add_argument(
        "--broken",
        choices=(*breakage.NAMES, ALL),
        default="",
        help="break the product so, or in all these ways; exit code 0 says that this was found",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
