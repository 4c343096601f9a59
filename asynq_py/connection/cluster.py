"""Cluster: which node has which slot, learnt from the nodes themselves. May serve several event loops."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import Any, Final
from weakref import WeakKeyDictionary

from redis.asyncio.connection import AbstractConnection
from redis.crc import REDIS_CLUSTER_HASH_SLOTS as SLOTS
from redis.crc import key_slot
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError
from redis.exceptions import ConnectionError as NoConnection

from asynq_py.connection.node import Address, Node

ANSWER: Final = 1.0  # seconds given to the nodes that are asked for the slots
ASKED_AT_ONCE: Final = 3
PAUSE: Final = 0.2  # seconds between two looks at the slots, however much goes wrong


def slot_of(key: str | bytes) -> int:
    return key_slot(key.encode() if isinstance(key, str) else key)


class Cluster:
    """The map of a Cluster, shared by all who talk to it.

    `seeds`: nodes to ask first. `nodes`: how to reach a node; its own address does not count.
    """

    def __init__(self, seeds: Sequence[Address], nodes: Node) -> None:
        self._seeds = seeds
        self._template = nodes
        self._nodes: dict[Address, Node] = {}
        self._owners: list[Address | None] = []
        self._known: set[Address] = set()
        self._is_stale = True
        self._looked_at = float("-inf")
        self._looking: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()
        self.masters: frozenset[Address] = frozenset()
        self.timeout = nodes.timeout

    def node(self, address: Address) -> Node:
        node = self._nodes.get(address)
        if node is None:
            node = self._nodes[address] = self._template.at(address)
        return node

    def distrust(self) -> None:
        """Ask for the slots again before they are used again: something was not as they say."""
        self._is_stale = True

    def moved(self, slot: int, address: Address) -> None:
        """A node said who has a slot now. It is hardly the only one that moved."""
        if self._owners and address.host:
            self._owners[slot] = address
        self._is_stale = True

    async def owner(self, slot: int | None) -> Address:
        """The master that has a slot; None: any master.

        Raises: the driver's errors: no node answers, or none has the slot.
        """
        await self.look()
        if slot is None:
            return random.choice(tuple(self.masters))
        owner = self._owners[slot]
        if owner is None:
            self.distrust()
            raise NoConnection(f"no node has slot {slot}")
        return owner

    async def connect(self, name: str, *, key: str | None = None) -> AbstractConnection:
        """Open a connection to the master that has `key`, or to any. Raises: the driver's errors."""
        address = await self.owner(None if key is None else slot_of(key))
        try:
            return await self.node(address).connect(name)
        except (RedisError, OSError):
            self.distrust()
            raise

    def __str__(self) -> str:
        return f"cluster of {', '.join(map(str, self._seeds))}"

    # -- learning ---------------------------------------------------------------------------------------

    async def look(self) -> None:
        """Learn the slots if they are not known or not trusted. An old map is better than none."""
        if not self._is_due():
            return
        async with self._looking.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
            if not self._is_due():  # somebody else has just looked
                return
            self._is_stale = False  # whoever finds fault from now on wants another look
            try:
                self._learn(await self._slots())
            except (RedisError, OSError, TimeoutError):
                self._is_stale = True
                if not self._owners:
                    raise
            except asyncio.CancelledError:
                self._is_stale = True
                raise
            finally:
                self._looked_at = time.monotonic()

    def _is_due(self) -> bool:
        if not self._owners:
            return True
        return self._is_stale and time.monotonic() - self._looked_at >= PAUSE

    def _learn(self, ranges: Collection[tuple[int, int, Sequence[Address]]]) -> None:
        owners: list[Address | None] = [None] * SLOTS
        for first, last, servers in ranges:
            owners[first : last + 1] = [servers[0]] * (last + 1 - first)
        self._owners = owners
        self.masters = frozenset(servers[0] for _, _, servers in ranges)
        self._known = {address for _, _, servers in ranges for address in servers}
        self._nodes = {address: node for address, node in self._nodes.items() if address in self._known}

    async def _slots(self) -> Collection[tuple[int, int, Sequence[Address]]]:
        """Ask some nodes at a time until one answers. Raises: the driver's errors."""
        failure: Exception = NoConnection("no node answers")
        for some in self._candidates():
            asked = [asyncio.ensure_future(self._ask(address)) for address in some]
            try:
                async with asyncio.timeout(ANSWER):
                    for answer in asyncio.as_completed(asked):
                        try:
                            return await answer
                        except (RedisError, OSError) as error:
                            failure = error
                            if isinstance(error, AuthenticationError | NoPermissionError):
                                raise  # the others would say the same
            except TimeoutError:
                failure = NoConnection("nodes did not answer in time")
            finally:
                for asking in asked:
                    asking.cancel()
                await asyncio.gather(*asked, return_exceptions=True)
        raise failure

    def _candidates(self) -> Iterator[list[Address]]:
        # masters hear of changes first
        masters = random.sample(tuple(self.masters), len(self.masters))
        remaining = iter(dict.fromkeys((*masters, *self._known, *self._seeds)))
        while some := list(islice(remaining, ASKED_AT_ONCE)):
            yield some

    async def _ask(self, address: Address) -> Collection[tuple[int, int, Sequence[Address]]]:
        connection = await self.node(address).connect(None)
        try:
            await connection.send_command("CLUSTER", "SLOTS")
            reply = await connection.read_response()
        finally:
            await connection.disconnect(nowait=True)
        if not reply:
            raise NoConnection(f"{address} knows of no slots")
        return [
            (first, last, [_server(server, address) for server in servers]) for first, last, *servers in reply
        ]


def _server(told: Sequence[Any], asked: Address) -> Address:
    """A node that does not know its own name leaves it out, and means the one that was asked."""
    host = (told[0] or b"").decode()
    return Address(host if host not in ("", "?") else asked.host, int(told[1]))
