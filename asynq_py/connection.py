"""What every constructor accepts as `redis` (URL, RedisConfig, live client), turned into connections.

The only module that makes connections of the driver. `docs/internals/redis-py.md` says why each setting
below is as it is.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote, urlsplit

import anyio.to_thread
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
    parse_url,
)
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.backoff import NoBackoff

from asynq_py.embedded import EmbeddedServer
from asynq_py.errors import InvalidOptionError
from asynq_py.wire.limits import MAX_INT32

DEFAULT_URL = "redis://localhost:6379/0"
URL_VARIABLE = "ASYNQ_REDIS_URL"
ALLOWED = (
    "a URL (redis://, rediss://, valkey://, valkeys://, unix://, embedded://), a RedisConfig, "
    "or a redis.asyncio.Redis"
)
WELL_FORMED = (
    "a well-formed URL: user and password percent-encoded, a port up to 65535, numbers where they are due"
)
TIMEOUT = 5.0
CONNECT_TIMEOUT = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisConfig:
    """One Redis or Valkey server, spelled out.

    `socket_path` wins over `host` and `port`. Timeouts in seconds. With `tls` the server's certificate is
    checked against `tls_ca_file`, or the system's authorities, and its host name.
    """

    host: str = "localhost"
    port: int = 6379
    socket_path: str | os.PathLike[str] | None = None
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    tls_ca_file: str | os.PathLike[str] | None = None
    tls_cert_file: str | os.PathLike[str] | None = None
    tls_key_file: str | os.PathLike[str] | None = None
    tls_check_hostname: bool = True
    timeout: float = TIMEOUT
    connect_timeout: float = CONNECT_TIMEOUT

    def __post_init__(self) -> None:
        for name in ("timeout", "connect_timeout"):
            value: object = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
                raise InvalidOptionError(name, value, "more than zero seconds")
        for name, least, most in (("port", 1, 65535), ("db", 0, MAX_INT32)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                raise InvalidOptionError(name, value, f"a whole number from {least} to {most}")


RedisSource: TypeAlias = "str | RedisConfig | Redis | RedisCluster | None"


class Connector:
    """Knows where Redis is and makes connections to it; starts the embedded server when that is meant.

    Connections are the caller's to close. A live client lends only its settings: its pool is never touched.
    """

    def __init__(self, redis: RedisSource = None) -> None:
        self._embedded: EmbeddedServer | None = None
        source = os.environ.get(URL_VARIABLE) or DEFAULT_URL if redis is None else redis
        if isinstance(source, str):
            self._kind, settings = self._from_url(source)
        elif isinstance(source, RedisConfig):
            self._kind, settings = _from_config(source)
        elif isinstance(source, Redis):
            self._kind, settings = _from_client(source)
        elif isinstance(source, RedisCluster):
            raise InvalidOptionError(
                "redis", type(source).__name__, f"{ALLOWED}; Cluster is not supported yet"
            )
        else:
            raise InvalidOptionError("redis", type(source).__name__, ALLOWED)
        self.timeout = float(settings.pop("socket_timeout", None) or TIMEOUT)
        self._settings: dict[str, Any] = {"socket_connect_timeout": CONNECT_TIMEOUT, **settings}

    async def connect(self, name: str) -> AbstractConnection:
        """Open a connection that Redis lists under `name`.

        Raises: the driver's errors.
        """
        settings = self._settings
        if self._embedded is not None:
            settings = {**settings, "path": str(await anyio.to_thread.run_sync(self._embedded.acquire))}
        connection = self._kind(**{**settings, **_OURS, "retry": Retry(NoBackoff(), 0), "client_name": name})
        try:
            await connection.connect()
        except BaseException:  # cancelled, perhaps: the driver would leave the socket open
            await connection.disconnect(nowait=True)
            raise
        return connection

    async def aclose(self) -> None:
        """Leave the embedded server, if there is one; it ends with its last user."""
        if self._embedded is not None:
            await anyio.to_thread.run_sync(self._embedded.release)

    def __str__(self) -> str:
        """Where Redis is, without credentials."""
        if self._embedded is not None:
            return "embedded server"
        settings = self._settings
        if "path" in settings:
            return f"unix socket {settings['path']}"
        return f"{settings.get('host', 'localhost')}:{settings.get('port', 6379)}/{settings.get('db', 0)}"

    def _from_url(self, url: str) -> tuple[type[AbstractConnection], dict[str, Any]]:
        scheme = _scheme(url)
        if scheme == "embedded":
            path = _embedded_path(url)
            self._embedded = EmbeddedServer(path)
            return UnixDomainSocketConnection, {}
        driver_scheme = {"valkey": "redis", "valkeys": "rediss"}.get(scheme, scheme)
        if driver_scheme not in ("redis", "rediss", "unix"):
            raise InvalidOptionError("redis", f"{scheme}://…", ALLOWED)
        settings = _parsed(driver_scheme + url[len(scheme) :])
        if settings is None:
            raise InvalidOptionError("redis", f"{scheme}://…", WELL_FORMED)
        kind: type[AbstractConnection] = settings.pop("connection_class", Connection)
        settings.pop("max_connections", None)
        unknown = sorted(set(settings) - _URL_SETTINGS[driver_scheme])
        if unknown:
            raise InvalidOptionError(
                "redis", f"{scheme}://…?{unknown[0]}=…", f"one of {sorted(_URL_SETTINGS[driver_scheme])}"
            )
        _check_url(url, scheme, settings)
        return kind, settings


# What we set on every connection, whoever configured it: we own each decision to send again, time whole
# exchanges ourselves, and read raw bytes.
_OURS: Mapping[str, Any] = {
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

# What a URL may set, by scheme; anything else the driver would refuse only when it connects.
_ANY = {"db", "username", "password", "socket_timeout", "socket_connect_timeout"}
_TCP = _ANY | {"host", "port", "socket_keepalive"}
_TLS = _TCP | {
    "ssl_keyfile", "ssl_certfile", "ssl_cert_reqs", "ssl_ca_certs", "ssl_ca_path", "ssl_check_hostname",
    "ssl_min_version", "ssl_ciphers",
}  # fmt: skip
_URL_SETTINGS: Mapping[str, set[str]] = {"redis": _TCP, "rediss": _TLS, "unix": _ANY | {"path"}}

_CLIENT_SETTINGS = _TLS | {"path"} | {
    "credential_provider", "ssl_ca_data", "ssl_password", "ssl_include_verify_flags",
    "ssl_exclude_verify_flags", "socket_keepalive_options", "socket_type", "socket_read_size",
}  # fmt: skip


def _scheme(url: str) -> str:
    """Raises: InvalidOptionError, which does not show the text: it may hold a password all the same."""
    match = re.match(r"([a-z][a-z0-9+.-]*)://", url, re.IGNORECASE)
    if match is None:
        raise InvalidOptionError("redis", "…", ALLOWED)
    return match[1].lower()


def _parsed(url: str) -> dict[str, Any] | None:
    # the driver's error is dropped here: it may quote a part of the password
    try:
        return dict(parse_url(url))
    except ValueError:
        return None


def _check_url(url: str, scheme: str, settings: Mapping[str, Any]) -> None:
    db = urlsplit(url).path.strip("/")
    allowed = None
    if scheme != "unix" and db and not db.isdecimal():
        allowed = "a URL whose path is a database number, or empty"
    elif settings.get("db", 0) < 0:
        allowed = "a URL whose db is zero or more"
    elif scheme == "unix" and not settings.get("path"):
        allowed = "a URL with the path of a socket file"
    for name in ("socket_timeout", "socket_connect_timeout"):
        if name in settings and not settings[name] > 0:
            allowed = f"a URL with a {name} of more than zero seconds"
    if allowed is not None:
        raise InvalidOptionError("redis", f"{scheme}://…", allowed)


def _embedded_path(url: str) -> Path | None:
    path = url.partition("://")[2]
    if (path and not path.startswith("/")) or "?" in path or "#" in path:
        raise InvalidOptionError("redis", "embedded://…", "embedded:// or embedded:///path/to/directory")
    return Path(unquote(path)) if path.strip("/") else None


def _from_config(config: RedisConfig) -> tuple[type[AbstractConnection], dict[str, Any]]:
    settings: dict[str, Any] = {
        "db": config.db,
        "username": config.username,
        "password": config.password,
        "socket_timeout": config.timeout,
        "socket_connect_timeout": config.connect_timeout,
    }
    if config.socket_path is not None:
        return UnixDomainSocketConnection, {**settings, "path": os.fspath(config.socket_path)}
    settings |= {"host": config.host, "port": config.port, "socket_keepalive": True}
    if not config.tls:
        return Connection, settings
    files = {
        "ssl_ca_certs": config.tls_ca_file,
        "ssl_certfile": config.tls_cert_file,
        "ssl_keyfile": config.tls_key_file,
    }
    settings |= {name: os.fspath(path) for name, path in files.items() if path is not None}
    return SSLConnection, {**settings, "ssl_check_hostname": config.tls_check_hostname}


def _from_client(client: Redis) -> tuple[type[AbstractConnection], dict[str, Any]]:
    pool = client.connection_pool
    if isinstance(pool, SentinelConnectionPool):
        raise InvalidOptionError("redis", "a Sentinel client", f"{ALLOWED}; Sentinel is not supported yet")
    settings: Mapping[str, Any] = pool.connection_kwargs
    return pool.connection_class, {
        name: value
        for name, value in settings.items()
        if name in _CLIENT_SETTINGS and (value is not None or name == "username")
    }
