"""A short walk of the machine; and that it finds defects, which is what it is for."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.servers import running
from tests.verify.model.mutants import named, stale
from tests.verify.model.run import run, why_without_go, worlds
from tests.verify.model.world import World

STALE_AT_MOST = 6

pytestmark = pytest.mark.timeout(120)


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


@pytest.mark.parametrize("name", ["enqueue: takes a lock that is held", "done: keeps the lease"])
def test_a_defect_is_found(world: World, name: str) -> None:
    with_defect = run(world, steps=3000, number=1, shrinks=False, defect=named(name))

    assert with_defect.failure


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
