"""Companion: what a layer above gives to a server: a part that runs beside its own, around its handler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from asynq_py.component import Component
from asynq_py.connection import RedisSource
from asynq_py.handler import AsyncHandler
from asynq_py.server.config import ServerConfig


class Companion(Component, Protocol):
    """Runs while handlers do: it begins before the first, and ends after the last."""

    def around(self, handler: AsyncHandler) -> AsyncHandler: ...

    async def step_once(self) -> None:
        """Do once what `run` does again and again, for who lets time pass by itself."""

    async def aclose(self) -> None:
        """Close what is open. Idempotent; `run` does it, too."""


MakeCompanion: TypeAlias = Callable[[RedisSource, ServerConfig], Companion]
