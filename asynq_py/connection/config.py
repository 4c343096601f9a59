"""RedisConfig: where Redis is, spelled out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from asynq_py.errors import InvalidOptionError
from asynq_py.wire.limits import MAX_INT32

TIMEOUT: Final = 5.0
CONNECT_TIMEOUT: Final = 3.0
ADDRESSES: Final = "pairs of host and port, as in [('localhost', 26379)]"


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisConfig:
    """A Redis or Valkey: one server, a master watched by Sentinel, or a Cluster.

    One server: `socket_path` wins over `host` and `port`.
    Sentinel: `sentinels`, pairs of host and port, and `master_name`.
    Cluster: `cluster_nodes`, pairs of host and port, of which one must be there; the rest is learnt.

    `username` and `password` are those of the servers; the sentinels have their own. Timeouts in seconds.
    With `tls` each certificate, sentinels' included, is checked against `tls_ca_file`, or the system's
    authorities, and its host name.
    """

    host: str = "localhost"
    port: int = 6379
    socket_path: str | os.PathLike[str] | None = None
    sentinels: Sequence[tuple[str, int]] = ()
    master_name: str | None = None
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)
    cluster_nodes: Sequence[tuple[str, int]] = ()
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
        _check_number("port", self.port, 1, 65535)
        _check_number("db", self.db, 0, MAX_INT32)
        for name in ("sentinels", "cluster_nodes"):
            object.__setattr__(self, name, _addresses(name, getattr(self, name)))
        for name in ("master_name", "username", "password", "sentinel_username", "sentinel_password"):
            _check_text(name, getattr(self, name))
        for name in ("socket_path", "tls_ca_file", "tls_cert_file", "tls_key_file"):
            _check_path(name, getattr(self, name))
        for name in ("tls", "tls_check_hostname"):
            if not isinstance(getattr(self, name), bool):
                raise InvalidOptionError(name, getattr(self, name), "True or False")
        host: object = self.host
        if not isinstance(host, str) or not host:
            raise InvalidOptionError("host", host, "a name or an address")
        self._check_topology()

    def _check_topology(self) -> None:
        if bool(self.sentinels) != bool(self.master_name):
            raise InvalidOptionError("master_name", self.master_name, "given together with sentinels")
        places = [name for name in ("socket_path", "sentinels", "cluster_nodes") if getattr(self, name)]
        if len(places) > 1:
            raise InvalidOptionError(places[1], getattr(self, places[1]), f"not given beside {places[0]}")
        if self.cluster_nodes and self.db:
            raise InvalidOptionError("db", self.db, "zero: a Cluster has one database")


def _check_number(name: str, value: object, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InvalidOptionError(name, value, f"a whole number from {least} to {most}")


def _check_text(name: str, value: object) -> None:
    if value is not None and not isinstance(value, str):
        raise InvalidOptionError(name, type(value), "text, or None")  # a password itself is not shown


def _check_path(name: str, value: object) -> None:
    if value is not None and not (isinstance(value, str | os.PathLike) and os.fspath(value)):
        raise InvalidOptionError(name, value, "the path of a file, or None")


def _addresses(name: str, given: object) -> tuple[tuple[str, int], ...]:
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise InvalidOptionError(name, given, ADDRESSES)
    return tuple(_address(name, pair) for pair in given)


def _address(name: str, given: object) -> tuple[str, int]:
    match given:
        case (str(host), int(port)) if host and not isinstance(port, bool) and 1 <= port <= 65535:
            return host, port
    raise InvalidOptionError(name, given, ADDRESSES)
