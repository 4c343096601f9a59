"""The application of examples/fastapi_app.py, spoken to from outside."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Any

import httpx
import pytest

from tests.eventually import eventually
from tests.examples.programs import EXAMPLES, load

ORDER = {"number": 7, "email": "ada@example.org"}


@pytest.fixture
def shop(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("ASYNQ_REDIS_URL", redis_url)
    return load("fastapi_app.py")


@asynccontextmanager
async def browsing(shop: ModuleType) -> AsyncGenerator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(shop.web)
    async with (
        shop.web.router.lifespan_context(shop.web),
        httpx.AsyncClient(transport=transport, base_url="http://shop") as browser,
    ):
        yield browser


async def _finished(browser: httpx.AsyncClient, task_id: str) -> dict[str, Any]:
    async def look() -> dict[str, Any]:
        seen: dict[str, Any] = (await browser.get(f"/receipts/{task_id}")).json()
        return seen

    return await eventually(look, lambda seen: seen["state"] == "completed", within=40)


async def test_requests_enqueue_and_the_same_process_works(shop: ModuleType) -> None:
    async with browsing(shop) as browser:
        answers = [await browser.post("/orders", json={**ORDER, "number": n}) for n in range(5)]
        assert [answer.status_code for answer in answers] == [202] * 5
        results = [(await _finished(browser, answer.json()["task"]))["result"] for answer in answers]
        assert results == [f"receipt {n} sent to ada@example.org" for n in range(5)]
        assert (await browser.get("/health")).json() == {"worker": "active"}


async def test_what_is_wrong_is_told_to_the_one_who_asks(shop: ModuleType) -> None:
    async with browsing(shop) as browser:
        assert (await browser.post("/orders", json={"number": "seven"})).status_code == 422
        assert (await browser.get("/receipts/unheard-of")).status_code == 404
        await shop.web.state.server.shutdown()
        assert (await browser.get("/health")).status_code == 503


async def test_the_worker_may_be_another_process(
    shop: ModuleType, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKER", "elsewhere")
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "asynq_py", "worker", "fastapi_app:tasks"),
        cwd=EXAMPLES,
        env={**os.environ, "ASYNQ_REDIS_URL": redis_url},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with browsing(shop) as browser:
            assert (await browser.get("/health")).json() == {"worker": "elsewhere"}
            task_id = (await browser.post("/orders", json=ORDER)).json()["task"]
            assert (await _finished(browser, task_id))["result"] == "receipt 7 sent to ada@example.org"
    finally:
        worker.terminate()
        assert await worker.wait() == 0
