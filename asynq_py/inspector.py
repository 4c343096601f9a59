"""Inspector: look at queues and tasks, and steer them. Behaviour 13."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sized
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self, TypeVar

from asynq_py.broker.broker import Broker
from asynq_py.broker.flows import Flows
from asynq_py.broker.inspection import Inspection, Moved, Place, Row, Updated
from asynq_py.broker.lanes import open_lane
from asynq_py.broker.registry import Registry
from asynq_py.broker.removal import Removal, Removed
from asynq_py.broker.roster import Roster
from asynq_py.clock import Clock, check_clock
from asynq_py.connection import Connector, RedisSource
from asynq_py.errors import (
    AsynqError,
    BrokerError,
    BrokerUnavailableError,
    DuplicateTaskError,
    InvalidOptionError,
    MessageDecodeError,
    QueueNotEmptyError,
    QueueNotFoundError,
    TaskNotFoundError,
)
from asynq_py.flow_inspector import FlowInspector
from asynq_py.info import (
    ClusterNode,
    DailyStats,
    EnqueueEvent,
    FlowInfo,
    GroupInfo,
    QueueInfo,
    SchedulerEntryInfo,
    ServerInfo,
    TaskInfo,
    enqueue_event,
    scheduler_entry_info,
    server_infos,
    task_info,
)
from asynq_py.options import check_name
from asynq_py.progress import read
from asynq_py.task import Task
from asynq_py.wire import limits, messages
from asynq_py.wire.keys import QueueKeys
from asynq_py.wire.messages import decode_task, stand_in, with_payload
from asynq_py.wire.state import TaskState

logger = logging.getLogger(__name__)

LONGEST_HISTORY: Final = 366  # days; Redis keeps 90
LONGEST_PAGE: Final = 10_000
CHANGES: Final = 10  # times that a payload is read again which others changed meanwhile

_WHY_NOT: Final[Mapping[Moved, str]] = {
    Moved.ACTIVE: "it is running; cancel_processing asks its worker to end it",
    Moved.ALREADY: "it is {goal} already",
    Moved.AGGREGATING: "it is just being aggregated with others of its group; that ends within two minutes",
    Moved.ELSEWHERE: "it is not where its state says, as a worker lost it or moves it right now",
}

_WAITS: Final = frozenset({TaskState.PENDING, TaskState.SCHEDULED, TaskState.RETRY, TaskState.AGGREGATING})
_LAST: Final = datetime.max.replace(tzinfo=UTC)

Found = TypeVar("Found", bound=Sized)


class Inspector:
    """What operators need to see and do.

    `redis`: as for Client. All methods raise BrokerUnavailableError when Redis is away, InvalidOptionError
    for a blank name, and QueueNotFoundError where they look into a queue and there is none of that name.

    Lists come in pages: `page` counts from 1, `size` is 1 to 10 000. A task whose message is garbled is told
    with the type "asynq:undecodable". What concerns all tasks of a state goes in small steps that hold nobody
    up, so it is not one moment: tasks that come or go meanwhile may be among them or not.
    """

    def __init__(self, redis: RedisSource = None, *, clock: Clock | None = None) -> None:
        self._clock = check_clock(clock)
        self._connector = Connector(redis)
        self._lane = open_lane(self._connector, role="inspector")
        self._broker = Broker(self._lane, self._clock)
        self._inspection = Inspection(self._lane, self._clock)
        self._removal = Removal(self._lane, self._clock, self._inspection)
        self._registry = Registry(self._lane)
        self._roster = Roster(self._lane)
        self._flows = FlowInspector(Flows(self._lane, self._clock), self, self._clock)

    async def queues(self) -> list[str]:
        """The names of all queues, sorted."""
        return await self._registry.queues()

    async def queue_info(self, queue: str) -> QueueInfo:
        """Count the tasks of a queue, and tell how long the next one waits and how much memory they take."""
        check_name("queue", queue)
        now = self._clock.time()
        counts = await self._inspection.counts(queue)
        groups = await self._inspection.groups(queue) if counts.groups else {}
        aggregating = sum(groups.values())
        size = sum(counts[:6]) + aggregating
        if not size:
            await self._check_queue(queue)
        return QueueInfo(
            queue=queue,
            memory_usage=await self._inspection.memory(queue, list(groups), aggregating),
            latency=_latency(now, counts.pending_since),
            size=size,
            groups=counts.groups,
            pending=counts.pending,
            active=counts.active,
            scheduled=counts.scheduled,
            retry=counts.retry,
            archived=counts.archived,
            completed=counts.completed,
            aggregating=aggregating,
            processed=counts.processed,
            failed=counts.failed,
            processed_total=counts.processed_total,
            failed_total=counts.failed_total,
            is_paused=bool(counts.paused),
            looked_at=datetime.fromtimestamp(now, UTC),
        )

    async def history(self, queue: str, days: int) -> list[DailyStats]:
        """What was processed on each of the last days, today first. Redis keeps 90 of them."""
        check_name("queue", queue)
        counted = await self._inspection.history(queue, _whole("days", days, LONGEST_HISTORY))
        await self._check_queue(queue)
        return [
            DailyStats(
                queue=queue, date=datetime.fromtimestamp(at, UTC).date(), processed=processed, failed=failed
            )
            for at, processed, failed in counted
        ]

    async def groups(self, queue: str) -> list[GroupInfo]:
        """The groups of a queue in which tasks wait, by name."""
        sizes = await self._existing(queue, await self._inspection.groups(check_name("queue", queue)))
        return [GroupInfo(group=group, size=size) for group, size in sizes.items()]

    # -- lists ------------------------------------------------------------------------------------------

    async def list_pending(self, queue: str, page: int = 1, size: int = 30) -> list[TaskInfo]:
        """Tasks that can run, next to run first."""
        return await self._page(_place(queue, TaskState.PENDING), page, size)

    async def list_active(self, queue: str, page: int = 1, size: int = 30) -> list[TaskInfo]:
        """Tasks that run, longest running first. `is_orphaned` says whose worker is lost."""
        return await self._page(_place(queue, TaskState.ACTIVE), page, size)

    async def list_scheduled(self, queue: str, page: int = 1, size: int = 30) -> list[TaskInfo]:
        """Tasks that wait for their time, earliest first."""
        return await self._page(_place(queue, TaskState.SCHEDULED), page, size)

    async def list_retry(self, queue: str, page: int = 1, size: int = 30) -> list[TaskInfo]:
        """Tasks that wait for their next try, earliest first."""
        return await self._page(_place(queue, TaskState.RETRY), page, size)

    async def list_archived(self, queue: str, page: int = 1, size: int = 30) -> list[TaskInfo]:
        """Tasks put aside, oldest first."""
        return await self._page(_place(queue, TaskState.ARCHIVED), page, size)

    async def list_completed(self, queue: str, page: int = 1, size: int = 30) -> list[TaskInfo]:
        """Tasks that succeeded and are kept, those that will be forgotten first at the head."""
        return await self._page(_place(queue, TaskState.COMPLETED), page, size)

    async def list_aggregating(self, queue: str, group: str, page: int = 1, size: int = 30) -> list[TaskInfo]:
        """Tasks that wait in a group, first added first."""
        return await self._page(_place(queue, TaskState.AGGREGATING, group), page, size)

    async def tasks(
        self, queue: str, state: TaskState | str, *, group: str | None = None
    ) -> AsyncIterator[TaskInfo]:
        """All tasks of a state, in the order of its list, however many there are.

        `group`: whose tasks, with the state aggregating, and only then. The tasks may be moved or deleted
        while this goes on. One that comes meanwhile may be told or not.
        """
        place = _place(queue, _state(state), group)
        count = 0
        async for row in self._inspection.walk(place):
            count += 1
            if row.message is not None:
                yield self._told(place, row)
        if not count:
            await self._check_queue(queue)

    async def _page(self, place: Place, page: int, size: int) -> list[TaskInfo]:
        count = _whole("size", size, LONGEST_PAGE)
        first = (_whole("page", page) - 1) * count
        rows = await self._existing(place.queue, await self._inspection.page(place, first=first, count=count))
        return [self._told(place, row) for row in rows if row.message is not None]

    def _told(self, place: Place, row: Row) -> TaskInfo:
        """Make a row what callers get. What is not a task message becomes the payload of one."""
        queue, state = place.queue, place.state
        task_id, data, now = row.id.decode("utf-8", "surrogateescape"), row.message or b"", self._clock.time()
        try:
            message = decode_task(data, queue=queue, task_id=task_id)
        except MessageDecodeError:
            message = stand_in(data, queue=queue, task_id=row.id.decode("utf-8", "replace"))
        next_at = {TaskState.PENDING: now, TaskState.SCHEDULED: row.score, TaskState.RETRY: row.score}.get(
            state
        )
        is_orphaned = state is TaskState.ACTIVE and (row.score is None or row.score <= now)
        return task_info(
            message, state=state, next_process_at=next_at, result=row.result or None, is_orphaned=is_orphaned
        )

    # -- tasks ------------------------------------------------------------------------------------------

    async def task_info(self, queue: str, task_id: str) -> TaskInfo:
        """Look at one task.

        Raises: QueueNotFoundError. TaskNotFoundError. MessageDecodeError: its message is garbled.
        """
        check_name("queue", queue)
        stored = await self._broker.task(queue, task_id)
        if stored is None:
            await self._check_queue(queue)
            raise TaskNotFoundError(queue, task_id)
        message = decode_task(stored.message, queue=queue, task_id=task_id)
        try:
            state = TaskState(stored.state)
        except ValueError as error:
            raise MessageDecodeError(f"task {task_id!r} in queue {queue!r}: its state is none") from error
        next_at = self._clock.time() if state is TaskState.PENDING else stored.score
        # left over from a try in Python, where one in Go has succeeded that says nothing
        of_try = message.retried if state is TaskState.COMPLETED else None
        progress = read(stored.progress, retried=of_try)
        return task_info(
            message, state=state, next_process_at=next_at, result=stored.result, progress=progress
        )

    async def run_task(self, queue: str, task_id: str) -> None:
        """Make a task pending that waits for something or is kept: it joins the end of its queue.

        A completed task can be run again. It does not take its unique lock again, which ended with its
        success, and keeps its result until the new try brings one.

        Raises: TaskNotFoundError. AsynqError: it is running, pending already, or just being aggregated.
        """
        await self._move(self._inspection.run_task, queue, task_id, "run", "pending")

    async def archive_task(self, queue: str, task_id: str) -> None:
        """Put a task aside that is not running; it keeps its unique lock until that ends or it is deleted.

        Raises: TaskNotFoundError. AsynqError: it is running, archived already, or just being aggregated.
        """
        await self._move(self._inspection.archive_task, queue, task_id, "archived", "archived")

    async def delete_task(self, queue: str, task_id: str) -> None:
        """Forget a task that is not running. Its ID and its unique lock are free again.

        Raises: TaskNotFoundError. AsynqError: it is running, or just being aggregated.
        """
        await self._move(self._inspection.delete_task, queue, task_id, "deleted", "")

    async def run_all_scheduled(self, queue: str) -> int:
        """Make all scheduled tasks pending. Returns how many."""
        return await self._all(self._inspection.run_all, _place(queue, TaskState.SCHEDULED))

    async def run_all_retry(self, queue: str) -> int:
        """Make all tasks pending that wait for their next try. Returns how many."""
        return await self._all(self._inspection.run_all, _place(queue, TaskState.RETRY))

    async def run_all_archived(self, queue: str) -> int:
        """Make all archived tasks pending. Returns how many."""
        return await self._all(self._inspection.run_all, _place(queue, TaskState.ARCHIVED))

    async def run_all_aggregating(self, queue: str, group: str) -> int:
        """Make all tasks of a group pending, one by one. Returns how many."""
        return await self._all(self._inspection.run_all, _place(queue, TaskState.AGGREGATING, group))

    async def archive_all_pending(self, queue: str) -> int:
        """Put all pending tasks aside. Returns how many."""
        return await self._all(self._inspection.archive_all, _place(queue, TaskState.PENDING))

    async def archive_all_scheduled(self, queue: str) -> int:
        """Put all scheduled tasks aside. Returns how many."""
        return await self._all(self._inspection.archive_all, _place(queue, TaskState.SCHEDULED))

    async def archive_all_retry(self, queue: str) -> int:
        """Put all tasks aside that wait for their next try. Returns how many."""
        return await self._all(self._inspection.archive_all, _place(queue, TaskState.RETRY))

    async def archive_all_aggregating(self, queue: str, group: str) -> int:
        """Put all tasks of a group aside. Returns how many."""
        return await self._all(self._inspection.archive_all, _place(queue, TaskState.AGGREGATING, group))

    async def delete_all_pending(self, queue: str) -> int:
        """Forget all pending tasks. Returns how many."""
        return await self._all(self._inspection.delete_all, _place(queue, TaskState.PENDING))

    async def delete_all_scheduled(self, queue: str) -> int:
        """Forget all scheduled tasks. Returns how many."""
        return await self._all(self._inspection.delete_all, _place(queue, TaskState.SCHEDULED))

    async def delete_all_retry(self, queue: str) -> int:
        """Forget all tasks that wait for their next try. Returns how many."""
        return await self._all(self._inspection.delete_all, _place(queue, TaskState.RETRY))

    async def delete_all_archived(self, queue: str) -> int:
        """Forget all archived tasks. Returns how many."""
        return await self._all(self._inspection.delete_all, _place(queue, TaskState.ARCHIVED))

    async def delete_all_completed(self, queue: str) -> int:
        """Forget all completed tasks. Returns how many."""
        return await self._all(self._inspection.delete_all, _place(queue, TaskState.COMPLETED))

    async def delete_all_aggregating(self, queue: str, group: str) -> int:
        """Forget all tasks of a group. Returns how many."""
        return await self._all(self._inspection.delete_all, _place(queue, TaskState.AGGREGATING, group))

    async def update_task_payload(self, queue: str, task_id: str, payload: object) -> None:
        """Give a scheduled task another payload, which is encoded as that of a Task.

        Its unique lock moves along, and lasts as long as before. Of two changes at once the later one stands,
        with its lock; what else changed in the task meanwhile stays.

        Raises: TaskNotFoundError. DuplicateTaskError: another task holds the lock on the new payload.
        AsynqError: it is not scheduled. MessageDecodeError: its message is garbled.
        """
        check_name("queue", queue)
        new, answer = _payload(payload), Updated.CHANGED
        for _ in range(CHANGES):
            answer = await self._update(queue, check_name("task_id", task_id), new)
            match answer:
                case Updated.OK:
                    return
                case Updated.GONE:
                    await self._check_queue(queue)
                    raise TaskNotFoundError(queue, task_id)
                case Updated.LOCKED:
                    raise DuplicateTaskError(queue=queue, task_id=task_id)
                case Updated.STATE:
                    break
                case Updated.CHANGED:
                    continue
        why = "it is not scheduled" if answer is Updated.STATE else "others keep changing it"
        raise AsynqError(f"the payload of task {task_id!r} in queue {queue!r} cannot be changed: {why}")

    async def _update(self, queue: str, task_id: str, payload: bytes | None) -> Updated:
        stored = await self._broker.task(queue, task_id)
        if stored is None:
            return Updated.GONE
        message = decode_task(stored.message, queue=queue, task_id=task_id)
        keys, old = QueueKeys(queue), message.unique_key
        of_payload = (keys.unique(message.type, message.payload), keys.unique(message.type, None))
        new = keys.unique(message.type, payload) if old in of_payload else old  # that of a key stays
        after = with_payload(message, payload or b"", lock=new)
        return await self._inspection.update_payload(
            queue, task_id, before=stored.message, after=after, locks=(old, new)
        )

    async def _move(
        self, move: Callable[[str, str], Awaitable[Moved]], queue: str, task_id: str, done: str, goal: str
    ) -> None:
        check_name("queue", queue)
        answer = await move(queue, check_name("task_id", task_id))
        if answer is Moved.GONE:
            await self._check_queue(queue)
            raise TaskNotFoundError(queue, task_id)
        if answer is not Moved.OK:
            why = _WHY_NOT[answer].format(goal=goal)
            raise AsynqError(f"task {task_id!r} in queue {queue!r} cannot be {done}: {why}")

    async def _all(self, move: Callable[[Place], Awaitable[int]], place: Place) -> int:
        count = await move(place)
        if not count:
            await self._check_queue(place.queue)
        return count

    async def cancel_processing(self, task_id: str) -> bool:
        """Ask the servers that run a task of this ID, in whatever queue, to cancel it.

        They hear of it at once; one whose subscription is just broken, with its next beat, as the word is
        left with the task. (Go's hear of it at once or never.) Returns: does any server run it?
        """
        try:
            is_running = await self._leave_word(check_name("task_id", task_id))
        except BrokerError as error:  # Redis is full, or withholds what is needed for that
            logger.info("only servers that listen hear that a task is to be cancelled: %s", error)
            return await self._registry.cancel(task_id) > 0
        await self._registry.cancel(task_id)
        return is_running

    async def _leave_word(self, task_id: str) -> bool:
        queues = await self._registry.queues()
        asked = [self._inspection.ask_to_cancel(queue, task_id) for queue in queues]
        return any(await asyncio.gather(*asked))

    async def cancel_task(self, queue: str, task_id: str) -> bool:
        """Delete a task while it waits; ask its worker to end it when it runs.

        Returns True when it was deleted, so it will not run. False: it was running, and what becomes of it is
        up to its handler and its retries; or it had ended, and nothing was done.

        Raises: QueueNotFoundError. TaskNotFoundError.
        """
        info = await self.task_info(queue, task_id)
        if info.state in _WAITS:
            try:
                await self.delete_task(queue, task_id)
            except (TaskNotFoundError, BrokerUnavailableError):
                raise
            except AsynqError:  # it began meanwhile, perhaps
                info = await self.task_info(queue, task_id)
            else:
                return True
        if info.state is TaskState.ACTIVE:
            await self.cancel_processing(task_id)
        return False

    # -- flows ------------------------------------------------------------------------------------------

    async def flows(self, page: int = 1, size: int = 30) -> list[FlowInfo]:
        """The flows that run or ended lately, without their steps; in a page the oldest first."""
        count = _whole("size", size, LONGEST_PAGE)
        return await self._flows.flows((_whole("page", page) - 1) * count, count)

    async def flow(self, flow_id: str) -> FlowInfo:
        """Look at a flow and at each of its steps. Raises: FlowNotFoundError."""
        return await self._flows.flow(check_name("flow_id", flow_id))

    async def cancel_flow(self, flow_id: str) -> bool:
        """End a flow: what is not enqueued never is, waiting tasks are deleted, running ones asked to end.

        Returns False when it had ended before. Raises: FlowNotFoundError.
        """
        return await self._flows.cancel(check_name("flow_id", flow_id))

    async def retry_flow(self, flow_id: str) -> bool:
        """Try the steps again that failed, and let the flow go on. Steps that ended well stay as they are.

        Returns False when none had failed. Raises: FlowNotFoundError.
        """
        return await self._flows.retry(check_name("flow_id", flow_id))

    # -- queues -----------------------------------------------------------------------------------------

    async def pause_queue(self, queue: str) -> None:
        """Stop a queue from being fetched, by any server. Raises: AsynqError: it is paused already."""
        if not await self._registry.pause(check_name("queue", queue), now=self._clock.time()):
            raise AsynqError(f"queue {queue!r} is already paused")

    async def unpause_queue(self, queue: str) -> None:
        """Let a queue be fetched again. Raises: AsynqError: it is not paused."""
        if not await self._registry.unpause(check_name("queue", queue)):
            raise AsynqError(f"queue {queue!r} is not paused")

    async def delete_queue(self, queue: str, *, force: bool = False) -> None:
        """Forget a queue with its counters and its pause. Completed tasks and those in groups are tasks, too.

        `force`: with its tasks and their unique locks. Meanwhile no worker takes any of them.

        Raises: QueueNotEmptyError: it has tasks; with `force` some are running, or new ones keep coming.
        """
        await self._check_queue(check_name("queue", queue))
        answer = await self._removal.remove(queue, force=force)
        if answer is not Removed.OK:
            raise QueueNotEmptyError(queue, "running tasks" if answer is Removed.ACTIVE else "tasks")

    # -- processes --------------------------------------------------------------------------------------

    async def servers(self) -> list[ServerInfo]:
        """The servers that live and what they run, by host and process. What it tells is some seconds old."""
        now = self._clock.time()
        found, running = await self._roster.servers(now=now), await self._roster.workers(now=now)
        return server_infos(
            messages.decode_records(messages.ServerInfo, found),
            messages.decode_records(messages.WorkerInfo, running),
        )

    async def scheduler_entries(self) -> list[SchedulerEntryInfo]:
        """What the schedulers that live enqueue again and again, next first."""
        found = await self._roster.scheduler_entries(now=self._clock.time())
        infos = map(scheduler_entry_info, messages.decode_records(messages.SchedulerEntry, found))
        return sorted(infos, key=lambda info: (info.next_enqueue_at or _LAST, info.spec, info.id))

    async def list_scheduler_enqueue_events(
        self, entry_id: str, page: int = 1, size: int = 30
    ) -> list[EnqueueEvent]:
        """What an entry of a scheduler has enqueued, newest first; at most the last 1 000 are kept."""
        count = _whole("size", size, LONGEST_PAGE)
        first = (_whole("page", page) - 1) * count
        found = await self._roster.enqueue_events(check_name("entry_id", entry_id), first=first, count=count)
        return list(map(enqueue_event, messages.decode_records(messages.SchedulerEnqueueEvent, found)))

    async def cluster_key_slot(self, queue: str) -> int:
        """The Cluster slot of all keys of a queue, whether there is a Cluster or not."""
        return self._roster.slot(check_name("queue", queue))

    async def cluster_nodes(self, queue: str) -> list[ClusterNode]:
        """The nodes that have a queue, its master first. Raises: BrokerError: there is no Cluster."""
        nodes = await self._roster.nodes(check_name("queue", queue))
        return [ClusterNode(id=node.id, host=node.host, port=node.port) for node in nodes]

    async def redis_info(self) -> dict[str, str]:
        """What Redis says of itself, by the names of its INFO; of a Cluster, by those of CLUSTER INFO."""
        return await self._roster.cluster_info() if self._connector.cluster else await self._roster.info()

    # -- the rest ---------------------------------------------------------------------------------------

    async def _check_queue(self, queue: str) -> None:
        if not await self._registry.has_queue(queue):
            raise QueueNotFoundError(queue)

    async def _existing(self, queue: str, found: Found) -> Found:
        """Nothing found is an answer only where there is such a queue."""
        if not len(found):
            await self._check_queue(queue)
        return found

    async def aclose(self) -> None:
        """Close the connection. Idempotent."""
        await self._lane.aclose()
        await self._connector.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def _place(queue: str, state: TaskState, group: str | None = None) -> Place:
    check_name("queue", queue)
    if state is TaskState.AGGREGATING:
        return Place(queue, state, check_name("group", group))
    if group is not None:
        raise InvalidOptionError("group", group, "only with the state aggregating")
    return Place(queue, state)


def _payload(payload: object) -> bytes | None:
    data = Task("t", payload).payload
    if data is not None and len(data) > limits.PAYLOAD_LIMIT:
        raise InvalidOptionError("payload", len(data), f"at most {limits.PAYLOAD_LIMIT} bytes")
    return data


def _latency(now: float, since_ns: int) -> float:
    return max(0, int(now * 1_000_000) * 1000 - since_ns) / 1e9 if since_ns else 0.0


def _state(state: TaskState | str) -> TaskState:
    try:
        return TaskState(state)
    except ValueError:
        raise InvalidOptionError("state", state, f"one of {', '.join(TaskState)}") from None


def _whole(option: str, value: object, most: int = 10**9) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise InvalidOptionError(option, value, f"a whole number from 1 to {most}")
    return value
