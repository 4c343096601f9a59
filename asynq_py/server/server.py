"""Server: builds its parts, starts them, and ends them in order. Behaviour 4."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import nullcontext
from enum import StrEnum
from types import TracebackType
from typing import Self, Unpack

import anyio

from asynq_py.broker.eviction import HARMLESS, eviction_policies
from asynq_py.broker.faults import is_withheld
from asynq_py.component import running
from asynq_py.connection import Connector, RedisSource
from asynq_py.errors import BrokerError, BrokerUnavailableError, ServerStateError
from asynq_py.handler import AsyncHandler, Handler, as_async
from asynq_py.server.companion import Companion, MakeCompanion
from asynq_py.server.config import ServerConfig, ServerOptions
from asynq_py.server.last_resort import see_that_the_process_ends
from asynq_py.server.leaks import noticing_tasks, reporting_leaks
from asynq_py.server.life import Life
from asynq_py.server.outage import Backoff, Outage
from asynq_py.server.parts import Parts, assemble
from asynq_py.server.will import Will, WillKeeper
from asynq_py.signals import signals
from asynq_py.tracebacks import writable

logger = logging.getLogger(__name__)
logger.addFilter(writable)


class ServerState(StrEnum):
    """What a server is doing; peers read it in the server's record."""

    NEW = "new"
    ACTIVE = "active"
    STOPPED = "stopped"
    CLOSED = "closed"


