"""Keep the same work from being queued twice."""

import asyncio
import os

from asynq_py import ActiveTask, Client, DuplicateTaskError, ServeMux, Server, Task, TaskIDConflictError

os.environ.setdefault("ASYNQ_REDIS_URL", "embedded://")

mux = ServeMux()
synced = asyncio.Event()


@mux.handler("account:sync")
async def sync(task: ActiveTask) -> None:
    print(f"syncing account {task.json()['account']}")
    synced.set()


async def main() -> None:
    async with Client() as client:
        task = Task("account:sync", {"account": 7})

        # A lock on queue, type and payload. It ends when the task succeeds, after 600 s at the latest.
        await client.enqueue(task, unique=600)
        try:
            await client.enqueue(task, unique=600)
        except DuplicateTaskError as error:
            print(f"refused: {error}")

        # Another payload is another task.
        await client.enqueue(Task("account:sync", {"account": 8}), unique=600, process_in=3600)

        # An ID of your own: refused for as long as a task of this ID is stored, whatever its payload.
        await client.enqueue(Task("report:daily"), task_id="report-2026-01-31", process_in=3600)
        try:
            await client.enqueue(Task("report:daily"), task_id="report-2026-01-31")
        except TaskIDConflictError as error:
            print(f"refused: {error}")

        async with Server(None, mux):
            await synced.wait()

        # Done, so the lock is free again.
        await client.enqueue(task, unique=600)
        print("accepted again")


if __name__ == "__main__":
    asyncio.run(main())
