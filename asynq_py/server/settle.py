"""Outcomes of one queue and kind → one call of the broker. The only place where the two meet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from asynq_py.broker.broker import Broker
from asynq_py.server.outcome import Archive, Complete, Done, Outcome, Postpone, Requeue, Retry


async def settle(broker: Broker, queue: str, outcomes: Sequence[Outcome]) -> list[bool]:
    """Write outcomes that are all of one kind. An answer is False where the task is no longer ours."""
    match outcomes[0]:
        case Done():
            return await broker.done(queue, cast("Sequence[Done]", outcomes))
        case Complete():
            return await broker.complete(queue, cast("Sequence[Complete]", outcomes))
        case Retry():
            return await broker.retry(queue, cast("Sequence[Retry]", outcomes))
        case Archive():
            return await broker.archive(queue, cast("Sequence[Archive]", outcomes))
        case Requeue():
            return await broker.requeue(queue, [outcome.task for outcome in outcomes])
        case Postpone():
            return await broker.postpone(queue, cast("Sequence[Postpone]", outcomes))