class Server:
    """Runs tasks.

    `redis`: a URL, a RedisConfig or a live client; None: `$ASYNQ_REDIS_URL` or localhost.
    `handler`: a function of one ActiveTask, or a ServeMux.
    Options: see ServerOptions.

    Either `await serve()` in a process of its own, or `async with server:` inside an application; there
    `wait_closed()` tells should it fail. A server is used once.

    Raises: InvalidOptionError.
    """

    def __init__(self, redis: RedisSource, handler: Handler, **config: Unpack[ServerOptions]) -> None:
        self._config = ServerConfig.of(config)
        self._given = (redis, handler, config)
        self._handler = as_async(handler)
        self._connector = Connector(redis)
        self._makers: list[MakeCompanion] = []
        self._companions: list[Companion] = []
        self._will: Will | None = None
        self._life = Life(self._config.lifespan)
        self._state = ServerState.NEW
        self._parts: Parts | None = None
        self._task: asyncio.Task[None] | None = None
        self._ended = asyncio.Event()
        self._failure: Exception | None = None

    @property
    def state(self) -> ServerState:
        return self._state

    @property
    def handler(self) -> AsyncHandler:
        """What runs a task."""
        return self._handler

    @property
    def config(self) -> ServerConfig:
        """What the server was told, checked."""
        return self._config

    def replace(self, redis: RedisSource = None, **config: Unpack[ServerOptions]) -> Server:
        """Make another server which differs from this one only in what is given here.

        Raises: InvalidOptionError.
        """
        old_redis, handler, old_config = self._given
        merged: ServerOptions = {**old_config, **config}
        other = Server(old_redis if redis is None else redis, handler, **merged)
        other._makers += self._makers
        return other

    def accompany(self, make: MakeCompanion) -> None:
        """Let something run beside the handlers, and around them. For layers above, before the start."""
        self._makers.append(make)

    def keep(self, will: Will) -> None:
        """Say what runs here, and hand back what is inherited. For the supervisor, before the start."""
        self._will = will

    def companions(self, redis: RedisSource, config: ServerConfig) -> list[Companion]:
        """Make anew what accompanies the handlers. For who runs them elsewhere."""
        return [make(redis, config) for make in self._makers]

    async def serve(self) -> None:
        """Work until TERM or INT, or `shutdown()`.

        The first TERM or INT lets running tasks finish for `shutdown_timeout`, then hands the others back; a
        second one hands them back at once, a third ends the process on the spot. TSTP stops fetching. With
        `handle_signals=False` signals are left alone.

        A handler that does not end, cancelled or not, is left behind then, and its task to its lease. As
        `asyncio.run` would wait for it for ever, the process is ended by force when nothing else is left.

        Raises: ServerStateError: started before, or its lifespan failed, or a handler is stuck and `on_stuck`
        is "exit". BrokerError: Redis denies access, or may throw keys away (`require_noeviction`).
        """
        parts = self._activate()
        failure: Exception | None = None
        async with anyio.create_task_group() as group:
            if self._config.handle_signals:
                group.start_soon(self._obey_signals, parts)
            try:
                await self._run(parts)
            except Exception as error:  # raised below as it is: here the group would wrap it
                failure = error
            group.cancel_scope.cancel()
        if self._config.handle_signals:
            see_that_the_process_ends(parts.slots.left, code=0 if failure is None else 1)
        if failure is not None:
            raise failure

    async def start(self) -> None:
        """Work in the background of this event loop, without touching signals.

        Does not wait for Redis, but for its lifespan to be entered. Should the server fail later, this is
        logged at once, and told by `wait_closed()` and `shutdown()`.

        Raises: ServerStateError: started before, or the lifespan failed.
        """
        parts = self._activate()
        # a bare task, as there is no block to hold it: shutdown() awaits it
        self._task = asyncio.create_task(self._run_unattended(parts), name="asynq-py server")
        if self._config.lifespan is None:
            return
        try:
            await self._life.has_begun.wait()
        except asyncio.CancelledError:
            await self.shutdown()
            raise
        if self._failure is not None:
            await self.shutdown()

    def stop(self) -> None:
        """Fetch no more; running tasks go on. Has no effect unless the server is active."""
        if self._state is ServerState.ACTIVE and self._parts is not None:
            self._state = ServerState.STOPPED
            self._parts.processor.stop()
            logger.info("stopped fetching")

    async def shutdown(self) -> None:
        """End as after a TERM: let tasks finish, hand back the others, and wait until all is closed.

        Idempotent. Cancelled meanwhile, it hands the others back at once. Raises what made the server fail,
        if it did.
        """
        self._begin_end()
        if self._task is not None:
            try:
                await self._task
            except asyncio.CancelledError:  # meant for us, or the end that the server has come to?
                caller = asyncio.current_task()
                if not self._task.cancelled() or (caller is not None and caller.cancelling()):
                    raise
        elif self._state is not ServerState.NEW:
            await self._ended.wait()

    async def wait_closed(self) -> None:
        """Wait until the server has ended, by `shutdown()` or of its own. Does not end it.

        Raises what made the server fail, if it did. ServerStateError: not started.
        """
        if self._state is ServerState.NEW:
            raise ServerStateError(f"the server is {self._state}")
        await self._ended.wait()
        if self._failure is not None:
            raise self._failure

    async def ping(self) -> None:
        """Ask Redis for an answer.

        Raises: BrokerUnavailableError. ServerStateError: the server does not run.
        """
        if self._parts is None or self._state is ServerState.CLOSED:
            raise ServerStateError(f"the server is {self._state}")
        await self._parts.upkeep.ping()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.shutdown()

    # -- life -------------------------------------------------------------------------------------------

    def _activate(self) -> Parts:
        if self._state is not ServerState.NEW:
            raise ServerStateError(f"the server is {self._state}; a server is started once")
        handler = self._handler
        self._companions = self.companions(self._given[0], self._config)
        for companion in self._companions:
            handler = companion.around(handler)
        if self._config.report_leaks:
            handler = reporting_leaks(handler)
        self._parts = assemble(
            *(self._connector, handler, self._config), status=lambda: self._state, end=self._begin_end
        )
        self._state = ServerState.ACTIVE
        return self._parts

    def _begin_end(self) -> None:
        if self._state in (ServerState.ACTIVE, ServerState.STOPPED) and self._parts is not None:
            self._state = ServerState.CLOSED
            self._parts.processor.end()
            self._life.give_up()
            logger.info("shutting down")

    async def _obey_signals(self, parts: Parts) -> None:
        endings = 0
        async for number in signals():
            logger.info("got %s", number.name)
            if number.name == "SIGTSTP":
                self.stop()
                continue
            endings += 1
            if endings == 1:
                self._begin_end()
            elif endings == 2:
                parts.processor.hurry()
            else:
                os._exit(128 + number)

    async def _run_unattended(self, parts: Parts) -> None:
        try:
            await self._run(parts)
        except Exception as error:  # nobody may be waiting for it
            logger.error("the server has failed: %r", error, exc_info=error)
            raise

    async def _run(self, parts: Parts) -> None:
        try:
            async with self._life.lived() as may_work:
                if may_work:
                    with noticing_tasks() if self._config.report_leaks else nullcontext():
                        await self._work(parts)
            if parts.slots.failure is not None:
                raise parts.slots.failure
        except Exception as error:
            self._failure = error
            raise
        finally:
            self._state = ServerState.CLOSED
            try:
                with anyio.CancelScope(shield=True):
                    # whoever is cancelled while it waits for this does not cancel it
                    await asyncio.shield(self._close(parts))
            finally:
                self._ended.set()
                self._life.has_begun.set()
            logger.info("ended")

    async def _close(self, parts: Parts) -> None:
        await parts.aclose()
        await self._connector.aclose()

    async def _work(self, parts: Parts) -> None:
        await self._check_access(parts)
        if self._config.require_noeviction:
            await self._check_eviction(parts.outage)
        logger.info(
            "serving %s from %s, %d tasks at once",
            dict(self._config.queues),
            self._connector,
            self._config.concurrency,
        )
        # Senders end before receivers, because they stand inside: leases live until all is written.
        inner = [*parts.inner, *self._companions]
        if self._will is not None:
            lease = self._config.lease
            inner.append(WillKeeper(self._will, parts.upkeep, parts.inflight, parts.outage, lease=lease))
        async with running(*parts.outer), running(parts.syncer), running(*inner):
            await parts.processor.run()

    async def _check_access(self, parts: Parts) -> None:
        """Fail now if Redis denies us; but an absent Redis is waited for, by each part on its own."""
        try:
            await parts.upkeep.ping()
            await parts.clock.set(parts.lanes[-1])
        except BrokerUnavailableError as error:
            parts.outage.noticed(error)

    async def _check_eviction(self, outage: Outage) -> None:
        """Wait for Redis, if need be, until it is known that it throws nothing away. Or until we end."""
        backoff = Backoff()
        while self._state is not ServerState.CLOSED:
            try:
                policies = await eviction_policies(self._connector)
            except BrokerUnavailableError as error:
                outage.noticed(error)
                await anyio.sleep(backoff.next())
                continue
            except BrokerError as error:
                if not is_withheld(error):
                    raise
                raise BrokerError(f"require_noeviction needs the right +info: {error}") from error
            outage.over()
            for address, policy in policies.items():
                if policy != HARMLESS:
                    told = (
                        f"has maxmemory-policy {policy}" if policy else "does not tell its maxmemory-policy"
                    )
                    raise BrokerError(
                        f"Redis at {address} {told}, so it may throw tasks away: set noeviction there, "
                        "or leave require_noeviction out"
                    )
            return
