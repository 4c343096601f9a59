"""What `redis=` may be (URL, RedisConfig, live client), and the place that is meant."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
    parse_url,
)
from redis.asyncio.sentinel import SentinelConnectionPool

from asynq_py.connection.cluster import Cluster
from asynq_py.connection.config import RedisConfig
from asynq_py.connection.node import TLS_FILES, Address, EmbeddedNode, Node, unreadable_file
from asynq_py.connection.sentinel import Sentinels
from asynq_py.errors import InvalidOptionError

RedisSource: TypeAlias = "str | RedisConfig | Redis | RedisCluster | None"
Where: TypeAlias = "Node | Sentinels | Cluster"

DEFAULT_URL: Final = "redis://localhost:6379/0"
URL_VARIABLE: Final = "ASYNQ_REDIS_URL"
ALLOWED: Final = (
    "a URL (redis://, rediss://, valkey://, valkeys://, unix://, redis-sentinel://, rediss-sentinel://, "
    "redis-cluster://, rediss-cluster://, embedded://), a RedisConfig, or a redis.asyncio.Redis or "
    "RedisCluster"
)
WELL_FORMED: Final = (
    "a well-formed URL: user and password percent-encoded, ports from 1 to 65535, numbers where they are due"
)
SENTINEL_PORT: Final = 26379
PORT: Final = 6379


def place_of(redis: RedisSource) -> Where:
    """Raises: InvalidOptionError."""
    source = os.environ.get(URL_VARIABLE) or DEFAULT_URL if redis is None else redis
    if isinstance(source, str):
        return _from_url(source)
    if isinstance(source, RedisConfig):
        return _from_config(source)
    if isinstance(source, RedisCluster):
        return _from_cluster_client(source)
    if isinstance(source, Redis):
        return _from_client(source)
    raise InvalidOptionError("redis", type(source).__name__, ALLOWED)


# -- URLs ------------------------------------------------------------------------------------------------

_DRIVER_SCHEMES: Final = {
    "redis": "redis", "rediss": "rediss", "valkey": "redis", "valkeys": "rediss", "unix": "unix",
}  # fmt: skip
_TOPOLOGIES: Final = {
    "redis-sentinel": ("redis", "sentinel"), "rediss-sentinel": ("rediss", "sentinel"),
    "redis-cluster": ("redis", "cluster"), "rediss-cluster": ("rediss", "cluster"),
}  # fmt: skip

# What a URL may set, by scheme; anything else the driver would refuse only when it connects.
_ANY: Final = {"db", "username", "password", "socket_timeout", "socket_connect_timeout"}
_TCP: Final = _ANY | {"host", "port", "socket_keepalive"}
_TLS: Final = _TCP | {
    "ssl_keyfile", "ssl_certfile", "ssl_cert_reqs", "ssl_ca_certs", "ssl_ca_path", "ssl_check_hostname",
    "ssl_min_version", "ssl_ciphers",
}  # fmt: skip
_URL_SETTINGS: Final[Mapping[str, set[str]]] = {"redis": _TCP, "rediss": _TLS, "unix": _ANY | {"path"}}


def _from_url(url: str) -> Where:
    scheme = _scheme(url)
    rest = url[len(scheme) + 3 :]
    if scheme == "embedded":
        return EmbeddedNode(_embedded_path(rest))
    if scheme in _DRIVER_SCHEMES:
        return _node(scheme, _DRIVER_SCHEMES[scheme], rest)
    if scheme not in _TOPOLOGIES:
        raise InvalidOptionError("redis", f"{scheme}://…", ALLOWED)
    driver_scheme, topology = _TOPOLOGIES[scheme]
    if topology == "sentinel":
        return _sentinels(scheme, driver_scheme, rest)
    login, hosts, tail = _split(rest)
    addresses = _addresses(scheme, hosts, PORT)
    template = _node(scheme, driver_scheme, f"{login}localhost{tail}")
    if template.db:
        raise InvalidOptionError("redis", f"{scheme}://…", "a URL without a database: a Cluster has one")
    return Cluster(addresses, template)


def _sentinels(scheme: str, driver_scheme: str, rest: str) -> Sentinels:
    """User and password before the hosts are those of the servers, the sentinels' are parameters."""
    login, hosts, tail = _split(rest)
    addresses = _addresses(scheme, hosts, SENTINEL_PORT)
    path, _, query = tail.partition("?")
    given = dict(parse_qsl(query, keep_blank_values=True))
    master = given.pop("master", "")
    if not master:
        raise InvalidOptionError("redis", f"{scheme}://…", "a URL with ?master=NAME")
    sentinel_login = {
        name: given.pop(f"sentinel_{name}")
        for name in ("username", "password")
        if f"sentinel_{name}" in given
    }
    servers = _node(scheme, driver_scheme, f"{login}localhost{path}?{urlencode(given)}")
    return _watched(addresses, master, servers, sentinel_login)


def _watched(
    addresses: Sequence[Address], master: str, servers: Node, sentinel_login: Mapping[str, Any]
) -> Sentinels:
    sentinel = servers.without_login(sentinel_login)
    return Sentinels([sentinel.at(address) for address in addresses], master, servers)


def _node(scheme: str, driver_scheme: str, rest: str) -> Node:
    """`scheme`: the user's own, for errors."""
    settings = _parsed(f"{driver_scheme}://{rest}")
    if settings is None:
        raise InvalidOptionError("redis", f"{scheme}://…", WELL_FORMED)
    kind: type[AbstractConnection] = settings.pop("connection_class", Connection)
    settings.pop("max_connections", None)
    unknown = sorted(set(settings) - _URL_SETTINGS[driver_scheme])
    if unknown:
        raise InvalidOptionError(
            "redis", f"{scheme}://…?{unknown[0]}=…", f"one of {sorted(_URL_SETTINGS[driver_scheme])}"
        )
    _check_url(rest, scheme, settings)
    _check_files(settings)
    return Node(kind, settings)


