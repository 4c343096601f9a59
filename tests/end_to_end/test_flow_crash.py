"""Workers die while they move a flow; each step is done, and each join comes once."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from asynq_py import FlowState
from tests.end_to_end.flow_worker import POINTS, make
from tests.end_to_end.processes import ROOT, end
from tests.eventually import eventually

pytestmark = pytest.mark.timeout(180)

RUN = {"0", "1", "2", "3", "4", "5.0", "5.1", "5.2", "5.3", "6", "7"}

Start = Callable[[str], Awaitable[Process]]


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger"


@pytest.fixture
async def start(redis_url: str, ledger: Path) -> AsyncGenerator[Start]:
    async with AsyncExitStack() as stack:

        async def start(point: str = "") -> Process:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-W", "error", "-m", "tests.end_to_end.flow_worker"),
                *(redis_url, str(ledger), point),
                cwd=ROOT,
            )
            stack.push_async_callback(end, process)
            return process

        yield start


def runs(ledger: Path) -> Counter[str]:
    return Counter(ledger.read_text().split()) if ledger.exists() else Counter()


@pytest.mark.parametrize("point", POINTS)
async def test_a_worker_that_dies_while_it_moves_a_flow_leaves_nothing_undone_or_done_twice(
    redis_url: str, start: Start, ledger: Path, point: str
) -> None:
    app, flow = make(redis_url, None)
    async with app:
        handle = await flow.enqueue()
        assert await (await start(point)).wait() == 9
        await start("")
        assert await handle.result(timeout=100) == "total 6"
        assert await handle.progress() == (12, 12)

    seen = runs(ledger)
    assert set(seen) == RUN
    # at least once, as all tasks; and where it is on record that a step is done, not again
    assert seen["6"] == 1
    assert sum(seen.values()) - len(RUN) <= (1 if point.startswith("before") else 0)


async def test_flows_get_to_their_ends_while_workers_are_killed_again_and_again(
    redis_url: str, start: Start, ledger: Path
) -> None:
    app, flow = make(redis_url, None)
    async with app:
        handles = [await flow.enqueue() for _ in range(40)]
        running = [await start(""), await start("")]
        for kill in range(1, 5):

            async def done() -> int:
                return sum([(await handle.progress()).done for handle in handles])

            await eventually(done, lambda count, kill=kill: count >= 480 * kill // 6, within=100)  # type: ignore[misc]
            await end(running.pop(0))
            running.append(await start(""))
        for handle in handles:
            assert await handle.result(timeout=100) == "total 6"
        assert {await handle.status() for handle in handles} == {FlowState.SUCCEEDED}
    # a run again is one that a killed worker had begun, and nobody had on record
    assert 440 <= sum(runs(ledger).values()) <= 440 + 4 * 10
