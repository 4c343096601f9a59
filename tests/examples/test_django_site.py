"""The site of examples/django_site: real requests by Django's own test client, a worker by its command."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap

from tests.eventually import eventually
from tests.examples.programs import EXAMPLES

SITE = EXAMPLES / "django_site"
REQUESTS = textwrap.dedent(
    """
    import json, os, sys, time
    os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
    import django
    django.setup()
    from django.test import Client

    browser = Client()
    order = {"number": 7, "email": "ada@example.org"}
    kept = browser.post("/orders", order, content_type="application/json")
    undone = browser.post("/orders", {**order, "number": -1}, content_type="application/json")
    counted = browser.get("/count/41")
    print(kept.status_code, undone.status_code, counted.status_code)

    def status(answer):
        return browser.get(f"/receipts/{answer.json()['task']}")

    give_up_at = time.monotonic() + 40
    while (seen := status(kept).json())["status"] != "SUCCESSFUL":
        assert time.monotonic() < give_up_at, seen
        time.sleep(0.05)
    print(seen["result"])
    print(status(undone).status_code)
    """
)


async def test_requests_enqueue_on_commit_and_the_worker_of_the_site_works(redis_url: str) -> None:
    env = {**os.environ, "ASYNQ_REDIS_URL": redis_url}
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, "manage.py", "asynq_worker", "-c", "5", "-q", "default", "-q", "emails=3"),
        cwd=SITE,
        env=env,
    )
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", "-c", REQUESTS),
            cwd=SITE,
            env=env,
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate()
    finally:
        worker.terminate()
        assert await worker.wait() == 0

    assert out.decode().splitlines() == ["202 202 202", "receipt 7 sent to ada@example.org", "404"]


def test_the_program_runs_on_the_redis_of_the_site(redis_url: str) -> None:
    ended = subprocess.run(
        [sys.executable, "manage.py", "asynq", "health"],
        cwd=SITE,
        env={**os.environ, "ASYNQ_REDIS_URL": redis_url},
        capture_output=True,
        encoding="utf-8",
        timeout=50,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout


async def test_the_server_of_the_site_is_one_for_asynq_py_worker(redis_url: str) -> None:
    env = {**os.environ, "ASYNQ_REDIS_URL": redis_url, "DJANGO_SETTINGS_MODULE": "settings"}
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "asynq_py", "worker", "asynq_py.integrations.django.worker:server"),
        cwd=SITE,
        env=env,
    )
    try:

        async def servers() -> str:
            look = await asyncio.create_subprocess_exec(
                *(sys.executable, "manage.py", "asynq", "server", "ls"),
                cwd=SITE,
                env=env,
                stdout=asyncio.subprocess.PIPE,
            )
            return (await look.communicate())[0].decode()

        assert "emails" in await eventually(servers, lambda text: "emails" in text, within=40)
    finally:
        worker.terminate()
        assert await worker.wait() == 0
