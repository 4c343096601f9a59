"""What the guide says of arq, done with arq. Prints what came of it. Run with its interpreter."""

import asyncio
import json
import os

from arq import Retry, create_pool, cron, worker
from arq.connections import RedisSettings
from arq.jobs import Job

tries: dict[str, list[int]] = {"fails": [], "again": []}


async def fails(ctx: dict) -> None:
    tries["fails"].append(ctx["job_try"])
    raise ValueError("no")


async def again(ctx: dict) -> str:
    tries["again"].append(ctx["job_try"])
    raise Retry(defer=0.01)


async def works(ctx: dict) -> str:
    return "done"


async def main() -> None:
    settings = RedisSettings.from_dsn(os.environ["REDIS_URL"])
    pool = await create_pool(settings)
    failing = await pool.enqueue_job("fails")
    retrying = await pool.enqueue_job("again")
    await pool.enqueue_job("works", _job_id="one")
    second = await pool.enqueue_job("works", _job_id="one")
    burst = worker.Worker(
        [fails, again, works], redis_settings=settings, burst=True, max_tries=3, keep_result=3600,
        poll_delay=0.05, handle_signals=False, cron_jobs=[cron(works, weekday="mon", hour=5, minute=30)],
    )  # fmt: skip
    await burst.main()
    await burst.close()
    results = {name: await job.result_info() for name, job in (("fails", failing), ("again", retrying))}
    kept = await pool.enqueue_job("works", _job_id="one")
    expires = await pool.ttl("arq:result:one")
    await pool.enqueue_job("works", _job_id="later", _defer_by=3600)
    print(
        json.dumps(
            {
                "tries": tries,
                "succeeded": {name: info.success for name, info in results.items()},
                "refused while it waits": second is None,
                "refused while its result is kept": kept is None,
                "result is kept for": expires,
                "result": await Job("one", pool).result(),
                "deferred is in the queue": await pool.zscore("arq:queue", "later") is not None,
                "pickled": (await pool.get("arq:job:later"))[:1] == b"\x80",
                "keys": sorted({key.decode().split(":")[0] for key in await pool.keys("*")}),
            }
        )
    )
    await pool.aclose()


asyncio.run(main())
