"""The nemesis: strikes by a plan that a seed makes, and notes from when to when each fault lasted."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tests.verify.chaos.crew import Post
from tests.verify.chaos.ground import Ground
from tests.verify.chaos.jobs import LEASE
from tests.verify.chaos.ledger import Ledger, now
from tests.verify.chaos.link import Link

SERVERS: Final = "servers"  # the target of what strikes Redis itself
NOBODY: Final = ""  # and of what has struck nothing
SPAN: Final = 180.0  # seconds for which the numbers below are meant

PROCESSES: Final[Mapping[str, float]] = {
    "kill-worker": 36,
    "term-worker": 12,
    "freeze-worker": 18,
    "kill-producer": 8,
    "kill-scheduler": 6,
    "kill-go": 6,
    "term-go": 4,
    "freeze-go": 4,
}
EARLY: Final = frozenset({"kill-go"})  # a lease of Go lasts half a minute: not at the end
NETWORK: Final[Mapping[str, float]] = {
    "reset-link": 18,
    "drop-reply": 30,
    "cut-reply": 30,
    "delay-link": 8,
    "part-link": 8,
}
ANY_SERVER: Final[Mapping[str, float]] = {"kill-clients": 12, "flush-scripts": 12, "starve": 4}
FAULTS: Final[Mapping[str, Mapping[str, float]]] = {
    "standalone": {**PROCESSES, **NETWORK, **ANY_SERVER, "restart": 7, "freeze": 6},
    "sentinel": {**PROCESSES, **ANY_SERVER, "restart": 4, "freeze": 3, "move": 3},
    "cluster": {**PROCESSES, **ANY_SERVER, "restart": 4, "freeze": 3, "move": 16},
}
# of these one at a time: Redis promises nothing when a second server is lost before the first is back
ONE_BY_ONE: Final = frozenset({"starve", "restart", "freeze", "move"})


@dataclass(frozen=True, slots=True)
class Strike:
    """`at`: seconds from the beginning. `target`: a number; the fault knows of what. `length`: seconds.
    `share`: a number from 0 to 1 of what else has to be drawn.
    """

    at: float
    fault: str
    target: int
    length: float
    share: float


def plan(seed: str, seconds: float, topology: str) -> list[Strike]:
    """The same for the same arguments. Each kind of fault strikes once at least."""
    chance = random.Random(f"{seed} {topology}")
    strikes = []
    for fault, count in FAULTS[topology].items():
        for _ in range(max(1, round(count * seconds / SPAN))):
            at = chance.uniform(0.1, 0.9) * seconds if seconds < SPAN else chance.uniform(5, seconds - 10)
            at = 0.6 * at if fault in EARLY else at
            strikes.append(
                Strike(at, fault, chance.randrange(1 << 16), _length(chance, fault), chance.random())
            )
    return sorted(strikes, key=lambda strike: strike.at)


def _length(chance: random.Random, fault: str) -> float:
    match fault:
        case "freeze-worker" | "freeze-go":
            return chance.uniform(0.2, 3.0) * LEASE
        case "part-link":
            return chance.uniform(0.1, 2.5) * LEASE
        case "freeze":
            return chance.uniform(0.1, 1.5) * LEASE
        case "restart":
            return chance.uniform(0.0, 1.0)
        case "delay-link" | "starve":
            return chance.uniform(1.0, 3.0)
        case _:
            return 0.0


class Nemesis:
    """`links`: by the name of the post that has it; none where servers are reached directly."""

    def __init__(
        self, ground: Ground, posts: Sequence[Post], links: Mapping[str, Link], ledger: Ledger
    ) -> None:
        self._ground = ground
        self._posts = {
            kind: [post for post in posts if post.kind == kind]
            for kind in ("worker", "producer", "scheduler", "go")
        }
        self._links = links
        self._ledger = ledger
        self._servers = asyncio.Lock()
        self._strikes: Mapping[str, Callable[[Strike], Awaitable[str]]] = {
            "kill-worker": lambda strike: self._signal("worker", signal.SIGKILL, strike),
            "term-worker": lambda strike: self._signal("worker", signal.SIGTERM, strike),
            "kill-producer": lambda strike: self._signal("producer", signal.SIGKILL, strike),
            "kill-scheduler": lambda strike: self._signal("scheduler", signal.SIGKILL, strike),
            "kill-go": lambda strike: self._signal("go", signal.SIGKILL, strike),
            "term-go": lambda strike: self._signal("go", signal.SIGTERM, strike),
            "freeze-worker": lambda strike: self._freeze("worker", strike),
            "freeze-go": lambda strike: self._freeze("go", strike),
            "reset-link": self._reset,
            "drop-reply": lambda strike: self._cut(strike, 0),
            "cut-reply": lambda strike: self._cut(strike, 1 + int(strike.share * 12)),
            "delay-link": self._delay,
            "part-link": self._part,
            "kill-clients": lambda _: self._of_servers(self._ground.kill_clients),
            "flush-scripts": lambda _: self._of_servers(self._ground.flush_scripts),
            "starve": lambda strike: self._of_servers(self._ground.starve, strike.length),
            "restart": lambda strike: self._of_servers(self._ground.restart, strike.target, strike.length),
            "freeze": lambda strike: self._of_servers(self._ground.freeze, strike.target, strike.length),
            "move": lambda strike: self._of_servers(self._ground.move, strike.target),
        }

    async def run(self, strikes: Sequence[Strike], seconds: float) -> None:
        """Strike, and wait until every fault is over."""
        began = now()
        async with asyncio.TaskGroup() as group:
            for strike in strikes:
                await asyncio.sleep(max(0.0, began + strike.at - now()))
                group.create_task(self._strike(strike, until=began + seconds))

    async def _strike(self, strike: Strike, *, until: float) -> None:
        if strike.fault not in ONE_BY_ONE:
            return await self._note(strike)
        async with self._servers:
            if now() < until:  # else those before it have taken too long
                await self._note(strike)

    async def _note(self, strike: Strike) -> None:
        began = now()
        target = await self._strikes[strike.fault](strike)
        if target == NOBODY:
            return
        self._ledger.note("fault", target, f"{strike.fault} {now() - began:.6f}", at=began)

    # -- what each does; returns whom it struck --------------------------------------------------------------

    async def _signal(self, kind: str, number: signal.Signals, strike: Strike) -> str:
        post = self._post(kind, strike)
        return NOBODY if post is None else post.signal(number)

    async def _freeze(self, kind: str, strike: Strike) -> str:
        post = self._post(kind, strike)
        return NOBODY if post is None else await post.freeze(strike.length)

    def _post(self, kind: str, strike: Strike) -> Post | None:
        posts = self._posts[kind]
        if not posts:  # no Go here
            return None
        first = strike.target % len(posts)
        # who is not there yet is spared, so that on a slow machine somebody works all the same
        return next((post for post in posts[first:] + posts[:first] if post.is_there), posts[first])

    def _link(self, strike: Strike) -> tuple[str, Link]:
        name = list(self._links)[strike.target % len(self._links)]
        return name, self._links[name]

    async def _reset(self, strike: Strike) -> str:
        name, link = self._link(strike)
        link.reset()
        return name

    async def _cut(self, strike: Strike, after: int) -> str:
        name, link = self._link(strike)
        link.cut_reply(after)
        return name

    async def _delay(self, strike: Strike) -> str:
        name, link = self._link(strike)
        link.delay = 0.5
        await asyncio.sleep(strike.length)
        link.delay = 0.0
        return name

    async def _part(self, strike: Strike) -> str:
        name, link = self._link(strike)
        link.part()
        await asyncio.sleep(strike.length)
        link.mend()
        return name

    async def _of_servers(self, deed: Callable[..., None], *arguments: float) -> str:
        await asyncio.to_thread(deed, *arguments)
        return SERVERS
