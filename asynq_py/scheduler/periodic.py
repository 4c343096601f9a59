"""PeriodicTaskManager: keeps a scheduler in line with a list that may change. Behaviour 12.3."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, NamedTuple, Self, TypeAlias, Unpack

import anyio

from asynq_py.connection import RedisSource
from asynq_py.errors import InvalidOptionError, ServerStateError
from asynq_py.options import Duration, check_seconds
from asynq_py.scheduler.entry import EntryOptions, Missed, build, identity
from asynq_py.scheduler.scheduler import Scheduler, SchedulerOptions
from asynq_py.task import Task
from asynq_py.tracebacks import writable

logger = logging.getLogger(__name__)
logger.addFilter(writable)

SYNC_INTERVAL: Final = 180.0  # seconds, as in Go
_ERRORS = (Exception, SystemExit, KeyboardInterrupt)  # the latter two would end the whole process


@dataclass(frozen=True, slots=True, init=False)
class PeriodicTask:
    """A task and the times at which it is enqueued: what `Scheduler.register` takes, as a value.

    It is checked when it is registered, so that one which cannot be used does not harm the others.
    """

    spec: str
    task: Task
    options: EntryOptions

    def __init__(self, spec: str, task: Task, **options: Unpack[EntryOptions]) -> None:
        object.__setattr__(self, "spec", spec)
        object.__setattr__(self, "task", task)
        object.__setattr__(self, "options", options)


Provider: TypeAlias = "Callable[[], Awaitable[Iterable[PeriodicTask]]]"


class _Key(NamedTuple):
    """All that a periodic task consists of, to know it again."""

    name: str | None
    missed: Missed | None
    content: str


class PeriodicTaskManager:
    """Keeps a scheduler in line with what a provider lists, which may change while it runs.

    `provider`: an async callable, asked for all periodic tasks there should be.
    `sync_interval`: seconds between two questions.
    `options`: those of the `Scheduler`.

    What the provider lists no more is enqueued no more; what is new is enqueued from then on; what stays
    keeps its ID and its times. If the provider fails, all stays as it is. A task that cannot be used is
    logged and left out; if it has a `name`, what went by that name before goes on. At the start both are
    errors.

    Either `await serve()` in a process of its own, or `async with manager:` inside an application. A manager
    is used once.

    Raises: InvalidOptionError.
    """

    def __init__(
        self,
        redis: RedisSource,
        provider: Provider,
        *,
        sync_interval: Duration = SYNC_INTERVAL,
        **options: Unpack[SchedulerOptions],
    ) -> None:
        if not callable(provider):
            raise InvalidOptionError("provider", provider, "an async callable that lists PeriodicTasks")
        self._provider = provider
        self._sync_interval = check_seconds("sync_interval", sync_interval, least=0.01)
        self._scheduler = Scheduler(redis, **options)
        self._registered: dict[_Key, list[str]] = {}
        self._is_begun = False
        self._syncing: asyncio.Task[None] | None = None

    @property
    def state(self) -> str:
        """new, active or closed."""
        return self._scheduler.state

    async def serve(self) -> None:
        """Work until TERM or INT, or `shutdown()`. With `handle_signals=False` signals are left alone.

        Raises: ServerStateError: started before. BrokerError: Redis denies access. InvalidOptionError: a task
        cannot be used. And whatever the provider raises when it is first asked.
        """
        await self._begin()
        try:
            await self._scheduler.serve()
        finally:
            await self._end_syncing()

    async def start(self) -> None:
        """Work in the background of this event loop, without touching signals.

        Waits for the provider, not for Redis. Raises: as `serve()`, but for BrokerError.
        """
        await self._begin()
        await self._scheduler.start()

    async def shutdown(self) -> None:
        """End as a scheduler does. Idempotent."""
        await self._end_syncing()
        await self._scheduler.shutdown()

    async def aclose(self) -> None:
        """The same as `shutdown()`."""
        await self.shutdown()

    async def wait_closed(self) -> None:
        """Wait until the manager has ended, by whatever cause. Raises: as that of a scheduler."""
        await self._scheduler.wait_closed()

    async def ping(self) -> None:
        """Ask Redis for an answer. Raises: BrokerUnavailableError."""
        await self._scheduler.ping()

    async def sync_once(self) -> None:
        """Ask the provider now. Raises what the provider raises; nothing is changed then."""
        wanted = list(await self._provider())
        if self.state != "closed":  # it may have been closed while the provider was asked
            self._apply(wanted, is_strict=False)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.shutdown()

    # -- life -------------------------------------------------------------------------------------------

    async def _begin(self) -> None:
        if self._is_begun or self.state != "new":
            raise ServerStateError("a periodic task manager is started once")
        self._is_begun = True
        try:
            self._apply(list(await self._provider()), is_strict=True)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._scheduler.shutdown()
            raise
        # a bare task, as there is no block to hold it: _end_syncing() awaits it
        self._syncing = asyncio.create_task(self._sync(), name="asynq-py periodic tasks")

    async def _end_syncing(self) -> None:
        if self._syncing is not None:
            self._syncing.cancel()
            await asyncio.wait([self._syncing])

    async def _sync(self) -> None:
        while True:
            await anyio.sleep(self._sync_interval)
            try:
                await self.sync_once()
            except _ERRORS:
                logger.exception("the provider of periodic tasks failed: all stays as it is")

    # -- tasks ------------------------------------------------------------------------------------------

    def _apply(self, wanted: Iterable[PeriodicTask], *, is_strict: bool) -> None:
        usable: list[tuple[_Key, PeriodicTask]] = []
        unusable: set[str] = set()
        for item in wanted:
            try:
                usable.append((_key(item), item))
            except InvalidOptionError as error:
                _complain(item, error, is_strict=is_strict)
                if isinstance(item, PeriodicTask):
                    unusable.add(str(item.options.get("name")))
        self._drop(Counter(key for key, _ in usable), but_not=unusable)
        missing = Counter({key: -len(ids) for key, ids in self._registered.items()})
        for key, item in usable:
            missing[key] += 1
            if missing[key] > 0:
                self._register(key, item, is_strict=is_strict)

    def _drop(self, wanted: Counter[_Key], *, but_not: set[str]) -> None:
        for key, ids in self._registered.items():
            if key.name is None or key.name not in but_not:
                while len(ids) > wanted[key]:  # the last of those that are alike, as every replica does
                    self._scheduler.unregister(ids.pop())
        self._registered = {key: ids for key, ids in self._registered.items() if ids}

    def _register(self, key: _Key, item: PeriodicTask, *, is_strict: bool) -> None:
        try:
            entry_id = self._scheduler.register(item.spec, item.task, **item.options)
        except InvalidOptionError as error:
            _complain(item, error, is_strict=is_strict)
        else:
            self._registered.setdefault(key, []).append(entry_id)


def _key(item: PeriodicTask) -> _Key:
    """Raises: InvalidOptionError: it cannot be used."""
    given: object = item
    if not isinstance(given, PeriodicTask):
        raise InvalidOptionError("provider", type(given), "to list nothing but PeriodicTasks")
    entry = build(item.spec, item.task, item.options, timezone="UTC", missed="once")
    content = identity(item.spec, item.options.get("timezone") or "", item.task, entry.options)
    return _Key(item.options.get("name"), item.options.get("missed"), content)


def _complain(item: object, error: InvalidOptionError, *, is_strict: bool) -> None:
    told = "not a PeriodicTask"
    if isinstance(item, PeriodicTask):
        task: object = item.task
        told = f"{item.spec!r}, {task.type!r}" if isinstance(task, Task) else f"{item.spec!r}, no Task"
    if is_strict:
        error.add_note(f"in the periodic task {told}")
        raise error
    logger.error("a periodic task is left out (%s): %s", told, error)
