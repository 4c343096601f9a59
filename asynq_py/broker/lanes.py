"""The lane that fits where Redis is."""

from __future__ import annotations

from asynq_py.broker.cluster_lane import ClusterLane
from asynq_py.broker.lane import Lane, Sender
from asynq_py.connection import Connector


def open_lane(connector: Connector, *, role: str, timeout: float | None = None) -> Sender:
    """Make a lane; it connects when it is used.

    `role`: shown in `CLIENT LIST`. `timeout`: seconds for one exchange, connecting included.
    """
    if connector.cluster is not None:
        return ClusterLane(connector.cluster, role=role, timeout=timeout)
    return Lane(connector, role=role, timeout=timeout)
