"""A lane to a Cluster: one lane per node, and each command goes to the node that has its key.

The driver's cluster client is not used for this: it decides by itself when to send something again, and may
ask (ASKING) on one connection and send on another. See `docs/internals/routing.md`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, Final

from redis.exceptions import AskError, ClusterDownError, MovedError, RedisError, ResponseError

from asynq_py.broker.faults import unreachable
from asynq_py.broker.lane import Argument, Command, Lane, Reply, Sender
from asynq_py.connection import Address, Cluster, Place
from asynq_py.connection.cluster import slot_of
from asynq_py.errors import AsynqError, BrokerUnavailableError

HOPS: Final = 5  # nodes a command is offered to, before we say that nobody wants it


class ClusterLane(Sender):
    """Sends commands to the nodes of a Cluster: in order for each node, and many per round trip.

    A command without a key goes to any node, but PING to every master: it answers when all of them do.
    Only what certainly was not carried out is sent again, to another node: after MOVED and ASK, or when there
    was no connection.
    """

    def __init__(
        self, cluster: Cluster, lane_to: Callable[[Place], Lane], *, role: str = "connection"
    ) -> None:
        self._role = role
        self._cluster = cluster
        self._lane_to = lane_to
        self._lanes: dict[Address, Lane] = {}
        self._under_way: set[asyncio.Task[Any]] = set()
        self._closed = False

    def post(self, command: Command) -> asyncio.Future[Reply]:
        if self._closed:
            raise AsynqError(f"this {self._role} is closed; make another one")
        return self._start(self._deliver(command))

    async def aclose(self) -> None:
        self._closed = True
        while self._under_way:
            await asyncio.wait(self._under_way)
        lanes, self._lanes = self._lanes, {}
        await asyncio.gather(*(lane.aclose() for lane in lanes.values()))

    def _start(self, work: Coroutine[Any, Any, Reply]) -> asyncio.Task[Reply]:
        task = asyncio.ensure_future(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return task

    async def _deliver(self, command: Command) -> Reply:
        if command.arguments[0] == "PING":
            return await self._ping(command)
        slot = _slot(command)
        address, asked = await self._owner(slot), False
        for _ in range(HOPS):
            try:
                return await (self._ask(address, command) if asked else self._lane(address).post(command))
            except BrokerUnavailableError as error:
                match error.__cause__:
                    case MovedError() as moved:
                        address, asked = _address(moved, address), False
                        self._cluster.moved(moved.slot_id, address)
                    case AskError() as ask:
                        address, asked = _address(ask, address), True
                    case ClusterDownError():
                        self._cluster.distrust()  # perhaps this node alone has lost the others
                        raise
                    case ResponseError():
                        raise
                    case _:
                        address, asked = await self._other_owner(slot, address, error), False
        raise BrokerUnavailableError("the nodes of the Cluster do not agree on who has a key")

    def _ask(self, address: Address, command: Command) -> asyncio.Future[Reply]:
        """Offer a command whose slot is just moving there. ASKING counts for the next command only."""
        if command.if_no_script is not None:  # a second try would have to ask again
            command = replace(command, arguments=command.if_no_script, if_no_script=None)
        lane = self._lane(address)
        lane.post(Command(("ASKING",))).add_done_callback(_forget)
        return lane.post(command)

    async def _other_owner(self, slot: int | None, failed: Address, error: BrokerUnavailableError) -> Address:
        """Who has the slot now that a node failed. Raises: the error, if that is no help."""
        self._cluster.distrust()
        if error.maybe_done:
            raise error
        owner = await self._owner(slot)
        if owner == failed:
            raise error
        return owner

    async def _owner(self, slot: int | None) -> Address:
        try:
            owner = await self._cluster.owner(slot)
        except (RedisError, OSError, TimeoutError) as error:
            raise unreachable(self._cluster, error) from error
        self._drop_strangers()
        return owner

    async def _ping(self, command: Command) -> Reply:
        await self._owner(None)
        lanes = [self._lane(address) for address in self._cluster.masters]
        try:
            replies = await asyncio.gather(*(lane.post(command) for lane in lanes))
        except BrokerUnavailableError:
            self._cluster.distrust()
            raise
        return replies[0]

    def _lane(self, address: Address) -> Lane:
        lane = self._lanes.get(address)
        if lane is None:
            lane = self._lanes[address] = self._lane_to(self._cluster.node(address))
        return lane

    def _drop_strangers(self) -> None:
        """Close the lanes to nodes that are no masters any more, so that none of their connections stays."""
        for address in [address for address in self._lanes if address not in self._cluster.masters]:
            self._start(self._lanes.pop(address).aclose())


def _slot(command: Command) -> int | None:
    """The slot of a command's first key; our commands never touch two. None: it has no key."""
    arguments = command.arguments
    key: Argument | None
    match arguments[0]:
        case "EVALSHA" | "EVAL":
            key = arguments[3] if arguments[2] else None
        case "PUBLISH" | "WAIT" | "CLIENT" | "TIME" | "INFO":
            key = None
        case _:
            key = arguments[1]
    return None if key is None else slot_of(key if isinstance(key, bytes) else str(key))


def _address(told: AskError, asked: Address) -> Address:
    return Address(told.host or asked.host, told.port)


def _forget(answer: asyncio.Future[Reply]) -> None:
    if not answer.cancelled():
        answer.exception()
