"""An exporter of its own: the queues, and this process, over HTTP."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio
import prometheus_client
from prometheus_client import CollectorRegistry

from asynq_py.integrations.prometheus.queues import INTERVAL, queue_metrics

logger = logging.getLogger(__name__)

PORT: Final = 9876  # that of Go's exporter


@asynccontextmanager
async def metrics_server(
    redis: Any = None,
    *,
    host: str = "0.0.0.0",
    port: int = PORT,
    queues: Collection[str] | None = None,
    interval: float = INTERVAL,
) -> AsyncGenerator[int]:
    """Serve the queues, and this process, at http://host:port/metrics beside the block. Yields the port.

    `port`: 0 for any that is free. It answers from a thread, so also while the event loop is busy.

    Raises: InvalidOptionError. OSError: the port is taken.
    """
    registry = CollectorRegistry()
    prometheus_client.ProcessCollector(registry=registry)
    prometheus_client.PlatformCollector(registry=registry)
    prometheus_client.GCCollector(registry=registry)

    async with queue_metrics(redis, queues=queues, interval=interval, registry=registry):
        server, thread = await anyio.to_thread.run_sync(
            lambda: prometheus_client.start_http_server(port, host, registry)
        )

        def end() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        try:
            yield server.server_port
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(end)


async def serve_metrics(
    redis: Any = None,
    *,
    host: str = "0.0.0.0",
    port: int = PORT,
    queues: Collection[str] | None = None,
    interval: float = INTERVAL,
) -> None:
    """Serve metrics until cancelled: a stand-alone exporter, as Go's. See metrics_server."""
    async with metrics_server(redis, host=host, port=port, queues=queues, interval=interval) as bound:
        logger.info("serving metrics at http://%s:%d/metrics", host, bound)
        await anyio.sleep_forever()
