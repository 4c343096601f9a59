"""Metrics for Prometheus: the queues under Go's names, and what the handlers of this process do.

Needs prometheus-client, the extra `prometheus`. Behaviour 15.5.
"""

from __future__ import annotations

try:
    import prometheus_client as prometheus_client
except ModuleNotFoundError as error:
    raise ImportError(
        'asynq_py.integrations.prometheus needs prometheus-client: pip install "asynq-py[prometheus]"'
    ) from error

from asynq_py.integrations.prometheus.exporter import PORT, metrics_server, serve_metrics
from asynq_py.integrations.prometheus.handlers import ServerMetrics
from asynq_py.integrations.prometheus.queues import INTERVAL, MOST_QUEUES, QueueMetrics, queue_metrics

__all__ = [
    "INTERVAL",
    "MOST_QUEUES",
    "PORT",
    "QueueMetrics",
    "ServerMetrics",
    "metrics_server",
    "queue_metrics",
    "serve_metrics",
]
