"""A short walk of the machine; and that it finds defects, which is what it is for."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.servers import running
from tests.verify.model.clients import Haste
from tests.verify.model.interleaved import interleave
from tests.verify.model.mutants import MUTANTS, named, stale
from tests.verify.model.run import run, why_without_go, worlds
from tests.verify.model.situations import SITUATIONS
from tests.verify.model.world import World

STALE_AT_MOST = 6

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def world() -> Generator[World]:
    """On a server of its own, as it empties it again and again."""
    with running("embedded") as url, worlds(url) as world:
        yield world


def test_redis_and_the_model_agree_for_two_hundred_steps(world: World) -> None:
    outcome = run(world, steps=240, number=1, shrinks=False)

    assert not outcome.failure
    assert outcome.figures.steps >= 200


def test_redis_and_the_model_agree_with_go_among_the_workers(world: World) -> None:
    if why := why_without_go():
        pytest.skip(why)

    outcome = run(world, steps=240, number=1, with_go=True, shrinks=False)

    assert not outcome.failure
    assert any(name.startswith("Go ") for name in outcome.figures.operations)


@pytest.mark.parametrize(
    "name",
    [
        *("enqueue: takes a lock that is held", "done: keeps the lease", "archive: forgets too late"),
        *("finish_set: ends a set that was given back", "free_lock: takes any task for its holder"),
    ],
)
def test_a_defect_is_found(world: World, name: str) -> None:
    with_defect = run(world, steps=3000, number=1, shrinks=False, defect=named(name))

    assert with_defect.failure


def test_each_defect_is_of_a_script_that_has_its_situations() -> None:
    in_situations = {script for _, scripts in SITUATIONS.values() for script in scripts}

    assert {mutant.script for mutant in MUTANTS} <= in_situations


def test_several_clients_at_once_do_what_the_model_does_in_some_order(world: World) -> None:
    played = interleave(world, rounds=8, number=1)

    assert not played.failure
    assert played.switches > 200


@pytest.mark.parametrize("race", [Haste.ID, Haste.OWNER])
def test_a_race_is_found_by_several_clients_and_not_by_one(world: World, race: Haste) -> None:
    """A check in a command of its own is as good as one in the script, until others come in between."""
    assert interleave(world, rounds=300, number=1, haste=race).failure
    assert not interleave(world, rounds=4, number=1, haste=race, clients=1).failure


def test_a_defect_of_gos_scripts_is_found(world: World) -> None:
    """Reliability M3: a report that comes too late takes the task off active, then finds that it may not."""
    if why := why_without_go():
        pytest.skip(why)

    with_defect = run(world, steps=3000, number=1, with_go=True, shrinks=False, go_is_careless=True)

    assert "Redis and the model differ" in with_defect.failure


def test_what_is_sown_can_still_be_sown() -> None:
    """As scripts change, so must the defects that are sown into them; a few may wait for it."""
    names = [mutant.name for mutant in stale()]

    assert len(names) <= STALE_AT_MOST, names
