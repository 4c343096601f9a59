"""A soak from beginning to end: load and faults, then calm, then the books."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from redis.asyncio import Redis

from tests.books import Books, books
from tests.eventually import eventually
from tests.servers import plain_client
from tests.verify.chaos.accounts import account
from tests.verify.chaos.causes import Bounds
from tests.verify.chaos.crew import Post
from tests.verify.chaos.ground import Ground, Standalone, standing_on
from tests.verify.chaos.jobs import LEASE, QUEUES
from tests.verify.chaos.ledger import Ledger, now, read
from tests.verify.chaos.link import Link
from tests.verify.chaos.nemesis import Nemesis, plan
from tests.verify.chaos.verdict import Remains, Verdict, judge
from tests.verify.chaos.worker import SCAN
from tests.verify.report import REPORTS

WORKERS: Final = 4
PRODUCERS: Final = 2
SCHEDULERS: Final = 3
RATE: Final = 220.0
BOUNDS: Final = Bounds(lease=LEASE, skew=LEASE / 2, scan=SCAN)
START: Final = 60.0  # seconds in which all processes must be there
# Nothing more will happen when nothing has for so long: what waits longest is a retry, or a task put off
CALM: Final = BOUNDS.recovery + 8.0


@dataclass(frozen=True, slots=True)
class Settings:
    """`rate`: tasks a second. `broken`: a name of breakage.NAMES, or "". `keep`: the ledger in any case."""

    topology: str
    seconds: float
    seed: str
    rate: float = RATE
    broken: str = ""
    keep: bool = False


def run(settings: Settings) -> Verdict:
    """Run a soak. When it fails, its ledger is kept in `reports/chaos-TOPOLOGY`."""
    with (
        tempfile.TemporaryDirectory(prefix="asynq-py-ledger-") as name,
        standing_on(settings.topology) as ground,
    ):
        folder = Path(name)
        for part in ("ledger", "logs"):
            (folder / part).mkdir()
        began = time.monotonic()
        remains = asyncio.run(_soak(settings, ground, folder))
        took = time.monotonic() - began
        verdict = judge(
            account(read(folder / "ledger")), remains, BOUNDS, forgets=settings.topology != "standalone"
        )
        verdict.figures = {"seed": settings.seed, "seconds": round(took), **verdict.figures}
        if verdict.failed or settings.keep:
            _keep(folder, REPORTS / f"chaos-{settings.topology}", verdict, remains)
        return verdict


def _keep(folder: Path, aim: Path, verdict: Verdict, remains: Remains) -> None:
    shutil.rmtree(aim, ignore_errors=True)
    shutil.copytree(folder, aim)
    lines = [f"{label}: {example}" for label, found in verdict.broken.items() for example in found]
    lines += [f"left in {queue!r}: {left}" for queue, left in remains.queues.items()]
    (aim / "broken").write_text("\n".join(lines) + "\n", "utf-8")


async def _soak(settings: Settings, ground: Ground, folder: Path) -> Remains:
    ledger = Ledger(folder / "ledger", "nemesis")
    async with AsyncExitStack() as stack:
        posts, links = await stack.enter_async_context(_crew(settings, ground, folder, ledger))
        await _all_there(posts, folder)
        nemesis = Nemesis(ground, posts, links, ledger)
        strikes = plan(settings.seed, settings.seconds, settings.topology)
        await asyncio.gather(nemesis.run(strikes, settings.seconds), asyncio.sleep(settings.seconds))
        for link in links.values():
            link.forget_cuts()
        await asyncio.to_thread(ground.settle)
        ledger.note("over")
        await _dismiss(ledger, [post for post in posts if not post.name.startswith("worker")])
        await _drain(ground, folder)
        await _dismiss(ledger, [post for post in posts if post.name.startswith("worker")])
        async with plain_client(ground.url.partition("?socket")[0]) as client:
            left = {queue: await books(_as_redis(client), queue) for queue in QUEUES}
    ledger.close()
    return Remains(left, wall=time.time() - now())


@asynccontextmanager
async def _crew(
    settings: Settings, ground: Ground, folder: Path, ledger: Ledger
) -> AsyncGenerator[tuple[list[Post], Mapping[str, Link]]]:
    """Start all processes, each behind a link of its own where there is one server."""
    names = [
        *(f"scheduler-{n}" for n in range(SCHEDULERS)),
        *(f"worker-{n}" for n in range(WORKERS)),
        *(f"producer-{n}" for n in range(PRODUCERS)),
    ]
    more = [settings.seed, str(settings.rate / PRODUCERS)]
    posts: list[Post] = []
    links: dict[str, Link] = {}
    async with AsyncExitStack() as stack:
        for number, name in enumerate(names):
            url = ground.url
            if isinstance(ground, Standalone):
                assert ground.port is not None
                link = await stack.enter_async_context(Link(ground.port, number))
                links[name] = link
                url = url.replace(str(ground.port), str(link.port))
            arguments = [url, settings.broken, *(more if name.startswith("producer") else ())]
            post = Post(name, arguments, folder, ledger)
            stack.push_async_callback(post.dismiss)
            post.keep()
            posts.append(post)
        yield posts, links


async def _all_there(posts: list[Post], folder: Path) -> None:
    """Wait until each has opened its ledger, or has failed to."""

    async def missing() -> list[str]:
        return [post.name for post in posts if post.count < 2 and not (folder / "ledger" / post.who).exists()]

    await eventually(missing, lambda names: not names, within=START)


async def _dismiss(ledger: Ledger, posts: list[Post]) -> None:
    obedient = await asyncio.gather(*(post.dismiss() for post in posts))
    for post, has_ended in zip(posts, obedient, strict=True):
        if not has_ended:
            ledger.note("deaf", post.who)


async def _drain(ground: Ground, folder: Path) -> None:
    """Wait until nothing is left to do, or nothing is done any more."""
    seen = -1
    calm_since = now()
    while now() - calm_since < CALM:
        await asyncio.sleep(0.5)
        async with plain_client(ground.url.partition("?socket")[0]) as client:
            left = [await books(_as_redis(client), queue) for queue in QUEUES]
        if not any(map(_is_moving, left)):
            return
        size = sum(path.stat().st_size for path in (folder / "ledger").glob("worker-*"))
        if size != seen:
            seen, calm_since = size, now()


def _is_moving(left: Books) -> bool:
    return bool(left.pending or left.active or left.scheduled or left.retry)


def _as_redis(client: object) -> Redis:
    """A RedisCluster does the same in all that we use."""
    return client  # type: ignore[return-value]
