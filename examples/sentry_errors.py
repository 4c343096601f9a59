"""Sentry: one event when a task fails for good, in the trace of what enqueued it."""

import asyncio
import logging
import os
from typing import Any

import sentry_sdk
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

from asynq_py import App, TaskFailedError
from asynq_py.integrations.sentry import Sentry

os.environ.setdefault("ASYNQ_REDIS_URL", "embedded://")
logging.getLogger("asynq_py").setLevel(logging.CRITICAL)  # the failure is meant


class Printer(Transport):
    """Prints what would go to Sentry. You leave `transport` out, and give your DSN."""

    def capture_envelope(self, envelope: Envelope) -> None:
        for item in envelope.items:
            told: Any = item.payload.json
            if item.type == "event":
                error = told["exception"]["values"][-1]
                print(f"event: {error['type']} in {told['transaction']}, try {told['tags']['asynq.attempt']}")
            elif item.type == "transaction":
                print(f"transaction: {told['transaction']}, {told['contexts']['trace']['status']}")


app = App(retention=60)
Sentry().instrument(app)


@app.task(max_retry=1)
async def charge(order: int) -> None:
    raise ConnectionError("the bank is away")


async def main() -> None:
    sentry_sdk.init(
        dsn="http://key@localhost/1", transport=Printer(), traces_sample_rate=1.0, auto_session_tracking=False
    )
    async with app, app.server(retry_delay=lambda n, error, task: 0.0, forward_interval=0.1):
        handle = await charge.enqueue(7)
        try:
            await handle.result(timeout=20)
        except TaskFailedError as error:
            print(error.error)


if __name__ == "__main__":
    asyncio.run(main())
