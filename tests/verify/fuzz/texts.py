"""What users write: it is understood, or refused by an error of ours. Nothing is connected to."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import click

from asynq_py import App, AsynqError, Client, InvalidOptionError, PeriodicTaskFile, RedisConfig, Task
from asynq_py.app.signature import Signature
from asynq_py.cli.arguments import INSTANT, SPAN, WEIGHTS
from asynq_py.cli.config_file import find as find_config
from asynq_py.connection.source import place_of
from asynq_py.dash.payload import readable
from asynq_py.errors import PayloadError
from asynq_py.option_text import read, write
from asynq_py.options import DEFAULTS, TaskOptions
from asynq_py.ratelimit.key import key_of
from asynq_py.ratelimit.rate import Rate
from asynq_py.scheduler.cron import parse
from asynq_py.wire import go_text
from tests.verify.fuzz.noise import NUMBERS, mutated, number, text
from tests.verify.fuzz.target import Target

PASSWORD: Final = "c4n4ry-p4ssw0rd"

URLS: Final = (
    f"redis://user:{PASSWORD}@localhost:6379/0", "rediss://h:1/2?ssl_cert_reqs=none&socket_timeout=1",
    "unix:///tmp/x.sock?db=3", f"redis-sentinel://:{PASSWORD}@a,b:2/0?master=m&sentinel_password=x",
    f"redis-cluster://u:{PASSWORD}@n1,[::1]:7000", "valkey://localhost", "embedded:///tmp/nowhere", "embedded://",
    f"redis://h?password={PASSWORD}", "rediss-cluster://h?ssl_min_version=1",
)  # fmt: skip
SPECS: Final = (
    "0 9 * * mon-fri", "*/5 * * * *", "@every 1h30m", "@daily", "CRON_TZ=Europe/Paris 0 0 29 2 *",
    "1-3/2 ? 1,2 jan *",
    "TZ=Asia/Tokyo @every 5s", "0 0 30 2 *", "59 23 31 12 6", "@every 0.5s",
)  # fmt: skip
SPANS: Final = ("90", "90s", "1h30m", "250ms", "1.5h", "2d", "1h0m0s", "µs", "1.5µs", "100ns")
DATES: Final = ("Tue Jan  2 03:04:05 UTC 2024", "Mon Feb 30 25:00:00 CET 0000")
INSTANTS: Final = (
    "2026-01-31T12:00:00Z",
    "2026-01-31",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-12:00",
)
OPTION_TEXTS: Final = (
    'Queue("low")', "MaxRetry(3)", "Timeout(1m30s)", "Deadline(Tue Jan  2 03:04:05 UTC 2024)",
    'TaskID("a\\u00e9")',
    'Group("\\UFFFFFFFF")', "Unique(1h)", "ProcessIn(5ms)", "Retention(0s)",
)  # fmt: skip
RATES: Final = ("100/m", "10/30s", "5/s burst 20")
KEYS: Final = ("queue", "type", "payload.a.0.b", "headers.x")
TABLES: Final = (
    '[[tasks]]\nspec = "@daily"\ntype = "t"\npayload = {a = 1}\nqueue = "q"\n',
    'tasks = [{spec = "@every 1m", type = "t", missed = 3, deadline = 2026-01-31T12:00:00Z}]\n',
)
YAMLS: Final = (
    "tasks:\n- spec: '@daily'\n  type: t\n  payload: {a: 1}\n",
    "tasks:\n- &a {spec: '@daily', type: t, headers: {x: y}}\n- *a\n",
    "tasks: !!python/object/apply:os.system ['true']\n",
    "a: &a [x, x]\nb: &b [*a, *a]\n",
)
CONFIGS: Final = (
    'redis = "redis://localhost"\n[queue.ls]\nsize = 3\n', "[task.enqueue]\nretry = 1\n",
    'redis = "${HOME}"\n',
)  # fmt: skip
PAYLOADS: Final = (
    '{"number":1,"name":"x","at":"2026-01-31T12:00:00Z","many":[1,2.5],"by":{"a":null},"point":{"x":1,"y":2}}',
    '{"number":' + "9" * 5000 + "}", "[" * 3000, '{"many":' + "[" * 900 + "]" * 900 + "}", '{"number":1e999}',
    '{"name":"\\ud800"}', '{"at":"0001-01-01T00:00:00+14:00"}', '{"span":1e308}', '{"span":-1}', "null",
    "NaN",
)  # fmt: skip


@dataclass
class Point:
    x: int
    y: float = 0.0


def handler(
    number: int,
    *,
    name: str | None = None,
    at: datetime | None = None,
    span: timedelta | None = None,
    many: list[int | float] | None = None,
    by: dict[str, Any] | None = None,
    point: Point | None = None,
    path: Path | None = None,
    data: bytes | None = None,
    both: tuple[int, str] | None = None,
) -> datetime | float | str:
    raise NotImplementedError


_SIGNATURE: Final = Signature.of(handler, {})


def try_url(random: random.Random) -> None:
    url = mutated(random, random.choice(URLS), "redis:/@?=&%[],0a\0 \n#")
    try:
        Client(url)
        seen = str(place_of(url))
    except InvalidOptionError as error:
        seen = f"{error} {error!r} {error.value!r}"
    _check_secret(url, seen)


def _check_secret(url: str, seen: str) -> None:
    """What came through a mutation unharmed may still be where a password is."""
    if f":{PASSWORD}@" in url.partition("/")[2] or f"password={PASSWORD}" in url:
        assert PASSWORD not in seen, "an error, or a place, shows the password"


def try_config(random: random.Random) -> None:
    given = {item.name: _value(random) for item in random.sample(fields(RedisConfig), random.randint(0, 4))}
    with suppress(InvalidOptionError):
        config = RedisConfig(**{"password": PASSWORD, **given})
        assert given.get("password") or PASSWORD not in f"{config} {place_of(config)}"


def try_spec(random: random.Random) -> None:
    spec = mutated(random, random.choice(SPECS), "0123456789*/-,@ ?LW#abc")
    zone = random.choice(("UTC", "Europe/Paris", "Australia/Lord_Howe", text(random)))
    try:
        schedule = parse(spec, zone)
    except InvalidOptionError:
        return
    for at in (0.0, 1.7e9 + random.random() * 1e9, 4_102_444_800.0):
        following = schedule.next_after(at)
        assert following is None or following > at
        since = at - random.choice((1, 1e6))
        assert since <= schedule.closest(since, at) <= at


def try_span(random: random.Random) -> None:
    written = mutated(random, random.choice(SPANS), "0123456789.hmsdµn")
    for read_span in (go_text.parse_duration, lambda span: SPAN.convert(span, None, None)):
        with suppress(ValueError, click.BadParameter):
            assert read_span(written) >= 0
    with suppress(click.BadParameter):
        WEIGHTS.convert(mutated(random, "critical=6,default=3,low", "=,0123456789"), None, None)
    with suppress(click.BadParameter):
        INSTANT.convert(mutated(random, random.choice(INSTANTS), "0123456789-:TZ+."), None, None)
    with suppress(ValueError):
        go_text.parse_date(mutated(random, random.choice(DATES), "0123456789: "))


def try_option_text(random: random.Random) -> None:
    texts = [mutated(random, one, '0123456789()"\\uUx') for one in random.sample(OPTION_TEXTS, 3)]
    found = read(texts)
    with suppress(InvalidOptionError):
        write(DEFAULTS.override(found))
    name = text(random)
    assert go_text.unquote(go_text.quote(name)) == name


def try_options(random: random.Random) -> None:
    names = random.sample([*TaskOptions.__optional_keys__, "quack"], 3)
    given: Any = {name: _value(random) for name in names}
    with suppress(InvalidOptionError):
        options = DEFAULTS.override(given)
        assert read(write(options)) is not None
    with suppress(InvalidOptionError):
        Task(text(random), _value(random), headers=random.choice((None, {text(random): _value(random)})))
    with suppress(InvalidOptionError):
        App("redis://localhost").task(**given)(handler)


def try_limit(random: random.Random) -> None:
    with suppress(InvalidOptionError):
        Rate.parse(mutated(random, random.choice(RATES), "0123456789/smhd burst"))
    with suppress(InvalidOptionError):
        key_of(mutated(random, random.choice(KEYS), "."))


def try_payload(random: random.Random) -> None:
    data = mutated(random, random.choice(PAYLOADS), '{}[]":,0123456789eE+-.\\u').encode(
        "utf-8", "surrogatepass"
    )
    with suppress(PayloadError):
        args, kwargs = _SIGNATURE.load("t", data)
        _SIGNATURE.dump("t", tuple(args), kwargs)
    with suppress(PayloadError):
        _SIGNATURE.load_result("t", data)
    shown = readable(data)
    assert all(char.isprintable() or char in "\n\r\t" for char in shown.text), "a terminal would be steered"


def try_file(random: random.Random) -> None:
    with tempfile.TemporaryDirectory(prefix="asynq-py-fuzz-") as folder:
        for name, goods in (("t.toml", TABLES), ("t.yaml", YAMLS)):
            path = Path(folder, name)
            path.write_bytes(_file(random, random.choice(goods)))
            with suppress(AsynqError):
                PeriodicTaskFile(path).read()
        path = Path(folder, "asynq-py.toml")
        path.write_bytes(_file(random, random.choice(CONFIGS)))
        with suppress(click.ClickException):
            find_config(str(path))


def _file(random: random.Random, good: str) -> bytes:
    if random.random() < 0.1:
        return random.randbytes(50)
    return mutated(random, good, "[]{}=\"'\n:-&*! 0123456789").encode("utf-8", "surrogatepass")


def _value(random: random.Random) -> Any:
    return random.choice(
        (
            text(random), number(random), random.choice((None, True, False)), random.randint(-(2**70), 2**70),
            random.choice((0, 1, -1, 1.5, 1e308, float("nan"), float("inf"), -0.0)), b"bytes", object(),
            timedelta(seconds=random.randint(-100, 10**9)), timedelta.max, datetime.now(UTC), datetime.max,
            datetime.min, datetime.min.replace(tzinfo=UTC), [("h", 1)], [text(random)], {"a": [1]},
            int(random.choice(NUMBERS[:4])),
        )
    )  # fmt: skip


_TRIES: Final[tuple[Callable[[random.Random], None], ...]] = (
    *(
        try_url,
        try_config,
        try_spec,
        try_span,
        try_option_text,
        try_options,
        try_limit,
        try_payload,
        try_file,
    ),
)


class Texts(Target):
    name = "texts of users"

    def try_one(self, random: random.Random) -> None:
        random.choice(_TRIES)(random)
