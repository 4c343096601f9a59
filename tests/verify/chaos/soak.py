"""A soak from beginning to end: load and faults, then calm, then the books."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.eventually import eventually
from tests.interop import build
from tests.verify.chaos.accounts import account
from tests.verify.chaos.causes import Bounds
from tests.verify.chaos.crew import Post
from tests.verify.chaos.ground import Ground, Standalone, standing_on
from tests.verify.chaos.jobs import GO_LEASE, LEASE, TTL
from tests.verify.chaos.ledger import Ledger, now, read
from tests.verify.chaos.link import Link
from tests.verify.chaos.nemesis import Nemesis, plan
from tests.verify.chaos.remains import Remains, left_in
from tests.verify.chaos.tally import Verdict
from tests.verify.chaos.verdict import judge
from tests.verify.chaos.worker import SCAN
from tests.verify.report import REPORTS

WORKERS: Final = 4
PRODUCERS: Final = 2
SCHEDULERS: Final = 3
GOS: Final = 2  # workers in Go, where there is Go
RATE: Final = 220.0
BOUNDS: Final = Bounds(lease=LEASE, skew=LEASE / 2, scan=SCAN)
WORK: Final = frozenset({"worker", "go"})
BUILT: Final = REPORTS / "go"
START: Final = 300.0  # seconds in which all processes must be there
# Nothing more will happen when nothing has for so long: what waits longest is a retry, or a task put off
CALM: Final = BOUNDS.recovery + 45.0
CALM_IN_GO: Final = GO_LEASE + CALM


@dataclass(frozen=True, slots=True)
class Settings:
    """`rate`: tasks a second. `broken`: a name of breakage.NAMES, or "". `keep`: the ledger in any case.

    `has_go`: with workers in Go, if there is Go here.
    """

    topology: str
    seconds: float
    seed: str
    rate: float = RATE
    broken: str = ""
    keep: bool = False
    has_go: bool = True


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
        remains = asyncio.run(_soak(settings, ground, folder, _go_worker() if settings.has_go else ""))
        took = time.monotonic() - began
        verdict = judge(
            account(read(folder / "ledger")), remains, BOUNDS, forgets=settings.topology != "standalone"
        )
        verdict.figures = {"seed": settings.seed, "seconds": round(took), **verdict.figures}
        if verdict.failed or settings.keep:
            _keep(folder, REPORTS / f"chaos-{settings.topology}", verdict, remains)
        return verdict


def _go_worker() -> str:
    """The program, or "" and the reason on stderr."""
    BUILT.mkdir(parents=True, exist_ok=True)
    try:
        return str(build.soak(BUILT))
    except build.NoPeerError as why:
        sys.stderr.write(f"no workers in Go: {why}\n")
        return ""


def _keep(folder: Path, aim: Path, verdict: Verdict, remains: Remains) -> None:
    shutil.rmtree(aim, ignore_errors=True)
    shutil.copytree(folder, aim)
    lines = [f"{label}: {example}" for label, found in verdict.broken.items() for example in found]
    lines += [f"left in {queue!r}: {left}" for queue, left in remains.queues.items()]
    lines += [f"flow {flow}: {status}" for flow, status in remains.flows.items()]
    (aim / "broken").write_text("\n".join(lines) + "\n", "utf-8")


async def _soak(settings: Settings, ground: Ground, folder: Path, go_worker: str) -> Remains:
    ledger = Ledger(folder / "ledger", "nemesis")
    async with AsyncExitStack() as stack:
        posts, links = await stack.enter_async_context(_crew(settings, ground, folder, ledger, go_worker))
        await _all_there(posts, folder)
        nemesis = Nemesis(ground, posts, links, ledger)
        strikes = plan(settings.seed, settings.seconds, settings.topology)
        await asyncio.gather(nemesis.run(strikes, settings.seconds), asyncio.sleep(settings.seconds))
        for link in links.values():
            link.forget_cuts()
        await asyncio.to_thread(ground.settle)
        ledger.note("over")
        await _dismiss(ledger, [post for post in posts if post.kind not in WORK])
        await asyncio.sleep(TTL)  # locks that last for a time
        await _drain(ground, folder, calm=CALM_IN_GO if go_worker else CALM)
        await _dismiss(ledger, [post for post in posts if post.kind in WORK])
        remains = await left_in(_plain(ground.url), wall=time.time() - now())
    ledger.close()
    return remains


def _plain(url: str) -> str:
    return url.partition("?socket")[0]


@asynccontextmanager
async def _crew(
    settings: Settings, ground: Ground, folder: Path, ledger: Ledger, go_worker: str
) -> AsyncGenerator[tuple[list[Post], Mapping[str, Link]]]:
    """Start all processes, each behind a link of its own where there is one server."""
    names = [
        *(f"scheduler-{n}" for n in range(SCHEDULERS)),
        *(f"worker-{n}" for n in range(WORKERS)),
        *(f"producer-{n}" for n in range(PRODUCERS)),
        *(f"go-{n}" for n in range(GOS if go_worker else 0)),
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
            is_go = name.startswith("go")
            arguments = [_plain(url) if is_go else url, settings.broken]
            arguments += more if name.startswith("producer") else []
            post = Post(name, arguments, folder, ledger, program=go_worker if is_go else "")
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


async def _drain(ground: Ground, folder: Path, *, calm: float) -> None:
    """Wait until nothing is left to do, or nothing is done any more."""
    seen = -1
    calm_since = now()
    while now() - calm_since < calm:
        await asyncio.sleep(0.5)
        if not (await left_in(_plain(ground.url))).is_moving:
            return
        size = sum(path.stat().st_size for path in (folder / "ledger").iterdir())
        if size != seen:
            seen, calm_since = size, now()
