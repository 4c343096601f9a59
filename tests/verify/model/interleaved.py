"""Several clients at once on one queue, in an order that is drawn.

Each client has a connection, a broker and claims of its own. Whenever all of them wait for an answer, one is
drawn, and its next command is carried out; so others come between what takes several commands. Then the model
does the same, all that Redis holds must be what the model says, and I1 … I9 must hold. So there is one order,
that of the commands, in which the model does all of it, and gives the same answers. Answers are lost, too,
scripts are flushed, and time passes between two commands.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, NamedTuple

from asynq_py.broker.lane import Sender
from asynq_py.broker.lanes import open_lane
from asynq_py.connection import Connector
from asynq_py.errors import AsynqError, BrokerUnavailableError
from tests.verify.model.clients import LEASE, Client, Haste
from tests.verify.model.gate import Gate
from tests.verify.model.mutants import Mutant, named, scripts, sown
from tests.verify.model.world import SMALL, Figures, Scene, World

CLIENTS: Final = 4
OPERATIONS: Final = 8  # of each client, in one round
LOST: Final = 0.03  # of the answers
QUIET: Final = 40  # turns of the loop after which nothing goes on that does not wait for Redis

RACES: Final[Mapping[Haste, Mutant]] = {
    Haste.ID: named("enqueue: does not look for the ID"),
    Haste.OWNER: named("done: asks for no fence"),
    Haste.PAYLOAD: named("update_payload: overwrites a change (Q-18)"),
    Haste.STATE: named("run_task: runs what runs"),
}


@dataclass
class Round:
    """One of them, from an empty server on. `number`: its seed."""

    number: int
    haste: Haste | None = None
    clients: int = CLIENTS
    trace: list[str] = field(default_factory=list)

    async def play(self, scene: Scene, lanes: Sequence[Sender]) -> None:
        """Raises: AssertionError: something is not as the model says."""
        dice = random.Random(self.number)
        names = {script.sha: script.name for script in scripts().values()}
        count = iter(range(1, 1_000_000)).__next__
        gates = [Gate(scene, lane, names) for lane in lanes[: self.clients]]
        crew = [Client(scene, gate, random.Random(dice.random()), count, self.haste) for gate in gates]
        each = OPERATIONS * CLIENTS // self.clients
        tasks = [asyncio.create_task(client.work(each)) for client in crew]
        try:
            while not all(task.done() for task in tasks):
                for _ in range(QUIET):
                    await asyncio.sleep(0)
                self._raise_what_failed(tasks)
                ready = [place for place, gate in enumerate(gates) if gate.waiting]
                if ready:
                    await self._step(dice, scene, dice.choice(ready), gates)
                assert ready or any(task.done() for task in tasks), "nobody goes on"
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _step(self, dice: random.Random, scene: Scene, place: int, gates: Sequence[Gate]) -> None:
        gate = gates[place]
        self.trace.append(f"client {place}: {gate.name(gate.waiting[0].command)}")
        match dice.randrange(40 if self.haste is None else 10):
            case 0:
                await scene.lane.call("SCRIPT", "FLUSH")
            case 1:
                scene.clock.advance(LEASE + 1)
            case 2 | 3 | 4:
                scene.clock.advance(3)
            case 5:
                scene.clock.advance(SMALL.aggregation_time)
        try:
            waiting, reply = await gate.let_through()
        except AsynqError as error:
            raise AssertionError(f"{self.trace[-1]}: {error}") from error
        if waiting.effect is not None:
            waiting.effect(waiting.moment)
        await scene.check_now()
        if dice.random() < LOST and self.haste is None:
            self.trace.append("  and its answer is lost")
            waiting.answer.set_exception(BrokerUnavailableError("lost", maybe_done=True))
        else:
            waiting.answer.set_result(reply)

    @staticmethod
    def _raise_what_failed(tasks: Sequence[asyncio.Task[None]]) -> None:
        for task in tasks:
            if task.done() and (error := task.exception()) is not None:
                raise error


class Interleaved(NamedTuple):
    """`steps`: commands. `switches`: of them, those that came after one of another client."""

    rounds: int
    steps: int
    switches: int
    seconds: float
    failure: str


def interleave(
    world: World, *, rounds: int, number: int, haste: Haste | None = None, clients: int = CLIENTS
) -> Interleaved:
    """Play so many rounds, or until one fails. `number`: the seed. `haste`: sown, to see if it is found."""
    world.figures = Figures()
    begun_at, steps, switches, failure, played = time.monotonic(), 0, 0, "", 0
    connector = Connector(world.url)
    lanes = [open_lane(connector, role=f"client-{place}") for place in range(clients)]
    with sown(RACES[haste] if haste else None):
        for played in range(1, rounds + 1):
            one = Round(number * 100_000 + played, haste, clients)
            try:
                world.run(one.play(Scene(world, with_go=False), lanes))
            except Exception as error:  # whatever it is, what they did led to it
                told = [f"round {one.number}", *one.trace[-40:], f"{type(error).__name__}: {error}"]
                failure = "\n".join(told)
            told = [line[:9] for line in one.trace if line.startswith("client")]
            steps += len(told)
            switches += sum(a != b for a, b in pairwise(told))
            if failure:
                break
    for lane in lanes:
        world.run(lane.aclose())
    world.run(connector.aclose())
    return Interleaved(played, steps, switches, time.monotonic() - begun_at, failure)
