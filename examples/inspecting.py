"""Look at queues and tasks, and steer them."""

import asyncio
import os
from datetime import UTC, datetime, timedelta

from asynq_py import AsynqError, Client, Inspector, QueueNotEmptyError, Task, TaskState

os.environ.setdefault("ASYNQ_REDIS_URL", "embedded://")


async def main() -> None:
    async with Client() as client, Inspector() as inspector:
        tomorrow = datetime.now(UTC) + timedelta(days=1)
        mails = [Task("mail:send", {"to": n}) for n in range(5)]
        await client.enqueue_many(mails, queue="mail")
        reports = [Task("report:build", {"month": n}, process_at=tomorrow) for n in range(1, 4)]
        await client.enqueue_many(reports, queue="reports")
        await client.enqueue(
            Task("report:build", {"month": 13}), queue="reports", task_id="odd", process_in=60
        )

        # All queues in numbers.
        for name in await inspector.queues():
            info = await inspector.queue_info(name)
            print(f"{name}: {info.size} tasks, {info.pending} pending, {info.scheduled} scheduled")

        # A page of a list, or all of a state, however many there are.
        first = await inspector.list_scheduled("reports", page=1, size=1)
        print("due first:", first[0].id)
        months = [task.payload.decode() async for task in inspector.tasks("reports", TaskState.SCHEDULED)]
        print(len(months), "reports are scheduled")

        # One task: mend its payload before it runs, then run it at once.
        await inspector.update_task_payload("reports", "odd", {"month": 12})
        await inspector.run_task("reports", "odd")
        odd = await inspector.task_info("reports", "odd")
        print(f"odd is {odd.state} with {odd.payload.decode()}")
        try:
            await inspector.run_task("reports", "odd")
        except AsynqError as error:
            print(error)

        # All of a state, in small steps that hold nobody up.
        print("archived:", await inspector.archive_all_scheduled("reports"))
        print("deleted:", await inspector.delete_all_archived("reports"))

        # A whole queue: stop it, let it go on, or remove it with all that is in it.
        await inspector.pause_queue("mail")
        await inspector.unpause_queue("mail")
        try:
            await inspector.delete_queue("mail")
        except QueueNotEmptyError as error:
            print(error)
        await inspector.delete_queue("mail", force=True)
        print("queues:", await inspector.queues())

        # Who is there, and what they run.
        for server in await inspector.servers():
            print(server.host, server.status, [worker.task_id for worker in server.active_workers])


if __name__ == "__main__":
    asyncio.run(main())
