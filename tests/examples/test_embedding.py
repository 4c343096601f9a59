"""The web application of examples/embedding.py, spoken to from outside."""

from __future__ import annotations

import asyncio
from types import ModuleType

import httpx
import pytest

from tests.examples.programs import load


@pytest.fixture
def embedding(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("ASYNQ_REDIS_URL", redis_url)
    return load("embedding.py")


async def test_requests_enqueue_and_the_same_process_works(embedding: ModuleType) -> None:
    app = embedding.app
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as web,
        asyncio.timeout(20),
    ):
        posted = [await web.post("/pictures", json={"picture": f"{n}.png"}) for n in range(20)]
        assert [answer.status_code for answer in posted] == [202] * 20
        results = set()
        for answer in posted:
            seen: dict[str, str] = {"state": ""}
            while seen["state"] != "completed":
                seen = (await web.get(f"/tasks/{answer.json()['task']}")).json()
            results.add(seen["result"])
        assert results == {f"small-{n}.png" for n in range(20)}
        assert (await web.get("/tasks/unheard-of")).status_code == 404

        healthy = await web.get("/health")
        assert (healthy.status_code, healthy.json()) == (200, {"server": "active"})
        await app.state.server.shutdown()
        assert (await web.get("/health")).status_code == 503
