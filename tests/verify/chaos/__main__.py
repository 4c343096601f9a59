"""`python -m tests.verify.chaos`: a soak under faults; the exit code says whether all promises were kept."""

from __future__ import annotations

import argparse
import random
import sys

from tests.verify.chaos import breakage, soak
from tests.verify.chaos.ground import KINDS
from tests.verify.report import print_table, write_report

EXAMPLES = 5


def main() -> int:
    given = _parser().parse_args()
    seed = given.seed or str(random.SystemRandom().randrange(1_000_000))
    settings = soak.Settings(given.topology, given.seconds, seed, given.rate, given.broken, given.keep)
    verdict = soak.run(settings)
    name = f"chaos-{given.topology}" + (f"-{given.broken}" if given.broken else "")
    write_report(name, verdict.figures, verdict.failed)
    print_table(name, verdict.figures, verdict.failed)
    for label, found in verdict.broken.items():
        sys.stdout.write(f"\n{label}:\n")
        sys.stdout.writelines(f"  {example}\n" for example in found[:EXAMPLES])
    return int(verdict.failed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m tests.verify.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=180.0, help="load and faults last so long")
    parser.add_argument("--seed", default="", help="of tasks and faults; default: another one each time")
    parser.add_argument("--topology", choices=KINDS, default="standalone")
    parser.add_argument("--rate", type=float, default=soak.RATE, help="tasks a second")
    parser.add_argument("--keep", action="store_true", help="the ledger, even if nothing is wrong")
    parser.add_argument(
        "--broken", choices=breakage.NAMES, default="", help="break the product so; must be reported"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
