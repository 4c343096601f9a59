"""May Redis throw away what it was given? Reliability F54."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from asynq_py.broker.lane import Lane, Sender
from asynq_py.broker.lanes import open_lane
from asynq_py.broker.roster import Roster
from asynq_py.connection import Connector

HARMLESS: Final = "noeviction"
ROLE: Final = "eviction"


async def eviction_policies(connector: Connector) -> Mapping[str, str]:
    """The maxmemory-policy of each server that has queues, by its address; "": it does not tell.

    Raises: BrokerUnavailableError: one of them is away. BrokerError: one may not be asked.
    """
    lane = open_lane(connector, role=ROLE)
    lanes: dict[str, Sender] = {str(connector): lane}
    try:
        await lane.call("PING")  # by which a Cluster becomes known
        if connector.cluster is not None:
            nodes = connector.cluster
            lanes = {str(address): Lane(nodes.node(address), role=ROLE) for address in sorted(nodes.masters)}
        found = {}
        for address, one in lanes.items():
            found[address] = (await Roster(one).info()).get("maxmemory_policy", "")
        return found
    finally:
        for opened in {lane, *lanes.values()}:
            await opened.aclose()
