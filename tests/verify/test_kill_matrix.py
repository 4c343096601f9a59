"""Some cells of the matrix, which are quick; and that a cell can fail, which is what it is for."""

from __future__ import annotations

from collections.abc import Generator
from itertools import product
from pathlib import Path

import pytest

from asynq_py.embedded import EmbeddedServer
from tests.verify.kill_matrix.cells import CELLS, FINDS, Fault, Operation, Point, cell
from tests.verify.kill_matrix.matrix import Player, start_forkserver
from tests.verify.model.mutants import named

pytestmark = pytest.mark.timeout(120)

QUICK = [
    (Operation.ENQUEUE, Point.AFTER_SEND, Fault.KILL),
    (Operation.DEQUEUE, Point.AFTER_SEND, Fault.RESET),
    (Operation.DONE, Point.AFTER_SEND, Fault.SILENCE),
    (Operation.CRON, Point.BEFORE_SEND, Fault.KILL),
]


@pytest.fixture(scope="module")
def path() -> Generator[str]:
    """The socket file of a server whose databases are the test's own."""
    start_forkserver()  # it stays until the tests end
    server = EmbeddedServer(None)
    yield str(server.acquire())
    server.release()


def test_the_matrix_has_a_cell_for_each_point_operation_and_fault() -> None:
    assert [one[:3] for one in CELLS] == list(product(Operation, Point, Fault))
    assert len(CELLS) == 144
    assert all(one.why for one in CELLS)


@pytest.mark.parametrize("place", QUICK, ids=" / ".join)
async def test_a_cell_is_as_written(path: str, tmp_path: Path, place: tuple[Operation, Point, Fault]) -> None:
    (played,) = await Player(path, tmp_path, 1).play_all([cell(place)], told=lambda one: None)

    assert not played.problem


async def test_a_defect_makes_its_cell_fail(path: str, tmp_path: Path) -> None:
    name = "enqueue: never knows its own task"

    played = await Player(path, tmp_path, 1).play(cell(FINDS[name]), named(name))

    assert played.problem == "the producer was not told that its task is there"
