"""What a background part is: an object whose `run()` ends only when it is cancelled."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Protocol

import anyio


class Component(Protocol):
    """A part of a process that works in the background."""

    async def run(self) -> None: ...


@asynccontextmanager
async def running(*components: Component) -> AsyncGenerator[None]:
    """Run components beside the block, and end them with it. One that fails ends the block."""
    async with anyio.create_task_group() as group:
        for component in components:
            group.start_soon(component.run, name=type(component).__name__)
        yield
        group.cancel_scope.cancel()
