"""What the guide says of taskiq, done with taskiq. Prints what came of it. Run with its interpreter."""

import asyncio
import json
import logging
import os

import redis.asyncio as redis
from taskiq import SimpleRetryMiddleware
from taskiq.message import TaskiqMessage
from taskiq.receiver import Receiver
from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend

URL = os.environ["REDIS_URL"]
tries: list[str] = []
warnings: list[str] = []


class Heard(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        warnings.append(record.getMessage())


logging.getLogger("taskiq").addHandler(Heard(logging.WARNING))


async def run(broker: ListQueueBroker, count: int) -> None:
    """Do what a worker does with so many messages."""
    receiver = Receiver(broker, run_startup=False, max_async_tasks=1)
    async for message in broker.listen():
        await receiver.callback(message)
        count -= 1
        if not count:
            return


def make(*, retries: bool) -> ListQueueBroker:
    broker = ListQueueBroker(URL).with_result_backend(RedisAsyncResultBackend(URL, result_ex_time=3600))
    return broker.with_middlewares(SimpleRetryMiddleware()) if retries else broker


async def main() -> None:
    told: dict[str, object] = {}
    plain, retrying = make(retries=False), make(retries=True)

    async def fails() -> None:
        tries.append("fails")
        raise ValueError("no")

    async def works() -> str:
        return "done"

    connection = redis.Redis.from_url(URL)
    for broker, count, name in ((plain, 1, "label alone"), (retrying, 3, "SimpleRetryMiddleware")):
        await broker.startup()
        task = broker.register_task(fails, task_name="fails", retry_on_error=True, max_retries=3)
        sent = await task.kiq()
        told["waits in"] = [
            key.decode() for key in await connection.keys("*") if await connection.type(key) == b"list"
        ]
        await asyncio.wait_for(run(broker, count), 40)
        told[name] = len(tries)
        tries.clear()
        told["is_err"] = (await sent.get_result()).is_err
    works_task = plain.register_task(works, task_name="works")
    sent = await works_task.kiq()
    await asyncio.wait_for(run(plain, 1), 40)
    told["result"] = (await sent.wait_result(timeout=10)).return_value
    told["a result is under the bare ID"] = bool(await connection.exists(sent.task_id))
    told["result is kept for"] = await connection.ttl(sent.task_id)
    unknown = TaskiqMessage(task_id="u", task_name="unheard of", labels={}, args=[], kwargs={})
    await plain.kick(plain.formatter.dumps(unknown))
    await asyncio.wait_for(run(plain, 1), 40)
    told["an unknown task is dropped with a warning"] = (
        any("unheard of" in warning for warning in warnings) and await connection.llen("taskiq") == 0
    )
    await plain.kick(plain.formatter.dumps(unknown))
    async for _ in plain.listen():  # a worker takes it, and dies
        break
    told["what a dead worker held is waiting"] = await connection.llen("taskiq") > 0
    await connection.aclose()
    for broker in (plain, retrying):
        await broker.shutdown()
    print(json.dumps(told))


asyncio.run(main())
