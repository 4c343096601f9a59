"""What an app opens: one client and one inspector for each event loop that uses it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

from asynq_py.app.waiting import Waiting
from asynq_py.broker.broker import Broker
from asynq_py.broker.flows import Flows
from asynq_py.broker.lanes import open_lane
from asynq_py.client import Client
from asynq_py.client_middleware import ClientMiddleware
from asynq_py.clock import Clock, check_clock
from asynq_py.connection import Connector, RedisSource
from asynq_py.errors import AsynqError
from asynq_py.inspector import Inspector

HeaderSource: TypeAlias = Callable[[], Mapping[str, str]]


class Connections:
    """Those of one event loop. They connect when they are first used. `is_eager`: they never do.

    `client`: one that is there already, and is left open.
    """

    is_eager = False
    is_closed = False
    users = 0  # blocks of `async with`, of which the last one to end closes them
    flow_headers: Sequence[HeaderSource] = ()

    def __init__(
        self,
        redis: RedisSource,
        middleware: Sequence[ClientMiddleware] = (),
        clock: Clock | None = None,
        *,
        client: Client | None = None,
    ) -> None:
        self._owns_client = client is None
        self.client = Client(redis, middleware=middleware, clock=clock) if client is None else client
        self.inspector = Inspector(redis, clock=clock)
        self._connector = Connector(redis)
        self._lane = open_lane(self._connector, role="flows")
        self.flows = Flows(self._lane, check_clock(clock))
        self.tasks = Broker(self._lane, check_clock(clock))
        self.waiting = Waiting(self.inspector, redis)
        # `asyncio.run` ends its asynchronous generators while the loop still runs: those who do not close
        # the app leave nothing open
        self._life = self._until_the_loop_ends()
        with contextlib.suppress(StopIteration):
            self._life.__anext__().send(None)

    async def _until_the_loop_ends(self) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            await self.waiting.aclose()
            await self._lane.aclose()
            await self._connector.aclose()
            await self.inspector.aclose()
            if self._owns_client:
                await self.client.aclose()

    async def aclose(self) -> None:
        """Idempotent."""
        self.is_closed = True
        await self._life.aclose()


class Outlet:
    """Finds the connections of the running loop."""

    def __init__(self, redis: RedisSource) -> None:
        self._redis = redis
        self._middleware: list[ClientMiddleware] = []
        self._flow_headers: list[HeaderSource] = []
        self._open: dict[asyncio.AbstractEventLoop, Connections] = {}
        self._make: Callable[[], Connections] = lambda: Connections(self._redis, self._middleware)
        self._is_instead = False

    @property
    def middleware(self) -> Sequence[ClientMiddleware]:
        """Of the clients that are opened from now on."""
        return self._middleware

    def turn(self, make: Callable[[], Connections]) -> None:
        """From now on, open connections of another make."""
        self._make = make

    @contextlib.contextmanager
    def instead(self, make: Callable[[], Connections]) -> Iterator[None]:
        """Use connections of another make while the block runs, for tests. They are not closed behind it."""
        before = self._open, self._make, self._is_instead
        self._open, self._make, self._is_instead = {}, make, True
        try:
            yield
        finally:
            self._open, self._make, self._is_instead = before

    def use(self, middleware: Sequence[ClientMiddleware]) -> None:
        """For the clients that are opened from now on."""
        self._middleware.extend(middleware)

    @property
    def flow_headers(self) -> Sequence[HeaderSource]:
        return self._flow_headers

    def leads_to(self, other: Outlet) -> bool:
        """Is it the same Redis, as far as can be seen?"""
        return self is other or self._redis is other._redis or str(self) == str(other)

    def __str__(self) -> str:
        """Where Redis is, without credentials."""
        return str(Connector(self._redis))

    def mark_flows(self, source: HeaderSource) -> None:
        self._flow_headers.append(source)

    def apart(self, redis: RedisSource, clock: Clock) -> Connections:
        """Others like those of this app, to the Redis of a server. Whoever takes them closes them."""
        return Connections(redis, self._middleware, clock)

    def here(self) -> Connections:
        """Raises: AsynqError: no event loop runs here, or they are closed."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise AsynqError(
                "an app enqueues from an event loop; plain code gives `.task(…)` to a SyncClient"
            ) from None
        found = self._open.get(loop)
        if found is None:
            found = self._connect(loop)
        elif found.is_closed:
            if not self._is_instead:  # a test looks at what has become of its app
                raise AsynqError("this app is closed in this event loop; `async with app:` opens it again")
            found = self._connect(loop)
        return found

    def enter(self) -> None:
        """Begin a block of use; open them again if they are closed. Raises: as `here`."""
        loop = asyncio.get_running_loop()
        found = self._open.get(loop)
        if found is None or found.is_closed:
            found = self._connect(loop)
        found.users += 1

    async def leave(self) -> None:
        """End such a block; the last one closes them."""
        found = self._open.get(asyncio.get_running_loop())
        if found is not None:
            found.users -= 1
            if found.users <= 0:
                await found.aclose()

    async def aclose(self) -> None:
        """Close those of the running loop. Idempotent."""
        found = self._open.get(asyncio.get_running_loop())
        if found is not None:
            await found.aclose()

    def _connect(self, loop: asyncio.AbstractEventLoop) -> Connections:
        for other in [other for other in self._open if other.is_closed()]:
            del self._open[other]
        made = self._open[loop] = self._make()
        made.flow_headers = self._flow_headers
        return made
