"""Client: task and options become a message, and the message reaches Redis. Behaviour 2."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import islice
from types import TracebackType
from typing import Final, Literal, Self, Unpack

from asynq_py.broker.broker import Broker, Held, Stored, Storing, Unconfirmed
from asynq_py.broker.durable_lane import Durability
from asynq_py.broker.lanes import open_lane
from asynq_py.client_middleware import ClientMiddleware, check_client_middleware, fold
from asynq_py.clock import Clock, check_clock
from asynq_py.connection import Connector, RedisSource
from asynq_py.delivery import Delivery
from asynq_py.errors import (
    AsynqError,
    BrokerUnavailableError,
    DuplicateTaskError,
    EnqueueError,
    InvalidOptionError,
    NotReplicatedError,
    TaskIDConflictError,
)
from asynq_py.info import TaskInfo
from asynq_py.options import Duration, Options, TaskOptions, check_seconds
from asynq_py.outbox import Outbox
from asynq_py.submission import Submission, kept_off, stored_info, submission
from asynq_py.task import Task, check_size
from asynq_py.task_ids import TaskIDs
from asynq_py.wire import limits
from asynq_py.wire.state import TaskState

BATCH: Final = 5 * limits.ENQUEUE_BATCH


class Client:
    """Enqueues tasks. Safe for concurrent use within one event loop; concurrent calls share round trips.

    `redis`: a URL, a RedisConfig or a live client; left out, `$ASYNQ_REDIS_URL` or localhost.
    `timeout`: seconds after which a call gives up on a Redis that is away.
    `payload_limit`: the largest payload accepted, bytes.
    `durability`: "replica": a task counts as enqueued when so many `replicas` have it as well as the master,
    for which they get `replica_timeout`; else NotReplicatedError. "none": the master's word will do.
    `middleware`: around every call that enqueues; the first is the outermost.

    Connects at the first call. Close it with `aclose()`, or use it as an async context manager.
    """

    def __init__(
        self,
        redis: RedisSource = None,
        *,
        timeout: Duration = 5.0,
        payload_limit: int = limits.PAYLOAD_LIMIT,
        durability: Literal["none", "replica"] = "none",
        replicas: int = 1,
        replica_timeout: Duration = 1.0,
        middleware: Iterable[ClientMiddleware] = (),
        clock: Clock | None = None,
    ) -> None:
        self._timeout = check_seconds("timeout", timeout, least=0.001)
        if type(payload_limit) is not int or payload_limit < 0:
            raise InvalidOptionError("payload_limit", payload_limit, "a whole number of bytes, zero or more")
        self._payload_limit = payload_limit
        self._clock = check_clock(clock)
        self._connector = Connector(redis)
        # a call waits for at most one exchange before its own
        self._lane = open_lane(
            self._connector,
            role="client",
            timeout=self._timeout / 2,
            durability=_durability(durability, replicas, replica_timeout, at_most=self._timeout / 2),
        )
        self._broker = Broker(self._lane, self._clock)
        self._delivery = Delivery(self._broker, timeout=self._timeout)
        self._ids = TaskIDs()
        self._is_closed = False
        self._outbox: Outbox[Submission, Storing] = Outbox(
            partial(self._delivery.once, directly=True), limit=limits.ENQUEUE_BATCH
        )
        layers = check_client_middleware(middleware)
        self._one = fold(layers, self._answer_one) if layers else None
        self._many = fold(layers, self._answer_many) if layers else None

    async def enqueue(self, task: Task, **options: Unpack[TaskOptions]) -> TaskInfo:
        """Store a task and return how it stands.

        When this returns, Redis has the task. Options given here win over those of the task.

        Raises: InvalidOptionError: nothing was sent. DuplicateTaskError: its unique lock is held.
        TaskIDConflictError: its ID is in use. NotReplicatedError: with durability "replica", the task is
        stored but may be lost by a failover. BrokerUnavailableError: Redis is away; if `maybe_done` is set
        the task may have been stored all the same.
        """
        self._check_open()
        if self._one is not None:
            (told,) = await self._one([_with_options(task, options)])
            if isinstance(told, EnqueueError):
                raise _reason(told)
            return told
        submission = self._prepare(task, options)
        try:
            answer = await self._outbox.put(submission)
        except BrokerUnavailableError as error:
            (outcome,) = await self._delivery.until_stored([submission], [error])
            if isinstance(outcome, Exception):
                raise outcome from outcome.__cause__
            answer = outcome
        return self._accepted(submission, answer)

    async def enqueue_many(
        self, tasks: Iterable[Task], **options: Unpack[TaskOptions]
    ) -> list[TaskInfo | EnqueueError]:
        """Store many tasks in few round trips; answers in order, one bad task fails alone.

        Raises: InvalidOptionError: an option given here is bad; nothing was sent. BrokerUnavailableError:
        Redis is away and no task is known to be stored. What `tasks` itself raises, when it is read, or a
        middleware: tasks before that may be stored.
        """
        self._check_open()
        Options().override(options)
        remaining = iter(tasks)
        sent: list[asyncio.Task[list[TaskInfo | EnqueueError]]] = []
        failure: Exception | None = None
        try:
            async with asyncio.TaskGroup() as sending:
                while failure is None:
                    try:
                        batch = list(islice(remaining, BATCH))
                    except Exception as error:  # raised below as it is: here the group would wrap it
                        failure = error
                        break
                    if not batch:
                        break
                    # one batch is prepared while Redis stores the one before it
                    send = self._enqueue_batch if self._many is None else self._enqueue_through
                    sent.append(sending.create_task(send(batch, options)))
                    await asyncio.sleep(0)
                    if len(sent) > 1 and _is_away(await sent[-2]):
                        break
        except ExceptionGroup as errors:  # of a middleware, whose error is told as `enqueue` tells it
            failure = errors.exceptions[0]
        if failure is not None:
            raise failure
        results = [answer for answers in sent for answer in answers.result()]
        if away := _is_away(results):
            raise away
        return results

    async def ping(self) -> None:
        """Ask Redis for an answer. Raises: BrokerUnavailableError."""
        self._check_open()
        await self._broker.ping()

    async def aclose(self) -> None:
        """Finish what is under way and close the connection. Idempotent; a closed client refuses calls."""
        self._is_closed = True
        await self._outbox.drain()
        await self._lane.aclose()
        await self._connector.aclose()

    async def __aenter__(self) -> Self:
        self._check_open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def _check_open(self) -> None:
        if self._is_closed:
            raise AsynqError("this client is closed; make another one")

    # -- one task ---------------------------------------------------------------------------------------

    def _prepare(self, task: Task, given: TaskOptions) -> Submission:
        if not isinstance(task, Task):
            raise InvalidOptionError("task", type(task), "a Task")
        check_size(task, self._payload_limit, whose="Client's payload_limit")
        options = task.options.override(given) if given else task.options
        task_id = options.task_id or self._ids.next()
        keys = self._broker.keys(options.queue)
        return submission(task, options, keys=keys, task_id=task_id, now=self._clock.time())

    def _accepted(self, submission: Submission, answer: Storing) -> TaskInfo:
        if answer is not Stored.YES:
            queue, task_id = submission.options.queue, submission.entry.id
            if answer is Stored.LOCKED:
                raise DuplicateTaskError(queue=queue, task_id=task_id)
            if isinstance(answer, Held):
                raise kept_off(submission, answer)
            if isinstance(answer, Unconfirmed):
                raise NotReplicatedError(
                    queue=queue, task_id=task_id, acknowledged=answer.replicas, wanted=answer.wanted
                )
            raise TaskIDConflictError(queue=queue, task_id=task_id)
        next_at = None if submission.state is TaskState.AGGREGATING else submission.process_at
        return stored_info(submission, next_at)

    # -- many tasks -------------------------------------------------------------------------------------

    async def _enqueue_batch(
        self, tasks: Sequence[Task], options: TaskOptions
    ) -> list[TaskInfo | EnqueueError]:
        prepared = [self._prepare_alone(task, options) for task in tasks]
        submissions = [item for item in prepared if isinstance(item, Submission)]
        answers = await self._delivery.until_stored(submissions, await self._delivery.once(submissions))
        told = iter(zip(submissions, answers, strict=True))
        return [item if isinstance(item, EnqueueError) else self._told(*next(told)) for item in prepared]

    def _prepare_alone(self, task: Task, options: TaskOptions) -> Submission | EnqueueError:
        try:
            return self._prepare(task, options)
        except InvalidOptionError as error:
            return _because(error, queue=options.get("queue") or "", task_id=options.get("task_id") or "")

    def _told(self, submission: Submission, answer: Storing | Exception) -> TaskInfo | EnqueueError:
        if isinstance(answer, Exception):
            return _because(answer, queue=submission.options.queue, task_id=submission.entry.id)
        try:
            return self._accepted(submission, answer)
        except EnqueueError as error:
            return error

    # -- with middleware --------------------------------------------------------------------------------

    async def _answer_one(self, tasks: Sequence[Task]) -> list[TaskInfo | EnqueueError]:
        if len(tasks) != 1:  # a middleware made more, or none, of the one
            return await self._answer_many(tasks)
        prepared = self._prepare_alone(tasks[0], {})
        if isinstance(prepared, EnqueueError):
            return [prepared]
        answer: Storing | Exception
        try:
            answer = await self._outbox.put(prepared)
        except BrokerUnavailableError as error:
            (answer,) = await self._delivery.until_stored([prepared], [error])
        except AsynqError as error:
            answer = error
        return [self._told(prepared, answer)]

    async def _answer_many(self, tasks: Sequence[Task]) -> list[TaskInfo | EnqueueError]:
        return await self._enqueue_batch(tasks, {})

    async def _enqueue_through(
        self, tasks: Sequence[Task], options: TaskOptions
    ) -> list[TaskInfo | EnqueueError]:
        """What is no task, or has bad options, does not come as far as the middleware."""
        assert self._many is not None
        given = [_with_options_alone(task, options) for task in tasks]
        answers = iter(await self._many([item for item in given if isinstance(item, Task)]))
        return [item if isinstance(item, EnqueueError) else next(answers) for item in given]


def _with_options(task: Task, options: TaskOptions) -> Task:
    if not isinstance(task, Task):
        raise InvalidOptionError("task", type(task), "a Task")
    return task.with_options(**options) if options else task


def _with_options_alone(task: Task, options: TaskOptions) -> Task | EnqueueError:
    try:
        return _with_options(task, options)
    except InvalidOptionError as error:
        return _because(error, queue=options.get("queue") or "", task_id=options.get("task_id") or "")


def _reason(error: EnqueueError) -> Exception:
    """What `enqueue` raises: the reason itself, where a batch would have it as the cause."""
    if type(error) is EnqueueError and isinstance(error.__cause__, AsynqError):
        return error.__cause__
    return error


def _durability(wish: str, replicas: int, timeout: Duration, *, at_most: float) -> Durability | None:
    if wish not in ("none", "replica"):
        raise InvalidOptionError("durability", wish, '"none" or "replica"')
    if not _is_count(replicas):
        raise InvalidOptionError("replicas", replicas, "one or more")
    seconds = check_seconds("replica_timeout", timeout, least=0.001)
    if wish == "none":
        return None
    if seconds >= at_most:
        raise InvalidOptionError("replica_timeout", timeout, f"less than half of the timeout, {at_most} s")
    return Durability(replicas, seconds)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_away(results: Sequence[TaskInfo | EnqueueError]) -> BrokerUnavailableError | None:
    """The error to raise when Redis was away for all of them; it has the news that counts for each."""
    causes = [result.__cause__ for result in results if isinstance(result, EnqueueError)]
    away = [cause for cause in causes if isinstance(cause, BrokerUnavailableError)]
    return away[0] if away and len(away) == len(results) else None


def _because(cause: Exception, *, queue: str, task_id: str) -> EnqueueError:
    error = EnqueueError(str(cause), queue=queue, task_id=task_id)
    error.__cause__ = cause
    return error
