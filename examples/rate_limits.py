"""Limits that all workers share: so many tasks in a time, or so many at once."""

import asyncio
import os
import time

from asynq_py import ActiveTask, Client, ConcurrencyLimit, Inspector, RateLimit, ServeMux, Server, Task

os.environ.setdefault("ASYNQ_REDIS_URL", "embedded://")

sent: dict[str, list[float]] = {"acme": [], "bolt": []}
running = most = 0
finished: asyncio.Queue[str] = asyncio.Queue()


async def send(task: ActiveTask) -> None:
    sent[task.json()["customer"]].append(time.monotonic())
    finished.put_nowait(task.id)


async def build(task: ActiveTask) -> None:
    global running, most
    running += 1
    most = max(most, running)
    await asyncio.sleep(0.05)
    running -= 1
    finished.put_nowait(task.id)


async def main() -> None:
    # At most 3 within any 2 seconds, for each customer.
    sms_limit = RateLimit(None, "3/2s", name="sms", key="payload.customer")
    # At most 2 at once, over all workers.
    report_limit = ConcurrencyLimit(None, 2, name="reports")

    # Each limit stands before the tasks of its kind, and before no others.
    sms, reports, mux = ServeMux(), ServeMux(), ServeMux()
    sms.use(sms_limit)
    sms.handle("sms:send", send)
    reports.use(report_limit)
    reports.handle("report:build", build)
    mux.handle("sms:", sms)
    mux.handle("report:", reports)

    async with sms_limit, report_limit, Client() as client, Inspector() as inspector, Server(None, mux):
        to = ["acme"] * 5 + ["bolt"]
        await client.enqueue_many([Task("sms:send", {"customer": name}) for name in to])
        await client.enqueue_many([Task("report:build") for _ in range(6)])
        for _ in range(12):
            await finished.get()

        # A place may be taken outside of workers, too.
        places = [await sms_limit.try_acquire("cora") for _ in range(4)]
        print(f"cora may have: {places}")

        print(f"sent: {len(sent['acme'])} to acme, {len(sent['bolt'])} to bolt")
        print("the fourth to acme had to wait:", sent["acme"][3] - sent["acme"][0] > 1)
        print(f"reports at once: {most}")
        print(f"failed: {(await inspector.queue_info('default')).failed}")


if __name__ == "__main__":
    asyncio.run(main())
