"""The Lua scripts of `lua/`: read once, called by hash, sent whole only when Redis has not seen them yet."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files

from asynq_py.broker.lane import Argument, Command

_INCLUDE = re.compile(r"^-- include (\w+)$", re.MULTILINE)
_COMMENT = re.compile(r"^ *--.*\n", re.MULTILINE)
_FOLDER = files("asynq_py.broker").joinpath("lua")


@dataclass(frozen=True, slots=True)
class Script:
    """One script, ready to be called."""

    name: str
    body: str
    sha: str

    def __call__(self, keys: Sequence[str], arguments: Iterable[Argument]) -> Command:
        """Build the command that calls the script."""
        tail = (len(keys), *keys, *arguments)
        return Command(("EVALSHA", self.sha, *tail), ("EVAL", self.body, *tail))


def load(name: str) -> Script:
    """Read `lua/<name>.lua`, with the files that it includes in their place, and without comments."""
    body = _COMMENT.sub("", _INCLUDE.sub(lambda match: _read(match[1]), _read(name)))
    return Script(name, body, hashlib.sha1(body.encode(), usedforsecurity=False).hexdigest())


def _read(name: str) -> str:
    return _FOLDER.joinpath(f"{name}.lua").read_text("utf-8")
