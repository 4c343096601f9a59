"""Sentinels: ask them who is the master, and see that it is one."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from redis.asyncio.connection import AbstractConnection, Connection
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import NoPermissionError, RedisError

from asynq_py.connection.node import Address, Node

LOOK: Final = 1.0  # seconds between two looks whether the master is still the same
LOOK_AFTER_SILENCE: Final = 10.0  # the same when no sentinel answers: commands must not wait for that often
ANSWER: Final = 1.0  # seconds given to all sentinels together, and then to the master's greeting


class Sentinels:
    """The master of one name, wherever it is just now. Each new connection asks for it; and while there are
    some, whoever uses one asks once per second in all, since an old master may live on for a while.

    `sentinels`: each of them. `servers`: how to reach the servers; its own address does not count.
    """

    def __init__(self, sentinels: Sequence[Node], master_name: str, servers: Node) -> None:
        self._sentinels = sentinels
        self._name = master_name
        self._servers = servers
        self.timeout = servers.timeout
        self._known: Address | None = None
        self._look_at = 0.0

    async def connect(self, name: str) -> AbstractConnection:
        address = await self._master()
        async with asyncio.timeout(ANSWER):
            connection = await self._servers.at(address).connect(name)
            try:
                await self._check_role(connection, address)
            except BaseException:
                await connection.disconnect(nowait=True)
                raise
        self._known = address
        return connection

    async def keeps(self, connection: AbstractConnection) -> bool:
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + LOOK
            try:
                self._known = await self._master()
            except (RedisError, OSError):
                self._look_at = now + LOOK_AFTER_SILENCE
        return not isinstance(connection, Connection) or (connection.host, connection.port) == self._known

    def __str__(self) -> str:
        return f"master {self._name!r} of sentinels {', '.join(map(_address, self._sentinels))}"

    async def _master(self) -> Address:
        """What more than half of the sentinels say; or, once all have spoken or had their time, most of them.

        Raises: the driver's errors, if none says anything of use.
        """
        asked = [asyncio.ensure_future(self._ask(sentinel)) for sentinel in self._sentinels]
        told: Counter[Address] = Counter()
        errors: list[Exception] = []
        try:
            async with asyncio.timeout(ANSWER):
                for answer in asyncio.as_completed(asked):
                    try:
                        address = await answer
                    except (RedisError, OSError) as error:
                        errors.append(error)
                        continue
                    told[address] += 1
                    if told[address] > len(asked) / 2:
                        return address
        except TimeoutError:
            errors.append(NoConnection("sentinels did not answer in time"))
        finally:
            for asking in asked:
                asking.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        if not told:
            raise errors[-1]
        return told.most_common(1)[0][0]

    async def _ask(self, sentinel: Node) -> Address:
        connection = await sentinel.connect(None)
        try:
            await connection.send_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._name)
            reply = await connection.read_response()
        finally:
            await connection.disconnect(nowait=True)
        if reply is None:
            raise NoConnection(f"the sentinel at {_address(sentinel)} knows no master {self._name!r}")
        host, port = reply
        return Address(host.decode(), int(port))

    async def _check_role(self, connection: AbstractConnection, address: Address) -> None:
        """Sentinels may be behind: what they call the master may be a replica by now, or not yet promoted."""
        try:
            await connection.send_command("ROLE")
            reply: Any = await connection.read_response()
        except NoPermissionError:
            return  # we may not ask; a write to a replica is refused all the same
        role = reply[0]
        if role != b"master":
            raise NoConnection(f"{address} is a {role.decode()}, not the master")


def _address(sentinel: Node) -> str:
    return str(sentinel).partition("/")[0]
