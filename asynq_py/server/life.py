"""Life: enters the lifespan of a server before its first task, and leaves it after the last."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from asynq_py.errors import ServerStateError
from asynq_py.lifespan import Lifespan, set_app_state

logger = logging.getLogger(__name__)


class Life:
    """`has_begun`: set when handlers may run, or never will."""

    def __init__(self, lifespan: Lifespan | None) -> None:
        self._lifespan = lifespan
        self._entering: asyncio.Task[object] | None = None
        self._is_given_up = False
        self.has_begun = asyncio.Event()

    def give_up(self) -> None:
        """The server is to end: wait no longer for what is just being opened."""
        self._is_given_up = True
        if self._entering is not None:
            self._entering.cancel()

    @asynccontextmanager
    async def lived(self) -> AsyncIterator[bool]:
        """Enter and leave. Yields: may tasks be run? Not if the server was told to end meanwhile.

        The state is shared with all that is started inside.

        Raises: ServerStateError: the lifespan failed.
        """
        if self._lifespan is None:
            yield True
            return
        manager = await self._entered(self._lifespan)
        if manager is None:
            yield False
            return
        error: BaseException | None = None
        try:
            self.has_begun.set()
            yield not self._is_given_up
        except BaseException as raised:
            error = raised
        try:
            if error is None:
                await manager.__aexit__(None, None, None)
            else:
                await manager.__aexit__(type(error), error, error.__traceback__)
        except Exception as raised:
            if raised is not error:
                raise _told("after the last task", raised) from raised
        if error is not None:
            raise error

    async def _entered(self, lifespan: Lifespan) -> AbstractAsyncContextManager[object] | None:
        if self._is_given_up:
            return None
        self._entering = task = asyncio.current_task()
        try:
            manager = lifespan()
            set_app_state(await manager.__aenter__())
        except asyncio.CancelledError:
            if self._is_given_up and task is not None and not task.uncancel():
                return None
            raise
        except Exception as error:
            raise _told("before the first task", error) from error
        finally:
            self._entering = None
        if self._is_given_up and task is not None:  # it has swallowed the cancelation, or ended before
            task.uncancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0)
        return manager


def _told(when: str, error: Exception) -> ServerStateError:
    logger.debug("the lifespan failed", exc_info=error)
    return ServerStateError(f"the lifespan failed {when}: {type(error).__name__}: {error}")
