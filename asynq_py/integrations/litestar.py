"""A plugin for Litestar: connections, and a worker if that is wanted, live as long as the application.

Needs Litestar, the extra `litestar`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from asynq_py import App, InvalidOptionError, Server, ServerOptions

try:
    from litestar.plugins import InitPlugin
except ModuleNotFoundError as error:
    raise ImportError(
        'asynq_py.integrations.litestar needs Litestar: pip install "asynq-py[litestar]"'
    ) from error

from litestar.datastructures import State
from litestar.di import Provide

if TYPE_CHECKING:
    from litestar import Litestar
    from litestar.config.app import AppConfig

STATE: Final = "asynq_server"  # where a health check finds the embedded server


class AsynqPlugin(InitPlugin):
    """`Litestar(plugins=[AsynqPlugin(tasks, worker={})])`.

    `worker`: options of a server that runs in the application's event loop; None: workers are elsewhere.
    `dependency`: the name by which handlers are given the app; None: none.
    """

    def __init__(
        self, app: App, *, worker: ServerOptions | None = None, dependency: str | None = "asynq"
    ) -> None:
        if not isinstance(app, App):
            raise InvalidOptionError("app", app, "an App")
        self._app = app
        self._worker = worker
        self._dependency = dependency
        if worker is not None:
            app.server(**worker)  # a mistake is told here

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        # the first is left last: what else the application opens may enqueue until it is closed
        app_config.lifespan = [self._lifespan, *app_config.lifespan]
        app_config.signature_types = [*app_config.signature_types, App]
        if self._dependency is not None:
            app_config.dependencies[self._dependency] = Provide(self._provide, sync_to_thread=False)
        return app_config

    def _provide(self) -> App:
        return self._app

    @asynccontextmanager
    async def _lifespan(self, application: Litestar) -> AsyncIterator[None]:
        async with self._app:
            if self._worker is None:
                yield
                return
            async with self._app.server(**self._worker) as server:
                setattr(application.state, STATE, server)
                yield


def server_of(state: State) -> Server | None:
    """The embedded server, for a health check; None if workers are elsewhere."""
    found: Server | None = state.get(STATE)
    return found
