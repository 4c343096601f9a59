"""Connector: what every constructor makes of its `redis` argument."""

from __future__ import annotations

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import MovedError

from asynq_py.connection.cluster import Cluster
from asynq_py.connection.node import Address, EmbeddedNode
from asynq_py.connection.sentinel import Sentinels
from asynq_py.connection.source import RedisSource, place_of


class Connector:
    """Knows where Redis is and makes connections to it; starts the embedded server when that is meant.

    Connections are the caller's to close. A live client lends only its settings: its pool is never touched.
    """

    def __init__(self, redis: RedisSource = None) -> None:
        self._place = place_of(redis)
        self.timeout = self._place.timeout

    @property
    def cluster(self) -> Cluster | None:
        """The Cluster, if it is one: its commands must be sent to the node that has the key."""
        return self._place if isinstance(self._place, Cluster) else None

    async def connect(self, name: str, *, key: str | None = None) -> AbstractConnection:
        """Open a connection that Redis lists under `name`, to the server that has `key`, or to any.

        Raises: the driver's errors.
        """
        if isinstance(self._place, Cluster):
            return await self._place.connect(name, key=key)
        return await self._place.connect(name)

    @property
    def is_watched(self) -> bool:
        """Is there a Sentinel, so that at any time another server may be the right one?"""
        return isinstance(self._place, Sentinels)

    async def keeps(self, connection: AbstractConnection) -> bool:
        """Would a new connection lead to the same server? In a Cluster the nodes say so themselves."""
        return not isinstance(self._place, Sentinels) or await self._place.keeps(connection)

    def distrust(self, error: BaseException) -> None:
        """Look anew for where keys live, before the next connection: the last one broke or was refused."""
        if isinstance(self._place, Cluster):
            if isinstance(error, MovedError):
                self._place.moved(error.slot_id, Address(error.host, error.port))
            self._place.distrust()

    async def aclose(self) -> None:
        """Leave the embedded server, if there is one; it ends with its last user."""
        if isinstance(self._place, EmbeddedNode):
            await self._place.leave()

    def __str__(self) -> str:
        """Where Redis is, without credentials."""
        return str(self._place)
