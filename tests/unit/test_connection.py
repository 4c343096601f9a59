"""What `redis=` may be, and which connections come of it. No server needed: none is opened."""

from __future__ import annotations

import traceback
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import BlockingConnectionPool, Redis, RedisCluster
from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.asyncio.sentinel import Sentinel

from asynq_py import BrokerUnavailableError, Client, InvalidOptionError, RedisConfig
from asynq_py.connection import Connector

CANARY = "c4n4ry"


@pytest.fixture(autouse=True)
def _nothing_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    async def connect(self: AbstractConnection) -> None: ...

    monkeypatch.setattr(AbstractConnection, "connect", connect)
    monkeypatch.delenv("ASYNQ_REDIS_URL", raising=False)


async def _made(redis: Any = None) -> Any:
    return await Connector(redis).connect("name")


def _seen(connection: Any, *names: str) -> dict[str, object]:
    return {name: getattr(connection, name) for name in names}


@pytest.mark.parametrize(
    ("url", "kind", "settings"),
    [
        ("redis://", Connection, {"host": "localhost", "port": 6379, "db": 0, "password": None}),
        ("redis://h:1/2", Connection, {"host": "h", "port": 1, "db": 2}),
        ("REDIS://h", Connection, {"host": "h"}),
        ("valkey://h:1/2", Connection, {"host": "h", "port": 1, "db": 2}),
        ("redis://[::1]:7", Connection, {"host": "::1", "port": 7}),
        ("redis://u:p%2Fw%40@h", Connection, {"username": "u", "password": "p/w@"}),
        ("redis://:pw@h", Connection, {"username": None, "password": "pw"}),
        ("redis://h?db=3", Connection, {"db": 3}),
        ("redis://h?socket_connect_timeout=7", Connection, {"socket_connect_timeout": 7}),
        ("redis://h", Connection, {"socket_connect_timeout": 3}),
        ("rediss://h:1", SSLConnection, {"host": "h", "port": 1, "check_hostname": True}),
        ("valkeys://h:1", SSLConnection, {"host": "h", "port": 1, "check_hostname": True}),
        ("rediss://h?ssl_check_hostname=no", SSLConnection, {"check_hostname": False}),
        ("unix:///run/r.sock?db=3", UnixDomainSocketConnection, {"path": "/run/r.sock", "db": 3}),
        ("unix://u:pw@/r.sock", UnixDomainSocketConnection, {"username": "u", "password": "pw"}),
    ],
)
async def test_a_url_says_where_redis_is(url: str, kind: type, settings: dict[str, object]) -> None:
    connection = await _made(url)
    assert type(connection) is kind
    assert _seen(connection, *settings) == settings


@pytest.mark.parametrize(
    ("redis", "allowed"),
    [
        ("", "a URL"),
        ("localhost:6379", "a URL"),
        ("http://localhost", "a URL"),
        ("redis-sentinel://h/0", "master=NAME"),
        ("redis-sentinel://h/0?master=", "master=NAME"),
        ("redis-sentinel://h:x/0?master=m", "h1:26379,h2:26379"),
        ("redis-sentinel://h,/0?master=m", "h1:26379,h2:26379"),
        ("redis-sentinel://h/zero?master=m", "path is a database number"),
        ("redis-sentinel://h/0?master=m&color=red", "one of"),
        ("redis-cluster://", "h1:6379,h2:6379"),
        ("redis-cluster://h:0", "h1:6379,h2:6379"),
        ("redis-cluster://h/1", "without a database"),
        ("redis-cluster://h?master=m", "one of"),
        ("redis://h:port", "well-formed"),
        ("redis://h:65536", "well-formed"),
        ("redis://[::1", "well-formed"),
        ("redis://h?socket_timeout=soon", "well-formed"),
        ("redis://h/zero", "path is a database number"),
        ("redis://h/0/1", "path is a database number"),
        ("redis://h/-1", "path is a database number"),
        ("redis://h/²", "path is a database number"),
        ("redis://h?db=-1", "zero or more"),
        ("redis://h?socket_timeout=0", "more than zero"),
        ("redis://h?socket_connect_timeout=nan", "more than zero"),
        ("redis://h?color=red", "one of"),
        ("redis://h?protocol=3", "one of"),
        ("redis://h?ssl_ca_certs=f", "one of"),
        ("unix:///s?socket_keepalive=1", "one of"),
        ("unix://", "path of a socket file"),
        ("embedded://host", "embedded:///path"),
        ("embedded:///path?db=1", "embedded:///path"),
        ("embedded:///path%00", "embedded:///path"),
        (b"redis://h", "a URL"),
        (6379, "a URL"),
    ],
)
def test_what_says_nothing_of_use_is_refused_at_once(redis: Any, allowed: str) -> None:
    with pytest.raises(InvalidOptionError, match=allowed) as caught:
        Client(redis)
    assert caught.value.option == "redis"


