"""Metrics for Prometheus: the queues, from any process, and the handlers of a worker."""

import asyncio
import logging
import os

import httpx
from prometheus_client import CollectorRegistry, generate_latest

from asynq_py import ActiveTask, Client, ServeMux, Server, Task
from asynq_py.integrations.prometheus import ServerMetrics, metrics_server

os.environ.setdefault("ASYNQ_REDIS_URL", "embedded://")
logging.getLogger("asynq_py").setLevel(logging.CRITICAL)  # the failure is meant

# What handlers do: as middleware, the outermost of all.
registry = CollectorRegistry()  # or leave it out: the one that all of prometheus_client shares
metrics = ServerMetrics(registry=registry)
mux = ServeMux()
mux.use(metrics.middleware)
finished = asyncio.Event()


@mux.handler("mail:send")
async def send(task: ActiveTask) -> None:
    if task.json()["to"] == "nobody":
        raise LookupError("no such address")
    finished.set()


async def main() -> None:
    async with Client() as client:
        await client.enqueue(Task("mail:send", {"to": "nobody"}), max_retry=0)
        await client.enqueue(Task("mail:send", {"to": "ada"}))
        async with Server(None, mux, concurrency=1), metrics.watching_loop():
            await finished.wait()
        for line in generate_latest(registry).decode().splitlines():
            if line.startswith("asynq_py_task_duration_seconds_count"):
                print(line)

        # The queues: from one process that has nothing else to do, or from any other.
        async with metrics_server(host="127.0.0.1", port=0) as port, httpx.AsyncClient() as web:
            answer = await web.get(f"http://127.0.0.1:{port}/metrics")
            for line in answer.text.splitlines():
                if line.startswith(("asynq_tasks_processed_total", "asynq_tasks_failed_total")):
                    print(line)


if __name__ == "__main__":
    asyncio.run(main())
