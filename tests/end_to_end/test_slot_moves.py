"""Slots of a Cluster move back and forth under load, as resharding does it."""

from __future__ import annotations

import asyncio

import pytest

from tests import topologies
from tests.end_to_end.test_failover import Load, nodes
from tests.topologies import Nodes

__all__ = ["nodes"]  # the fixture

pytestmark = [
    pytest.mark.skipif(topologies.program() is None, reason="no server binary on this machine"),
    pytest.mark.timeout(120),
]

KEY = "asynq:{default}:pending"


async def test_a_slot_moves_back_and_forth_and_no_task_is_lost(nodes: Nodes) -> None:
    load = Load("default", "low")
    async with load.on(nodes.url):
        await load.goes_on()
        for _ in range(6):
            owner = await asyncio.to_thread(nodes.owner, KEY)
            target = next(process for process in nodes.processes[:3] if process is not owner)
            await asyncio.to_thread(nodes.move, KEY, target)
            await load.goes_on()

    assert len(load.acknowledged) > 200


async def test_a_move_that_takes_long_is_waited_out(nodes: Nodes) -> None:
    """Half of the keys are gone, the others not: TRYAGAIN, ASK, and scripts that end half-way."""
    load = Load("default")
    async with load.on(nodes.url):
        await load.goes_on(200)
        source = await asyncio.to_thread(nodes.owner, KEY)
        target = next(process for process in nodes.processes[:3] if process is not source)
        await asyncio.to_thread(nodes.begin_move, KEY, source, target)
        moving = True
        while moving:  # a few at a time, with all that happens in between
            moving = bool(await asyncio.to_thread(nodes.move_keys, KEY, source, target, at_most=3))
        await asyncio.to_thread(nodes.end_move, KEY, target)
        await load.goes_on(200)
