"""The lane that fits where Redis is."""

from __future__ import annotations

from asynq_py.broker.cluster_lane import ClusterLane
from asynq_py.broker.durable_lane import Durability, DurableLane
from asynq_py.broker.lane import Lane, Sender
from asynq_py.connection import Connector, Place


def open_lane(
    connector: Connector, *, role: str, timeout: float | None = None, durability: Durability | None = None
) -> Sender:
    """Make a lane; it connects when it is used.

    `role`: shown in `CLIENT LIST`. `timeout`: seconds for one exchange, connecting included. `durability`:
    what replicas must confirm; every reply is a Confirmed then.
    """

    def lane_to(place: Place) -> Lane:
        if durability is None:
            return Lane(place, role=role, timeout=timeout)
        return DurableLane(place, durability, role=role, timeout=timeout)

    if connector.cluster is not None:
        return ClusterLane(connector.cluster, lane_to, role=role)
    return lane_to(connector)
