"""`python -m tests.verify.model`: the machine, several clients at once, and the defects that both must find.
`make verify-model`.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter

from tests.servers import running
from tests.verify.model.interleaved import RACES, interleave
from tests.verify.model.mutants import EQUIVALENT, MUTANTS, Mutant, stale
from tests.verify.model.run import is_killed, run, why_without_go, worlds
from tests.verify.model.world import World
from tests.verify.report import Figure, print_table, write_report

OFTEN = 20  # times that two operations must have met on one task to be sure of them

SEEDS = 4  # runs in which a defect may be found

PATIENCE = 300  # rounds in which several clients must find a race

ALONE = 5  # rounds in which one client alone must not


def main() -> int:
    options = _options()
    number = random.randrange(1_000_000) if options.seed is None else options.seed
    _say(f"seed {number}\n")
    with running(options.redis) as url, worlds(url) as world:
        figures, failures = _machine(world, options.steps, number)
        _say(f"{figures['steps']} steps in {figures['seconds']} s\n")
        if not failures and options.rounds:
            more, failures = _interleaved(world, options.rounds, number)
            figures |= more
        if not failures and options.mutants:
            chosen = random.Random(number).sample(MUTANTS, min(options.mutants, len(MUTANTS)))
            more, failures = _defects(world, chosen, options.patience, number)
            figures |= more
    write_report("model", figures, bool(failures))
    print_table("model", figures, bool(failures))
    for text in failures:
        sys.stdout.write(text + "\n")
    return int(bool(failures))


def _machine(world: World, steps: int, number: int) -> tuple[dict[str, Figure], list[str]]:
    """Half of the steps with our scripts alone, half with Go's mixed in, where there is Go."""
    why = why_without_go()
    outcomes = [
        run(world, steps=steps if why else steps // 2, number=number, with_go=with_go)
        for with_go in ((False,) if why else (False, True))
    ]
    pairs = sum((outcome.figures.pairs for outcome in outcomes), Counter[tuple[str, str]]())
    operations = {name for outcome in outcomes for name in outcome.figures.operations}
    failures = [outcome.failure for outcome in outcomes if outcome.failure]
    figures: dict[str, Figure] = {
        "seed": number,
        "steps": sum(outcome.figures.steps for outcome in outcomes),
        "violations": len(failures),
        "operations": len(operations),
        f"pairs of operations met on one task {OFTEN} times": sum(n >= OFTEN for n in pairs.values()),
        "Go's own scripts mixed in": f"no: {why}" if why else "yes",
        "seconds": round(sum(outcome.seconds for outcome in outcomes), 1),
    }
    return figures, failures


def _interleaved(world: World, rounds: int, number: int) -> tuple[dict[str, Figure], list[str]]:
    """Then with each race: it must be found, and not by one client alone."""
    played = interleave(world, rounds=rounds, number=number)
    failures = [played.failure] if played.failure else []
    found = 0
    for race in RACES if not failures else ():
        is_found = bool(interleave(world, rounds=PATIENCE, number=number, haste=race).failure)
        alone = interleave(world, rounds=ALONE, number=number, haste=race, clients=1).failure
        found += is_found
        failures += [] if is_found else [f"not found: {race.name}"]
        failures += [f"found by one client alone: {race.name}\n{alone}"] if alone else []
    figures: dict[str, Figure] = {
        "rounds of several clients": played.rounds,
        "their commands": played.steps,
        "of these after one of another client": played.switches,
        "seconds for the clients": round(played.seconds, 1),
        "races sown": len(RACES),
        "races found": found,
    }
    return figures, failures


def _defects(
    world: World, chosen: list[Mutant], steps: int, number: int
) -> tuple[dict[str, Figure], list[str]]:
    """Sow each of them, for some seeds until it is found. What is found without any would find all, so that
    is looked at first.
    """
    begun_at = time.monotonic()
    old = stale()
    left = [mutant for mutant in chosen if mutant not in old]
    sown, problem = len(left), ""
    for seed in range(number, number + SEEDS):
        if not left or problem:
            break
        problem = run(world, steps=steps, number=seed).failure
        left = [m for m in left if problem or not _is_found(world, m, steps, seed)]
    _say("\n")
    figures: dict[str, Figure] = {
        "defects sown": sown,
        "defects found": sown - len(left),
        "defects known to change nothing": len(EQUIVALENT),
        "defects that no longer apply": ", ".join(mutant.name for mutant in old) or "none",
        "seconds for the defects": round(time.monotonic() - begun_at, 1),
    }
    return figures, [problem] if problem else [f"not found: {mutant.name}" for mutant in left]


def _is_found(world: World, mutant: Mutant, steps: int, number: int) -> bool:
    is_found = is_killed(world, mutant, steps, number)
    _say("." if is_found else "S")
    return is_found


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.verify.model", description=__doc__)
    parser.add_argument("--steps", type=int, default=40_000, help="steps of the machine (default: 40000)")
    parser.add_argument("--seed", type=int, help="repeat the run of this number (default: another each time)")
    parser.add_argument("--mutants", type=int, default=len(MUTANTS), help="defects to sow (default: all)")
    parser.add_argument(
        "--rounds", type=int, default=300, help="rounds of several clients at once (default: 300)"
    )
    parser.add_argument(
        "--patience", type=int, default=10_000, help="steps of a run that must find a defect (default: 10000)"
    )
    parser.add_argument("--redis", default="embedded", choices=("embedded", "redis-server"))
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
