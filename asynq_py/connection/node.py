"""Node: one server, and how connections to it are opened."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import anyio.to_thread
from redis.asyncio.connection import AbstractConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as NoConnection

from asynq_py.connection.config import CONNECT_TIMEOUT, TIMEOUT
from asynq_py.embedded import EmbeddedServer


class Address(NamedTuple):
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Place(Protocol):
    """Where a lane's commands go. `timeout`: seconds for one exchange. As text it shows no credentials."""

    @property
    def timeout(self) -> float: ...

    async def connect(self, name: str) -> AbstractConnection:
        """Open a connection that Redis lists under `name`. Raises: the driver's errors."""
        ...

    async def keeps(self, connection: AbstractConnection) -> bool:
        """Would a new connection lead to the same server?"""
        ...


# What we set on every connection, whoever configured it: we own each decision to send again, time whole
# exchanges ourselves, and read raw bytes.
_OURS: Final[Mapping[str, Any]] = {
    "protocol": 2,
    "decode_responses": False,
    "encoding": "utf-8",
    "socket_timeout": None,
    "health_check_interval": 0,
    "retry_on_error": [],
    "retry_on_timeout": False,
    "redis_connect_func": None,
    "driver_info": None,
    "maint_notifications_config": None,
}

_OF_THE_USER: Final = frozenset({"username", "password", "credential_provider", "db"})


# The files of TLS: what the driver calls them → what RedisConfig does.
TLS_FILES: Final[Mapping[str, str]] = {
    "ssl_ca_certs": "tls_ca_file",
    "ssl_certfile": "tls_cert_file",
    "ssl_keyfile": "tls_key_file",
}


def unreadable_file(settings: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """The first file of TLS that cannot be read: driver's setting, path, reason. The driver tells no path."""
    for name in TLS_FILES:
        path = settings.get(name)
        if path is not None:
            try:
                with open(path, "rb"):
                    pass
            except (OSError, ValueError) as error:
                return name, str(path), getattr(error, "strerror", None) or str(error)
    return None


class Node:
    """One server, by TCP or socket file. `kind`, `settings`: of the driver's connections to it."""

    def __init__(self, kind: type[AbstractConnection], settings: Mapping[str, Any]) -> None:
        self._kind = kind
        self._settings = {"socket_connect_timeout": CONNECT_TIMEOUT, **settings}
        self.timeout = float(self._settings.pop("socket_timeout", None) or TIMEOUT)

    def at(self, address: Address) -> Node:
        """The server at another address that is reached in the same way."""
        return self._like(self._settings, host=address.host, port=address.port)

    def without_login(self, login: Mapping[str, Any]) -> Node:
        """The same, with another user and password and no database: a sentinel beside its servers."""
        kept = {name: value for name, value in self._settings.items() if name not in _OF_THE_USER}
        return self._like(kept, **login)

    @property
    def db(self) -> int:
        return int(self._settings.get("db") or 0)

    async def connect(self, name: str | None) -> AbstractConnection:
        """As Place; without a name, too."""
        return await self._open(self._settings, name)

    async def keeps(self, connection: AbstractConnection) -> bool:
        return True

    async def _open(self, settings: Mapping[str, Any], name: str | None) -> AbstractConnection:
        unreadable = unreadable_file(settings)  # it was there once, but files come and go
        if unreadable is not None:
            setting, path, reason = unreadable
            raise NoConnection(f"{setting}={path!r} ({TLS_FILES[setting]}) cannot be read: {reason}")
        connection = self._kind(**{**settings, **_OURS, "retry": Retry(NoBackoff(), 0), "client_name": name})
        try:
            # the driver times the connection out, but not the greetings that follow
            async with asyncio.timeout(self.timeout):
                await connection.connect()
        except BaseException:  # cancelled, perhaps: the driver would leave the socket open
            await connection.disconnect(nowait=True)
            raise
        return connection

    def _like(self, settings: Mapping[str, Any], **changed: Any) -> Node:
        return Node(self._kind, {**settings, **changed, "socket_timeout": self.timeout})

    def __str__(self) -> str:
        settings = self._settings
        if "path" in settings:
            return f"unix socket {settings['path']}"
        return f"{settings.get('host', 'localhost')}:{settings.get('port', 6379)}/{settings.get('db', 0)}"


class EmbeddedNode(Node):
    """The embedded server, which starts with its first connection and ends with its last user."""

    def __init__(self, directory: Path | None) -> None:
        super().__init__(UnixDomainSocketConnection, {})
        self._server = EmbeddedServer(directory)

    async def connect(self, name: str | None) -> AbstractConnection:
        path = await anyio.to_thread.run_sync(self._server.acquire)
        return await self._open({**self._settings, "path": str(path)}, name)

    async def leave(self) -> None:
        await anyio.to_thread.run_sync(self._server.release)

    def __str__(self) -> str:
        return "embedded server"
