"""What the guide says of Celery, done with Celery. Prints what came of it. Run with its interpreter.

It is its own worker, in a second process: `of_celery.py worker`.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import redis
from celery import Celery, chain, chord, group

URL = os.environ["REDIS_URL"]
LIMIT = 40


def broker_url() -> str:
    """Celery has its own word for sockets that are files."""
    parts = urlsplit(URL)
    return f"redis+socket://{parts.path}" if parts.scheme == "unix" else URL


app = Celery("of_celery", broker=broker_url(), backend=broker_url())
app.conf.update(
    result_expires=3600,
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    task_default_queue="celery",
)
connection = redis.Redis.from_url(URL)


@app.task(name="add")
def add(x: int, y: int) -> int:
    return x + y


@app.task(name="total")
def total(numbers: list[int]) -> int:
    return sum(numbers)


@app.task(name="fails")
def fails() -> None:
    connection.rpush("tries", "fails")
    raise ValueError("no")


@app.task(
    name="again", autoretry_for=(ValueError,), max_retries=2, retry_backoff=False, default_retry_delay=0
)
def again() -> None:
    connection.rpush("tries", "again")
    raise ValueError("no")


@app.task(name="dies")
def dies() -> None:
    connection.rpush("tries", "dies")
    until(lambda: not connection.exists("unacked"))  # while it runs, that is
    for process in (os.getppid(), os.getpid()):
        os.kill(process, signal.SIGKILL)


def until(look: Callable[[], object]) -> None:
    give_up_at = time.monotonic() + LIMIT
    while not look():
        if time.monotonic() > give_up_at:
            raise TimeoutError(look)
        time.sleep(0.05)


def start() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, __file__, "worker"], stdout=sys.stderr)


def main() -> None:
    worker = start()
    told: dict[str, object] = {}
    try:
        told["chord"] = chord(group(add.s(1, 2), add.s(3, 4)), total.s())().get(timeout=LIMIT)
        told["chain"] = chain(add.s(1, 2), add.s(10))().get(timeout=LIMIT)
        for task in (fails, again):
            result = task.delay()
            until(result.ready)
        result = add.delay(1, 2)
        until(result.ready)
        told["result is kept for"] = connection.ttl(f"celery-task-meta-{result.id}")
        add.apply_async((1, 2), countdown=3600)
        until(lambda: connection.hlen("unacked") == 1)
        told["a delayed task is held by the worker"] = connection.llen("celery") == 0
        told["keys"] = sorted({_family(key.decode()) for key in connection.keys("*")} - {"tries"})
        connection.delete("unacked", "unacked_index")
        dies.delay()
        worker.wait(LIMIT)
        told["what a dead worker held is waiting"] = (
            connection.llen("celery") + connection.hlen("unacked") > 0
        )
    finally:
        worker.kill()
        worker.wait()
    tries = [item.decode() for item in connection.lrange("tries", 0, -1)]
    told["tries"] = {name: tries.count(name) for name in ("fails", "again", "dies")}
    print(json.dumps(told))


def _family(key: str) -> str:
    return next((name for name in ("_kombu", "unacked", "celery-task") if key.startswith(name)), key)


if __name__ == "__main__":
    if sys.argv[1:] == ["worker"]:
        app.worker_main(
            [
                "worker",
                "--pool=prefork",
                "--concurrency=1",
                "--loglevel=CRITICAL",
                "--without-gossip",
                "--without-mingle",
            ]
        )
    else:
        main()
