"""The work: stand-ins for mails, payments and pictures."""

from __future__ import annotations

import asyncio
import json
import random
import time
from typing import Final

from asynq_py import ActiveTask, ServeMux, SkipRetry, Task

QUEUES: Final = {"demo:critical": 6, "demo:default": 3, "demo:low": 1}

mux = ServeMux()


@mux.handler("email:welcome")
async def send_email(task: ActiveTask) -> None:
    await asyncio.sleep(random.uniform(0.1, 0.3))


@mux.handler("payment:capture")
async def capture_payment(task: ActiveTask) -> None:
    """Some payments fail once or twice before they succeed."""
    await asyncio.sleep(random.uniform(0.05, 0.15))
    if task.retried < task.json()["failures"]:
        raise ConnectionError("no answer")


@mux.handler("image:resize")
def resize_image(task: ActiveTask) -> None:
    """A plain function: it runs in a thread, and may block."""
    time.sleep(random.uniform(0.2, 0.5))


@mux.handler("report:build")
async def build_report(task: ActiveTask) -> None:
    await asyncio.sleep(0.2)
    await task.write_result(json.dumps({"rows": random.randint(100, 999)}).encode())


@mux.handler("import:file")
async def import_file(task: ActiveTask) -> None:
    raise SkipRetry("row 17 has no price")


@mux.handler("webhook:call")
async def call_webhook(task: ActiveTask) -> None:
    raise TimeoutError("nobody is at home")


@mux.handler("video:encode")
async def encode_video(task: ActiveTask) -> None:
    await asyncio.sleep(3600)


def make_load(run: str) -> list[Task]:
    """All tasks of a run, shuffled. `run`: what is unique to it."""
    critical, default, low = QUEUES
    load = [Task("email:welcome", {"user": n}, queue=default) for n in range(200)]
    for n in range(48):
        failures = {0: 1, 1: 2}.get(n % 8, 0)  # a quarter of them are flaky
        load.append(Task("payment:capture", {"order": n, "failures": failures}, queue=critical, max_retry=5))
    load += [Task("image:resize", {"picture": n}, queue=low) for n in range(36)]
    load += [Task("report:build", {"month": n}, queue=default, process_in=2 + n % 4) for n in range(12)]
    load += [Task("import:file", {"file": "prices.csv"}, queue=default)]
    load += [Task("webhook:call", {"url": "…"}, queue=default, max_retry=1)]
    load += [Task("video:encode", {"film": 1}, queue=low, max_retry=0)]
    random.shuffle(load)
    # twice the same: the second is refused, as long as the first is there
    load += [Task("report:build", {"year": run}, queue=low, unique=60, process_in=3)] * 2
    return load