@pytest.mark.parametrize(
    "url",
    [
        f"user:{CANARY}@host:6379",
        f"user:{CANARY}@host://",
        f"http://user:{CANARY}@host",
        f"redis://user:{CANARY}/x@host",
        f"redis://user:{CANARY}#x@host",
        f"redis://user:{CANARY}@host:port",
        f"redis://user:{CANARY}@host/zero",
        f"redis://user:{CANARY}@host?color=red",
        f"redis://host?password={CANARY}&db=-1",
        f"embedded://user:{CANARY}@host",
        f"redis-sentinel://user:{CANARY}@host/0",
        f"redis-sentinel://user:{CANARY}@host/0?master=m&color=red",
        f"redis-sentinel://host/0?sentinel_password={CANARY}",
        f"redis-cluster://user:{CANARY}@host:port",
        f"redis-cluster://user:{CANARY}/x@host",
    ],
)
def test_no_error_shows_a_password(url: str) -> None:
    with pytest.raises(InvalidOptionError) as caught:
        Connector(url)
    error: BaseException | None = caught.value
    while error is not None:
        shown = "".join(traceback.format_exception_only(error)) + repr(vars(error))
        assert CANARY not in shown
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize(
    "redis",
    [
        f"redis://{CANARY}:{CANARY}@h:1/2",
        RedisConfig(host="h", port=1, db=2, username=CANARY, password=CANARY),
        Redis(host="h", port=1, db=2, username=CANARY, password=CANARY),
    ],
    ids=["URL", "config", "client"],
)
def test_a_connector_shows_where_it_leads_and_no_credentials(redis: Any) -> None:
    connector = Connector(redis)
    assert str(connector) == "h:1/2"
    assert CANARY not in repr(connector)


@pytest.mark.parametrize(
    ("redis", "place"),
    [
        (None, "localhost:6379/0"),
        ("unix:///run/r.sock", "unix socket /run/r.sock"),
        (RedisConfig(socket_path="/run/r.sock"), "unix socket /run/r.sock"),
        ("embedded://", "embedded server"),
        ("embedded:///a%20b", "embedded server"),
        ("redis-sentinel://u:pw@h1,h2:2/0?master=m", "master 'm' of sentinels h1:26379, h2:2"),
        ("redis-cluster://u:pw@h1,[::1]:2", "cluster of h1:6379, ::1:2"),
        (
            RedisConfig(sentinels=[("h", 1)], master_name="m", sentinel_password="pw"),
            "master 'm' of sentinels h:1",
        ),
        (RedisConfig(cluster_nodes=[("h", 1)]), "cluster of h:1"),
    ],
)
def test_a_connector_shows_its_place(redis: Any, place: str) -> None:
    assert str(Connector(redis)) == place


