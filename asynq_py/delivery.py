"""Delivery: submissions reach Redis, few calls for many, and again until it answers. Behaviour 2."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

from asynq_py.broker.broker import Broker, Stored, Storing
from asynq_py.errors import AsynqError, BrokerError, BrokerUnavailableError
from asynq_py.submission import Submission
from asynq_py.wire import limits
from asynq_py.wire.state import TaskState


class Delivery:
    """Sends submissions through one broker.

    `timeout`: seconds after which it gives up on a Redis that is away.
    """

    def __init__(self, broker: Broker, *, timeout: float) -> None:
        self._broker = broker
        self._timeout = timeout

    async def once(
        self, submissions: Sequence[Submission], *, directly: bool = False
    ) -> Sequence[Storing | Exception]:
        """Send each task once, those of one queue and kind together. Answers or errors in order.

        `directly`: in the caller's own task, which nobody may cancel.
        """
        groups: dict[tuple[str, TaskState, bool, bool], list[int]] = {}
        for place, item in enumerate(submissions):
            key = (item.options.queue, item.state, item.repeated, item.rule is not None)
            groups.setdefault(key, []).append(place)
        calls = [
            (places[start : start + limits.ENQUEUE_BATCH], key)
            for key, places in groups.items()
            for start in range(0, len(places), limits.ENQUEUE_BATCH)
        ]
        if len(calls) == 1:  # the usual case, without the price of a task
            try:
                return await self._call(submissions, *calls[0][1], directly=directly)
            except AsynqError as error:
                return [error] * len(submissions)
        answers: list[Storing | Exception] = [Stored.YES] * len(submissions)

        async def call(places: list[int], key: tuple[str, TaskState, bool, bool]) -> None:
            told: Sequence[Storing | Exception]
            try:
                told = await self._call([submissions[place] for place in places], *key)
            except AsynqError as error:
                told = [error] * len(places)
            for place, answer in zip(places, told, strict=True):
                answers[place] = answer

        await asyncio.gather(*(call(*item) for item in calls))
        return answers

    async def until_stored(
        self, submissions: Sequence[Submission], answers: Sequence[Storing | Exception]
    ) -> list[Storing | Exception]:
        """Send again what found no Redis by these answers, until the timeout. Answers or errors in order.

        A task whose answer was lost is marked, so that Redis knows it again by its bytes and it is neither
        stored twice nor refused as its own duplicate.
        """
        outcome = list(answers)
        under_way: list[int] = []
        deadline = asyncio.get_running_loop().time() + self._timeout
        pause = 0.05
        try:
            async with asyncio.timeout_at(deadline):
                while away := [i for i, answer in enumerate(outcome) if _mark(submissions[i], answer)]:
                    await asyncio.sleep(pause * random.uniform(0.5, 1.0))
                    pause = min(pause * 2, 1.0)
                    under_way = away
                    told = await self.once([submissions[i] for i in away])
                    under_way = []
                    for i, answer in zip(away, told, strict=True):
                        outcome[i] = answer
        except TimeoutError:
            for i in under_way:  # the lane goes on with it, and it may arrive yet
                submissions[i].repeated = True
        return [
            _in_doubt(item, answer) if item.repeated else answer
            for item, answer in zip(submissions, outcome, strict=True)
        ]

    async def _call(
        self,
        items: Sequence[Submission],
        queue: str,
        state: TaskState,
        repeated: bool,
        has_rules: bool,
        *,
        directly: bool = False,
    ) -> Sequence[Storing | Exception]:
        if has_rules:
            return await self._call_each(items)
        if state is TaskState.PENDING:
            entries = [item.entry for item in items]
            return await self._broker.enqueue(queue, entries, repeated=repeated, directly=directly)
        if state is TaskState.SCHEDULED:
            return await self._broker.schedule(
                queue,
                [(item.entry, int(item.process_at), item.options.group or "") for item in items],
                repeated=repeated,
            )
        return await self._broker.add_to_group(
            queue, [(item.entry, item.options.group or "") for item in items], repeated=repeated
        )

    async def _call_each(self, items: Sequence[Submission]) -> Sequence[Storing | Exception]:
        """Send tasks with rules: one alone decides about another, so there is a call for each."""
        calls = [
            self._broker.enqueue_unique(
                item.options.queue,
                item.entry,
                item.state,
                score=int(item.process_at),
                group=item.options.group or "",
                until=item.rule.until,
                replaces=item.rule.on_conflict == "replace",
                repeated=item.repeated,
            )
            for item in items
            if item.rule is not None
        ]
        answers: list[Storing | Exception] = []
        for answer in await asyncio.gather(*calls, return_exceptions=True):
            if isinstance(answer, BaseException) and not isinstance(answer, AsynqError):
                raise answer
            answers.append(answer)
        return answers


def _mark(submission: Submission, answer: Storing | Exception) -> bool:
    """Is the task to be sent again? Remembers that it may have arrived."""
    if not isinstance(answer, BrokerUnavailableError):
        return False
    submission.repeated = submission.repeated or answer.maybe_done
    return True


def _in_doubt(submission: Submission, answer: Storing | Exception) -> Storing | Exception:
    """What a repeated request is told says little of the first one, which may have stored the task."""
    if isinstance(answer, BrokerUnavailableError):
        answer.maybe_done = True
    elif isinstance(answer, BrokerError):
        unknown = BrokerUnavailableError(f"Redis did not answer, and when asked again: {answer}")
        unknown.maybe_done = True
        unknown.__cause__ = answer
        return unknown
    elif answer is Stored.ID_IN_USE and submission.options.task_id is None:
        return Stored.YES  # nobody else has this ID: it is there, and has been tried and failed meanwhile
    return answer
