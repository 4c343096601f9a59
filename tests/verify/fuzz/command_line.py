"""The arguments of the program: each run ends with a code and one readable line, never with a traceback.

Runs in this process, with a real Redis: what is refused as wrong must not have written anything there.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Final
from unittest.mock import patch

import click
from click.testing import CliRunner

from asynq_py.cli.program import program, run
from tests.servers import blocking_client
from tests.verify.fuzz.noise import mutated, number, text
from tests.verify.fuzz.target import Target
from tests.verify.fuzz.texts import INSTANTS, SPANS

# They would serve, or draw, until somebody ends them, or show a traceback because that is what they are for.
ENDLESS: Final = frozenset({"metrics", "dash", "demo"})
LEFT_OUT: Final = frozenset({"--watch", "--reload", "--reload-dir", "--debug", "--redis", "--config"})
IN_USE: Final = ("default", "low", "a", "later", "email:welcome", "email:*", "g")
LINES: Final = (
    '{"type": "t"}', '{"type": "t", "payload": {"a": 1}, "timeout": "1m", "headers": {"a": "b"}}', "[]", "{}",
    "", '{"type": "t", "quack": 1}', '{"type": "t", "headers": []}',
    '{"type": "t", "process_at": "0001-01-01T00:00:00+14:00"}',
    "[" * 50_000, '{"type": "t", "max_retry": ' + "9" * 5000 + "}",
)  # fmt: skip
CODES: Final = frozenset({0, 1, 2, 3, 130})


def _leaves(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if not isinstance(command, click.Group):
        yield path, command
        return
    with click.Context(command) as context:
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None and name not in ENDLESS:
                yield from _leaves(below, (*path, name))


class CommandLine(Target):
    name = "command lines"

    def __init__(self, url: str) -> None:
        self._stack = ExitStack()
        self._redis: Any = self._stack.enter_context(blocking_client(url))
        self._stack.enter_context(patch.dict(os.environ, {"ASYNQ_REDIS_URL": url, "COLUMNS": "100"}))
        self._leaves = list(_leaves(program, ()))

    def close(self) -> None:
        self._stack.close()

    def try_one(self, random: random.Random) -> None:
        arguments = [_as_an_argument(part) for part in self._arguments(random)]
        given = (
            "\n".join(random.choices(LINES, k=2)).encode() if random.random() < 0.8 else random.randbytes(20)
        )
        before = self._changes()
        with (
            patch.object(sys, "argv", ["asynq-py", *arguments]),
            patch.dict(os.environ),
            CliRunner().isolation(input=given) as (out, err, _),
        ):
            code = run()
        shown, complaint = out.getvalue().decode(), err.getvalue().decode()
        told = f"{arguments!r} → {code} {shown[-500:]!r} {complaint[-500:]!r}"
        assert code in CODES, told
        assert "Traceback" not in complaint, told
        assert _is_plain(shown), told
        assert _is_plain(complaint), told
        if code == 2:
            assert shown == "", told
            assert len(complaint.splitlines()) == 1, told
            assert self._changes() == before, f"what is wrong was written: {told}"
        elif code:
            assert shown or complaint, told

    def _changes(self) -> int:
        return int(self._redis.info("persistence")["rdb_changes_since_last_save"])

    def _arguments(self, random: random.Random) -> list[str]:
        path, command = random.choice(self._leaves)
        parts = list(path)
        for parameter in random.sample(command.params, random.randint(0, min(4, len(command.params)))):
            name = random.choice(parameter.opts)
            if isinstance(parameter, click.Argument):
                parts += [_value(random, parameter.type) for _ in range(random.randint(1, 2))]
            elif name in LEFT_OUT:
                continue
            elif isinstance(parameter, click.Option) and (parameter.is_flag or parameter.flag_value):
                parts.append(name)
            else:
                parts += random.choice(
                    (
                        [name, _value(random, parameter.type)],
                        [f"{name}={_value(random, parameter.type)}"],
                        [name],
                    )
                )
        if random.random() < 0.2:
            parts.insert(random.randint(0, len(parts)), text(random))
        if random.random() < 0.05:
            parts += ["--redis", mutated(random, "redis://u:pw@127.0.0.1:1/0", ":/@?#")]
        if random.random() < 0.5 and "--json" in [name for one in command.params for name in one.opts]:
            parts.append("--json")
        return parts


def _value(random: random.Random, kind: click.ParamType[Any]) -> str:
    if random.random() < 0.3:
        return text(random)
    if isinstance(kind, click.Choice):
        return str(random.choice(list(kind.choices)))
    if isinstance(kind, click.File):
        return random.choice(("-", "/nonexistent", "/", ""))
    return random.choice(
        (
            number(random),
            mutated(random, random.choice(SPANS)),
            random.choice(INSTANTS),
            random.choice(IN_USE),
            "a=b",
        )
    )


def _as_an_argument(part: str) -> str:
    """What a system can hand over: no null, and half characters only where bytes are no UTF-8."""
    return part.replace("\0", "").encode("utf-8", "replace").decode()[:60_000] + (
        "\udcff" if "\ud800" in part else ""
    )


def _is_plain(shown: str) -> bool:
    return all(char.isprintable() or char == "\n" for char in shown)