@pytest.mark.parametrize(
    ("value", "place"), [("redis://elsewhere:1/2", "elsewhere:1/2"), ("", "localhost:6379/0")]
)
def test_left_out_the_environment_decides(value: str, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASYNQ_REDIS_URL", value)
    assert str(Connector()) == place
    assert str(Connector("redis://given")) == "given:6379/0"


@pytest.mark.parametrize(
    ("config", "kind", "settings"),
    [
        (
            RedisConfig(),
            Connection,
            {"host": "localhost", "port": 6379, "db": 0, "socket_connect_timeout": 3},
        ),
        (
            RedisConfig(host="h", port=1, db=2, username="u", password="pw", connect_timeout=7),
            Connection,
            {"host": "h", "port": 1, "db": 2, "username": "u", "password": "pw", "socket_connect_timeout": 7},
        ),
        (RedisConfig(socket_path="/s", db=2), UnixDomainSocketConnection, {"path": "/s", "db": 2}),
        (RedisConfig(host="h", tls=True), SSLConnection, {"host": "h", "check_hostname": True}),
        (RedisConfig(tls=True, tls_check_hostname=False), SSLConnection, {"check_hostname": False}),
    ],
)
async def test_a_config_says_where_redis_is(
    config: RedisConfig, kind: type, settings: dict[str, object]
) -> None:
    connection = await _made(config)
    assert type(connection) is kind
    assert _seen(connection, *settings) == settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[
            (name, value)
            for name in ("timeout", "connect_timeout")
            for value in (0, -1, float("nan"), "5", True)
        ],
        *[("port", value) for value in (0, -1, 65536, "6379", 1.0)],
        *[("db", value) for value in (-1, "0", True, 2**31)],
        *[("host", value) for value in ("", None, 1)],
        *[("socket_path", value) for value in ("", 5, b"/x")],
        *[(name, 5) for name in ("sentinels", "cluster_nodes", "tls_ca_file", "tls", "tls_check_hostname")],
    ],
)
def test_a_config_with_a_bad_value_cannot_be_made(name: str, value: object) -> None:
    given: Any = {name: value}
    with pytest.raises(InvalidOptionError) as caught:
        RedisConfig(**given)
    assert (caught.value.option, caught.value.value) == (name, value)


@pytest.mark.parametrize("name", ["username", "password", "sentinel_password", "master_name"])
def test_a_config_takes_text_alone_where_text_is_due_and_does_not_show_what_it_got(name: str) -> None:
    given: Any = {name: CANARY.encode()}
    with pytest.raises(InvalidOptionError, match=f"^{name}=<class 'bytes'>"):
        RedisConfig(**given)


def test_a_config_does_not_show_its_passwords() -> None:
    assert CANARY not in repr(RedisConfig(password=CANARY, sentinel_password=CANARY))


@pytest.fixture
async def lender() -> AsyncGenerator[Redis]:
    pool = BlockingConnectionPool.from_url(
        f"redis://u:{CANARY}@h:1/2?socket_timeout=9",
        decode_responses=True,
        protocol=3,
        health_check_interval=5,
    )
    client = Redis(connection_pool=pool)
    yield client
    await client.aclose()


async def test_a_live_client_lends_its_settings_but_not_its_habits(lender: Redis) -> None:
    connector = Connector(lender)
    connection: Any = await connector.connect("name")
    assert connector.timeout == 9
    assert _seen(connection, "host", "port", "db", "username", "password", "client_name") == {
        "host": "h", "port": 1, "db": 2, "username": "u", "password": CANARY, "client_name": "name",
    }  # fmt: skip
    assert _seen(connection, "socket_timeout", "health_check_interval", "protocol") == {
        "socket_timeout": None, "health_check_interval": 0, "protocol": 2,
    }  # fmt: skip
    assert connection.encoder.decode_responses is False


async def test_a_live_client_stays_as_it_was(lender: Redis) -> None:
    before = dict(lender.connection_pool.connection_kwargs)
    connector = Connector(lender)
    await connector.connect("name")
    await connector.aclose()
    assert lender.connection_pool.connection_kwargs == before


@pytest.mark.parametrize(
    "make",
    [
        lambda: RedisCluster(host="h", port=1, password=CANARY),
        lambda: Sentinel([("h", 1)]).master_for("m", password=CANARY),  # type: ignore[no-untyped-call]
    ],
    ids=["cluster", "sentinel"],
)
async def test_a_live_client_of_many_servers_lends_the_way_to_them(make: Callable[[], Any]) -> None:
    connector = Connector(make())
    assert "h:1" in str(connector)
    assert CANARY not in str(connector)


