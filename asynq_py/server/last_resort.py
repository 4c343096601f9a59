"""The last resort against handlers that never end: to end the process all the same."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Collection
from typing import Any, Final

logger = logging.getLogger(__name__)

PATIENCE: Final = 1.0  # seconds in which nothing else is left
LOOK: Final = 0.1


def see_that_the_process_ends(left: Collection[asyncio.Task[None]], *, code: int) -> None:
    """End the process if at last only these tasks keep it, though `asyncio.run` has cancelled them as well.

    Does nothing outside of the main thread, or if there are none. Returns at once: whatever the caller has
    yet to do is waited for. `code`: of the process.
    """
    left = [task for task in left if not task.done()]
    ours = asyncio.current_task()
    if left and ours is not None and threading.current_thread() is threading.main_thread():
        loop = asyncio.get_running_loop()
        threading.Thread(
            target=_watch, args=(loop, left, ours, code), name="asynq-py last resort", daemon=True
        ).start()


def _watch(
    loop: asyncio.AbstractEventLoop, left: list[asyncio.Task[None]], ours: asyncio.Task[Any], code: int
) -> None:
    alone_since: float | None = None
    while not all(task.done() for task in left):
        now = time.monotonic()
        # the caller of serve() has ended, and asyncio.run has cancelled whatever else there is
        is_over = ours.done() and all(task.cancelling() for task in asyncio.all_tasks(loop))
        alone_since = (alone_since or now) if is_over else None
        if alone_since is not None and now - alone_since >= PATIENCE:
            logger.critical("ending the process, as %d handlers do not end", len(left))
            logging.shutdown()
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(Exception):  # closed, or gone
                    stream.flush()
            os._exit(code)
        time.sleep(LOOK)
