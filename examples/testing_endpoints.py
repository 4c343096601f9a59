"""Tests of endpoints that enqueue: `pytest examples/testing_endpoints.py`."""

import httpx
from fastapi import FastAPI
from fastapi.testclient import TestClient

from asynq_py import App

tasks = App(retention=3600)
web = FastAPI()


@tasks.task(max_retry=3)
async def send_receipt(order: int) -> str:
    return f"receipt {order}"


@web.post("/orders/{order}", status_code=202)
async def take(order: int) -> dict[str, str]:
    handle = await send_receipt.enqueue(order)
    return {"task": handle.id}


@web.get("/receipts/{task_id}")
async def receipt(task_id: str) -> dict[str, str | None]:
    info = await send_receipt.handle(task_id).info()
    return {"state": info.state}


# -- the tests ----------------------------------------------------------------------------------------------


def test_an_order_sends_a_receipt() -> None:
    with tasks.eager() as eager, TestClient(web) as browser:
        assert browser.post("/orders/7").status_code == 202
        eager.assert_enqueued(send_receipt, order=7, count=1)


async def test_a_receipt_is_sent_when_the_printer_is_back() -> None:
    transport = httpx.ASGITransport(web)
    async with tasks.test() as t, httpx.AsyncClient(transport=transport, base_url="http://shop") as browser:
        t.failing(send_receipt, ConnectionError)
        task = (await browser.post("/orders/7")).json()["task"]
        assert (await browser.get(f"/receipts/{task}")).json() == {"state": "pending"}

        await t.advance("1h")
        assert [ran.error is None for ran in t.runs(send_receipt)] == [False, True]
        assert (await browser.get(f"/receipts/{task}")).json() == {"state": "completed"}