def test_a_sentinel_client_of_replicas_is_refused() -> None:
    replicas = Sentinel([("h", 1)]).slave_for("m")  # type: ignore[no-untyped-call]
    with pytest.raises(InvalidOptionError, match="master_for"):
        Connector(replicas)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("master_name", {"sentinels": [("h", 1)]}),
        ("master_name", {"master_name": "m"}),
        ("sentinels", {"sentinels": [("h", 1)], "master_name": "m", "socket_path": "/s"}),
        ("cluster_nodes", {"sentinels": [("h", 1)], "master_name": "m", "cluster_nodes": [("h", 1)]}),
        ("db", {"cluster_nodes": [("h", 1)], "db": 1}),
        ("sentinels", {"sentinels": ["h:1"], "master_name": "m"}),
        ("cluster_nodes", {"cluster_nodes": [("h", 0)]}),
        ("cluster_nodes", {"cluster_nodes": [("h", True)]}),
    ],
)
def test_a_config_says_one_place(name: str, given: dict[str, Any]) -> None:
    with pytest.raises(InvalidOptionError) as caught:
        RedisConfig(**given)
    assert caught.value.option == name


@pytest.mark.parametrize("redis", ["redis://h", RedisConfig(), Redis()], ids=["URL", "config", "client"])
async def test_nothing_is_sent_twice_and_answers_stay_bytes_whoever_configured_it(redis: Any) -> None:
    connection = await _made(redis)
    assert connection.retry._retries == 0
    assert connection.retry_on_error == []
    assert connection.protocol == 2
    assert connection.encoder.decode_responses is False


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    path = tmp_path / "a.pem"
    path.write_text("canary")
    return path


@pytest.mark.parametrize("setting", ["ssl_ca_certs", "ssl_certfile", "ssl_keyfile"])
@pytest.mark.parametrize("scheme", ["rediss", "rediss-cluster", "rediss-sentinel"])
def test_a_file_of_tls_that_cannot_be_read_is_named_by_option_and_path(
    scheme: str, setting: str, pem: Path
) -> None:
    url = f"{scheme}://h?master=m&" if scheme == "rediss-sentinel" else f"{scheme}://h?"
    Connector(f"{url}{setting}={pem}")
    for path, reason in ((pem.with_name("b.pem"), "No such file"), (pem.parent, "Is a directory")):
        with pytest.raises(InvalidOptionError, match=f"^{setting}='{path}' is not .*be read: {reason}"):
            Connector(f"{url}{setting}={path}")


@pytest.mark.parametrize("option", ["tls_ca_file", "tls_cert_file", "tls_key_file"])
def test_a_file_of_tls_in_a_config_is_named_as_the_config_does(option: str, pem: Path) -> None:
    given: dict[str, Any] = {option: pem}
    missing: dict[str, Any] = {option: pem.with_name("b.pem")}
    with pytest.raises(InvalidOptionError, match=f"^{option}='{pem.parent}/b.pem' is not .*No such file"):
        Connector(RedisConfig(tls=True, **missing))
    Connector(RedisConfig(tls=True, **given))


def test_a_file_of_tls_that_a_live_client_cannot_read_is_named(pem: Path) -> None:
    with pytest.raises(InvalidOptionError, match=f"^ssl_keyfile='{pem.parent}' is not allowed"):
        Connector(Redis(ssl=True, ssl_keyfile=str(pem.parent)))


async def test_a_file_of_tls_that_has_gone_meanwhile_is_named(pem: Path) -> None:
    async with Client(f"rediss://localhost:1?ssl_ca_certs={pem}") as client:
        pem.unlink()
        with pytest.raises(BrokerUnavailableError, match=f"ssl_ca_certs='{pem}' .* cannot be read: No such"):
            await client.ping()
