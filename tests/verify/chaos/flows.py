"""The flows of the load: steps beside each other that come together in a join, and what follows the end.

What a step does hangs on its ID alone, the same in Python and Go (tests/interop/go/soak).
"""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from asynq_py import App, Flow, chain, each, gather
from tests.verify.chaos.jobs import GO, KEPT, QUEUES

WIDEST: Final = 4
FOLLOWS: Final = "f0"  # the ID of what is to follow a success
ALARM: Final = "f1"  # and of what is to follow a failure


@dataclass(frozen=True, slots=True)
class Shape:
    """One step, then `width` of them beside each other, then the join. `is_each`: for the items of a list."""

    width: int
    is_each: bool

    @property
    def parts(self) -> Sequence[str]:
        """The steps that the join waits for."""
        return [f"1.{n}" if self.is_each else str(1 + n) for n in range(self.width)]

    @property
    def join(self) -> str:
        return "2" if self.is_each else str(1 + self.width)

    @property
    def steps(self) -> Sequence[str]:
        """All that have handlers; what follows the end is not among them."""
        return ["0", *self.parts, self.join]

    @property
    def described(self) -> str:
        """For the ledger."""
        return f"{self.width} {self.is_each:d}"

    @classmethod
    def of(cls, described: str) -> Shape:
        width, is_each = described.split()
        return cls(int(width), is_each == "1")


class Flows:
    """Makes flows of the app."""

    def __init__(self, app: App) -> None:
        self._app = app

    def make(self, chance: random.Random, shape: Shape) -> Flow[object, Any]:
        first = self._remote("step", chance).step({"list": shape.width})
        parts = [self._remote("step", chance).step() for _ in range(shape.width)]
        flow: Flow[object, Any] = chain(
            first, each(parts[0]) if shape.is_each else gather(*parts), self._remote("join", chance).step()
        )
        return flow.on_success(self._remote("after", chance).step()).on_failure(
            self._remote("alert", chance).step()
        )

    def _remote(self, name: str, chance: random.Random) -> Any:
        anything: Any = Any
        return self._app.remote(
            name,
            payload=anything,
            result=anything,
            queue=chance.choice([*QUEUES, GO]),
            max_retry=2,
            retention=KEPT,
        )


def draw(chance: random.Random) -> Shape:
    return Shape(chance.randint(1, WIDEST), chance.random() < 0.3)


@dataclass(frozen=True, slots=True)
class Whim:
    """What the step of a task ID does."""

    drawn: int

    @classmethod
    def of(cls, task_id: str) -> Whim:
        return cls(zlib.crc32(task_id.encode()) % 100)

    @property
    def seconds(self) -> float:
        return self.drawn % 5 / 100

    def fails(self, retried: int) -> bool:
        return self.drawn < 2 or (self.drawn < 10 and retried == 0)

    @property
    def exits(self) -> bool:
        """Its process, at the first try. In Python only."""
        return self.drawn == 99


def result_of(task_id: str, payload: bytes) -> bytes:
    """A list of so many numbers where one is asked for, else the ID."""
    told = json.loads(payload) if payload else None
    return json.dumps(list(range(told["list"])) if isinstance(told, dict) else task_id).encode()
