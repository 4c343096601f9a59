"""Tasks at fixed times: from two replicas of a scheduler, and from a list that changes."""

import asyncio
import os
from collections.abc import Iterable

from asynq_py import ActiveTask, PeriodicTask, PeriodicTaskManager, Scheduler, ServeMux, Server, Task

os.environ.setdefault("ASYNQ_REDIS_URL", "embedded://")

mux = ServeMux()
done: asyncio.Queue[str] = asyncio.Queue()


@mux.handler("report:")
async def report(task: ActiveTask) -> None:
    await done.put(f"{task.type} for {task.json()['region']}")


def make_scheduler() -> Scheduler:
    scheduler = Scheduler(timezone="Europe/Paris")
    scheduler.register("0 9 * * mon-fri", Task("report:daily", {"region": "eu"}), max_retry=3, timeout=600)
    scheduler.register("CRON_TZ=Asia/Tokyo @monthly", Task("report:monthly", {"region": "jp"}))
    scheduler.register("@every 1s", Task("report:live", {"region": "eu"}), queue="live", missed="skip")
    return scheduler


regions = ["us"]


async def periodic_tasks() -> Iterable[PeriodicTask]:
    # a real one would ask a database
    tasks = {region: Task("report:live", {"region": region}) for region in regions}
    return [PeriodicTask("@every 1s", task, queue="live", name=region) for region, task in tasks.items()]


async def main() -> None:
    async with Server(None, mux, queues=["default", "live"]):
        async with make_scheduler(), make_scheduler():  # in two processes, say
            print(await done.get())

        async with PeriodicTaskManager(None, periodic_tasks, sync_interval=0.2):
            while (line := await done.get()).endswith("eu"):  # of the schedulers above
                pass
            print(line)
            regions[:] = ["br"]
            while (line := await done.get()).endswith("us"):
                pass
            print(line)


if __name__ == "__main__":
    asyncio.run(main())
