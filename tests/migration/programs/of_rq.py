"""What the guide says of RQ, done with RQ. Prints what came of it. Run with its interpreter."""

import json
import os
import sys
from datetime import timedelta

from redis import Redis
from rq import Queue, Retry, SimpleWorker
from rq.cron import CronScheduler
from rq.exceptions import DuplicateJobError
from rq.registry import FailedJobRegistry, FinishedJobRegistry, ScheduledJobRegistry

tries: list[str] = []
sys.modules["of_rq"] = sys.modules["__main__"]  # jobs name their functions by module


def fails(name: str) -> None:
    tries.append(name)
    raise ValueError("no")


def works() -> str:
    return "done"


for function in (fails, works):
    function.__module__ = "of_rq"

connection = Redis.from_url(os.environ["REDIS_URL"])
low, high = Queue("low", connection=connection), Queue("high", connection=connection)
failing = low.enqueue(fails, "once")
retried = low.enqueue(fails, "with Retry", retry=Retry(max=3))
first = low.enqueue(works)
urgent = high.enqueue(works, job_id="one")
try:
    high.enqueue(works, job_id="one", unique=True)
    is_refused = False
except DuplicateJobError:
    is_refused = True
later = low.enqueue_in(timedelta(hours=1), works)
SimpleWorker([high, low], connection=connection).work(burst=True, logging_level="CRITICAL")
for job in (first, urgent):
    job.refresh()
print(
    json.dumps(
        {
            "failed": sorted(
                name
                for name, job in (("once", failing), ("with Retry", retried))
                if job.id in FailedJobRegistry(queue=low)
            ),
            "tries": {name: tries.count(name) for name in ("once", "with Retry")},
            "result": first.return_value(),
            "result is kept for": connection.ttl(f"rq:job:{first.id}"),
            "high first": urgent.ended_at <= first.started_at,
            "refused": is_refused,
            "scheduled": later.id in ScheduledJobRegistry(queue=low),
            "finished": first.id in FinishedJobRegistry(queue=low),
            "has cron": CronScheduler.__name__,
            "keys": sorted({key.decode().split(":")[0] for key in connection.keys("*")}),
        }
    )
)
