"""docs/reference/parity.md leaves out nothing of Go, and names nothing that does not exist."""

from __future__ import annotations

import importlib
import inspect
import re
from typing import Any, Final

import click
import pytest
from prometheus_client import CollectorRegistry

import asynq_py
from asynq_py import Inspector, SchedulerOptions, ServerOptions, TaskOptions
from asynq_py.cli.program import program
from asynq_py.integrations.prometheus import QueueMetrics
from tests.interop.build import NoPeerError, documented
from tests.pages import cited, is_defined, page, rows

PAGE: Final = page("reference/parity.md")
ROWS: Final = rows(PAGE, begin="`")
# Options that are named by a TypedDict and not by the signature.
OPTIONS: Final = {
    "Task": TaskOptions,
    "Server": ServerOptions,
    "PeriodicTaskManager": SchedulerOptions,
}


def _quoted(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


GO: Final = [name for row in ROWS for name in _quoted(row[0])]
OURS: Final = [name for row in ROWS for name in _quoted(row[1])]
CITED: Final = cited(PAGE)


# -- what it names exists -----------------------------------------------------------------------------------


def test_there_is_something_to_check() -> None:
    assert len(GO) > 300
    assert len(OURS) > 200
    assert len(CITED) > 150
    assert PAGE.count("::test_") == len(CITED)


@pytest.mark.parametrize(("path", "name"), sorted(set(CITED)), ids=lambda part: part.rpartition("/")[2])
def test_every_test_that_is_named_exists(path: str, name: str) -> None:
    assert is_defined(path, name)


@pytest.mark.parametrize("name", sorted(set(OURS)))
def test_everything_of_ours_that_is_named_exists(name: str) -> None:
    if name.startswith("asynq-py "):
        _command(name.split()[1:])
    elif name.startswith("asynq_") and "." not in name and name != "asynq_py":
        registry = CollectorRegistry()
        registry.register(_empty_metrics())
        names = {family.name for family in registry.collect()}
        assert {name, name.removesuffix("_total")} & names
    elif option := re.fullmatch(r"(\w+)\((\w+)=\)", name):
        assert option[2] in _options(option[1])
    elif re.fullmatch(r"asynq_py\.[\w.]+|[A-Z]\w*(\.\w+)?|current_task|default_retry_delay", name):
        _found(name)
    else:
        assert name in {"asynq_py", "logging", "async with", "async with server:", "None", "page", "size"}


def _empty_metrics() -> QueueMetrics:
    return QueueMetrics(Inspector("redis://localhost:6379/0"))  # connects to nothing until it is asked


def _command(words: list[str]) -> None:
    found: click.Command = program
    for word in words:
        assert isinstance(found, click.Group)
        named = found.get_command(click.Context(found), word)
        assert named is not None
        found = named


def _options(name: str) -> set[str]:
    function = getattr(asynq_py, name)
    named = set(inspect.signature(function).parameters)
    return named | set(OPTIONS[name].__annotations__ if name in OPTIONS else ())


def _found(name: str) -> Any:
    """Resolve a dotted name; that of a field without a value may stand among the annotations only."""
    if name.startswith("asynq_py."):
        module, _, rest = name.partition(".prometheus.")
        here: Any = importlib.import_module(f"{module}.prometheus")
        parts = rest.split(".")
    else:
        here, parts = asynq_py, name.split(".")
        assert parts[0] in asynq_py.__all__
    for part in parts:
        if part in getattr(here, "__annotations__", {}):
            return here.__annotations__[part]
        here = getattr(here, part)
    return here


# -- nothing is left out ------------------------------------------------------------------------------------


def test_every_row_says_what_shows_it_or_why_there_is_nothing() -> None:
    silent = [row[0] for row in ROWS if len(row) == 3 and "::test_" not in row[2] and "not yet" not in row[1]]
    assert silent == []


def test_no_name_of_go_stands_twice() -> None:
    assert len(GO) == len(set(GO))


def test_every_exported_name_of_go_has_its_place() -> None:
    try:
        text = documented()
    except NoPeerError as why:
        pytest.skip(str(why))
    names = exported(text)
    assert len(names) > 300
    assert names - set(GO) == set()


def test_no_name_of_go_is_made_up() -> None:
    try:
        names = exported(documented())
    except NoPeerError as why:
        pytest.skip(str(why))
    unreleased = {
        "Task.Options", "Header", "HeaderOpt", "Client.BatchEnqueueContext", "BatchEnqueueResult",
        "BatchEnqueueResult.TaskInfo", "BatchEnqueueResult.Err",
    }  # fmt: skip
    of_the_library = {name for name in GO if re.fullmatch(r"[A-Z]\w*(\.[A-Z]\w*)?", name)}
    assert of_the_library - names == unreleased


def exported(text: str) -> set[str]:
    """Functions, types, methods, fields, constants and variables in the text of `go doc -all`."""
    names: set[str] = set()
    inside = ""
    for line in text.splitlines():
        if found := re.match(r"func \(\w+ \*?(\w+)\) ([A-Z]\w*)", line):
            names.add(f"{found[1]}.{found[2]}")
        elif found := re.match(r"(?:func|var|const) ([A-Z]\w*)", line):
            names.add(found[1])
        elif found := re.match(r"type ([A-Z]\w*)", line):
            names.add(found[1])
            inside = f"{found[1]}." if line.endswith("{") else ""
            if one_line := re.search(r"\{ ([A-Z]\w*)", line):
                names.add(f"{found[1]}.{one_line[1]}")
                inside = ""
        elif re.match(r"(var|const) \($", line):
            inside = "(blocks have no prefix)"
        elif line.startswith(("}", ")")):
            inside = ""
        elif inside and (found := re.match(r"\t((?:\*?[A-Z]\w*(?:, )?)+)", line)):
            prefix = "" if inside.startswith("(") else inside
            names |= {prefix + name.lstrip("*") for name in found[1].split(", ") if name}
    return names


def test_names_are_found_in_what_go_tells() -> None:
    text = """
var ErrOne = errors.New("x")
var (
\t// ErrTwo is told of.
\tErrTwo = errors.New("y")
)

const (
\t// A comment.
\tFirst Kind = iota

\tSecond
)

func Do(ctx context.Context) error
    Do does.

type Client struct {
\t// Has unexported fields.
}
func NewClient() *Client
func (c *Client) Close() error

type Handler interface {
\tProcessTask(context.Context, *Task) error
}

type Options struct {
\t*Embedded
\tName string // required

\t// More.
\tQueues map[string]int
}

type Kind int
"""
    assert exported(text) == {
        "ErrOne", "ErrTwo", "First", "Second", "Do", "Client", "NewClient", "Client.Close", "Handler",
        "Handler.ProcessTask", "Options", "Options.Embedded", "Options.Name", "Options.Queues", "Kind",
    }  # fmt: skip
