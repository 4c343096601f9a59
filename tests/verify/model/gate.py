"""Where the commands of a client wait until they are let through, one at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from asynq_py.broker.lane import Command, Reply, Sender
from tests.verify.model.world import Scene

Effect = Callable[["Moment"], None]


class Moment(NamedTuple):
    """When a command was made, by the clock of the client."""

    now: int
    now_ns: int
    day: str


@dataclass(slots=True)
class Waiting:
    """A command that waits for its turn. `effect`: what the model does when it is carried out."""

    command: Command
    answer: asyncio.Future[Reply]
    moment: Moment
    effect: Effect | None


class Gate(Sender):
    """A client's way to Redis: nothing passes before it is let through."""

    def __init__(self, scene: Scene, lane: Sender, names: Mapping[str, str]) -> None:
        self.waiting: deque[Waiting] = deque()
        self.effects: Mapping[str, Effect] = {}
        self._scene = scene
        self._lane = lane
        self._names = names

    def post(self, command: Command) -> asyncio.Future[Reply]:
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        scene, name = self._scene, self.name(command)
        moment = Moment(scene.now, scene.now_ns, scene.day)
        self.waiting.append(Waiting(command, answer, moment, self.effects.get(name)))
        return answer

    def name(self, command: Command) -> str:
        """Of the script, or of the plain command and its key."""
        word, first = (str(part) for part in command.arguments[:2])
        return self._names[first] if word == "EVALSHA" else f"{word} {first}"

    async def let_through(self) -> tuple[Waiting, Reply]:
        """Carry the next command out. Its answer is still to be given."""
        waiting = self.waiting.popleft()
        return waiting, await self._lane.post(waiting.command)

    async def aclose(self) -> None:
        """What is behind it is somebody else's to close."""
