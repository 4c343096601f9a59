"""Sentinels: ask them who is the master, and see that it is one."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Final

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import NoPermissionError, RedisError

from asynq_py.connection.node import Address, Node

ANSWER: Final = 1.0  # seconds given to all sentinels together, and then to the master's greeting


class Sentinels:
    """The master of one name, wherever it is just now. Nothing is remembered from one connection to the next.

    `sentinels`: each of them. `servers`: how to reach the servers; its own address does not count.
    """

    def __init__(self, sentinels: Sequence[Node], master_name: str, servers: Node) -> None:
        self._sentinels = sentinels
        self._name = master_name
        self._servers = servers
        self.timeout = servers.timeout

    async def connect(self, name: str) -> AbstractConnection:
        address = await self._master()
        async with asyncio.timeout(ANSWER):
            connection = await self._servers.at(address).connect(name)
            try:
                await self._check_role(connection, address)
            except BaseException:
                await connection.disconnect(nowait=True)
                raise
        return connection

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
            role = (await connection.read_response())[0]
        except NoPermissionError:
            return  # we may not ask; a write to a replica is refused all the same
        if role != b"master":
            raise NoConnection(f"{address} is a {role.decode()}, not the master")


def _address(sentinel: Node) -> str:
    return str(sentinel).partition("/")[0]