def _scheme(url: str) -> str:
    """Raises: InvalidOptionError, which does not show the text: it may hold a password all the same."""
    match = re.match(r"([a-z][a-z0-9+.-]*)://", url, re.IGNORECASE)
    if match is None:
        raise InvalidOptionError("redis", "…", ALLOWED)
    return match[1].lower()


def _split(rest: str) -> tuple[str, str, str]:
    """`user:pw@h1,h2/0?x=y` → `user:pw@`, `h1,h2`, `/0?x=y`."""
    places = re.split(r"(?=[/?#])", rest, maxsplit=1)
    login, at, hosts = places[0].rpartition("@")
    return login + at, hosts, "".join(places[1:])


def _addresses(scheme: str, hosts: str, port: int) -> list[Address]:
    addresses: list[Address] = []
    for host in hosts.split(","):
        match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]\s]+))(?::([0-9]{1,5}))?", host)
        number = int(match[3] or port) if match else 0
        if match is None or not 1 <= number <= 65535:
            raise InvalidOptionError(
                "redis", f"{scheme}://…", f"{WELL_FORMED}; hosts as in h1:{port},h2:{port}"
            )
        addresses.append(Address(match[1] or match[2], number))
    return addresses


def _parsed(url: str) -> dict[str, Any] | None:
    # the driver's error is dropped here: it may quote a part of the password
    try:
        return dict(parse_url(url))
    except ValueError:
        return None


def _check_url(rest: str, scheme: str, settings: Mapping[str, Any]) -> None:
    db = urlsplit(f"any://{rest}").path.strip("/")
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


def _check_files(settings: Mapping[str, Any], names: Mapping[str, str] = MappingProxyType({})) -> None:
    """`names`: what the user calls the driver's settings. Raises: InvalidOptionError."""
    unreadable = unreadable_file(settings)
    if unreadable is not None:
        name, path, reason = unreadable
        raise InvalidOptionError(names.get(name, name), path, f"a file that can be read: {reason}")


def _embedded_path(path: str) -> Path | None:
    if (path and not path.startswith("/")) or re.search("[?#]|%00", path):
        raise InvalidOptionError("redis", "embedded://…", "embedded:// or embedded:///path/to/directory")
    return Path(unquote(path)) if path.strip("/") else None


# -- RedisConfig -----------------------------------------------------------------------------------------


def _from_config(config: RedisConfig) -> Where:
    settings: dict[str, Any] = {
        "db": config.db,
        "username": config.username,
        "password": config.password,
        "socket_timeout": config.timeout,
        "socket_connect_timeout": config.connect_timeout,
    }
    if config.socket_path is not None:
        return Node(UnixDomainSocketConnection, {**settings, "path": os.fspath(config.socket_path)})
    settings |= {"host": config.host, "port": config.port, "socket_keepalive": True}
    kind: type[AbstractConnection] = Connection
    if config.tls:
        kind = SSLConnection
        files = {name: getattr(config, option) for name, option in TLS_FILES.items()}
        settings |= {name: os.fspath(path) for name, path in files.items() if path is not None}
        settings["ssl_check_hostname"] = config.tls_check_hostname
        _check_files(settings, TLS_FILES)
    node = Node(kind, settings)
    if config.cluster_nodes:
        return Cluster([Address(*pair) for pair in config.cluster_nodes], node)
    if config.sentinels and config.master_name:
        login = {"username": config.sentinel_username, "password": config.sentinel_password}
        return _watched([Address(*pair) for pair in config.sentinels], config.master_name, node, login)
    return node


# -- live clients ----------------------------------------------------------------------------------------

_CLIENT_SETTINGS: Final = _TLS | {"path"} | {
    "credential_provider", "ssl_ca_data", "ssl_password", "ssl_include_verify_flags",
    "ssl_exclude_verify_flags", "socket_keepalive_options", "socket_type", "socket_read_size",
}  # fmt: skip


def _from_client(client: Redis) -> Where:
    pool = client.connection_pool
    if isinstance(pool, SentinelConnectionPool):
        return _from_sentinel_pool(pool)
    return _lent(pool.connection_class, pool.connection_kwargs)


def _from_sentinel_pool(pool: SentinelConnectionPool) -> Sentinels:
    if not pool.is_master:
        raise InvalidOptionError("redis", "a Sentinel client of replicas", "one made by master_for()")
    servers = _lent(_plain(pool.connection_class), pool.connection_kwargs)
    sentinels = []
    for sentinel in pool.sentinel_manager.sentinels:
        theirs = sentinel.connection_pool
        sentinels.append(_lent(theirs.connection_class, theirs.connection_kwargs))
    return Sentinels(sentinels, str(pool.service_name), servers)


def _from_cluster_client(client: RedisCluster) -> Cluster:
    settings = client.connection_kwargs
    kind = settings.get("connection_class", Connection)
    seeds = [Address(node.host, int(node.port)) for node in client.startup_nodes]
    return Cluster(seeds, _lent(_plain(kind), settings))


def _plain(kind: type[AbstractConnection]) -> type[AbstractConnection]:
    """A Sentinel client's connections look for their master themselves; ours are told."""
    return SSLConnection if issubclass(kind, SSLConnection) else Connection


def _lent(kind: type[AbstractConnection], settings: Mapping[str, Any]) -> Node:
    _check_files(settings)
    return Node(
        kind,
        {
            name: value
            for name, value in settings.items()
            if name in _CLIENT_SETTINGS and (value is not None or name == "username")
        },
    )
