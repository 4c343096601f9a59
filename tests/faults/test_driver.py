"""What our code may not ask of redis-py. R2, R6, R7, R15; docs/internals/redis-py.md."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import asynq_py

ROOT = Path(asynq_py.__file__).parent
# Who makes connections looks into live clients that users lend, and so knows the names of their classes.
SOURCE = ROOT / "connection"
CLIENTS = {"Redis", "RedisCluster", "StrictRedis", "Sentinel", "Pipeline", "PubSub", "from_url"}
FILES = sorted(ROOT.rglob("*.py"))


def _calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Each call in a file, with the last part of the name of what is called."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.Call(func=ast.Attribute(attr=name)) | ast.Call(func=ast.Name(id=name)):
                yield name, node


def test_no_connection_is_closed_in_such_a_way_that_it_waits_for_the_other_side() -> None:
    """R15."""
    closed = [
        (path.name, {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords})
        for path in FILES
        for name, call in _calls(path)
        if name == "disconnect"
    ]
    assert len(closed) > 5
    assert [place for place, options in closed if options != {"nowait": "True"}] == []


@pytest.mark.parametrize("path", [path for path in FILES if SOURCE not in path.parents], ids=str)
def test_no_client_and_no_pool_of_the_driver_is_made(path: Path) -> None:
    """R2, R6, R7: they send again what may have been done, lose wake-ups, and have an end."""
    made = {name for name, _ in _calls(path) if name in CLIENTS or name.endswith("ConnectionPool")}
    assert made == set()
