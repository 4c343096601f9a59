"""Running the machine: for so many steps, or until it finds something."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from typing import Final, NamedTuple

from hypothesis import HealthCheck, Phase, Verbosity, seed, settings
from hypothesis.stateful import get_state_machine_test

from tests.interop.build import NoPeerError
from tests.verify.model.go_scripts import go_scripts
from tests.verify.model.mutants import Mutant, sown
from tests.verify.model.situations import Situations
from tests.verify.model.world import Figures, World, small_limits

STEPS_A_RUN: Final = 60
STEPS_ABOUT: Final = 4  # of one that begins with what concerns a script, which are ten or more by themselves
SLOW_BY_NATURE: Final = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example)


class Outcome(NamedTuple):
    """`failure`: what differed and the steps that lead there, or ""."""

    figures: Figures
    seconds: float
    failure: str


def why_without_go() -> str | None:
    """Why Go's own transitions take no part; None if they do."""
    try:
        go_scripts()
    except (NoPeerError, OSError) as error:
        return str(error)
    return None


@contextmanager
def worlds(url: str) -> Iterator[World]:
    world = World(url)
    try:
        with small_limits():
            yield world
    finally:
        world.close()


def run(
    world: World,
    *,
    steps: int,
    number: int,
    with_go: bool = False,
    shrinks: bool = True,
    defect: Mutant | None = None,
    go_is_careless: bool = False,
) -> Outcome:
    """Take about so many steps. `number`: the seed. `shrinks`: tell a failure in as few steps as can be.

    `defect`: sown into the scripts, to see whether it is found. `go_is_careless`: the same for one of Go's.
    """
    world.figures = Figures()
    given = {
        "world": world, "with_go": with_go, "go_is_careless": go_is_careless,
        "about": defect.script if defect else "",
    }  # fmt: skip
    machine = type("Machine", (Situations,), given)
    length = min(STEPS_ABOUT if defect else STEPS_A_RUN, steps)
    wanted = settings(
        max_examples=max(1, steps // (4 * length if defect else length)),
        stateful_step_count=length,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        verbosity=Verbosity.quiet,
        suppress_health_check=SLOW_BY_NATURE,
        phases=[Phase.generate, Phase.shrink] if shrinks else [Phase.generate],
    )
    begun_at = time.monotonic()
    failure = ""
    try:
        with redirect_stdout(StringIO()), sown(defect):
            seed(number)(get_state_machine_test(machine, settings=wanted))()
    except Exception as error:  # whatever it is, a step of the machine led to it
        failure = "\n".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())])
    return Outcome(world.figures, time.monotonic() - begun_at, failure)


def is_killed(world: World, mutant: Mutant, steps: int, number: int) -> bool:
    """Does the machine find the defect within so many steps?"""
    return bool(run(world, steps=steps, number=number, shrinks=False, defect=mutant).failure)
