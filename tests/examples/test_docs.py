"""What the documentation says exists: code compiles, names and options are real, links lead somewhere."""

from __future__ import annotations

import ast
import builtins
import importlib
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import asynq_py
from asynq_py import EntryOptions, SchedulerOptions, ServerOptions, TaskOptions
from asynq_py.server.config import ServerConfig
from tests.examples.programs import EXAMPLES, ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PUBLIC = set(asynq_py.__all__)
OPTIONS: dict[str, set[str]] = {
    "Task": {"headers", *TaskOptions.__annotations__},
    "enqueue": set(TaskOptions.__annotations__),
    "enqueue_many": set(TaskOptions.__annotations__),
    "Server": set(ServerOptions.__annotations__),
    "Scheduler": set(SchedulerOptions.__annotations__),
    "PeriodicTaskManager": {"sync_interval", *SchedulerOptions.__annotations__},
    "PeriodicTask": {*EntryOptions.__annotations__, *TaskOptions.__annotations__},
    "register": {*EntryOptions.__annotations__, *TaskOptions.__annotations__},
}


class Block(NamedTuple):
    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def _blocks() -> Iterator[Block]:
    for page in PAGES:
        text = page.read_text("utf-8")
        for match in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            yield Block(page, text.count("\n", 0, match.start()) + 1, match[1], match[2])


BLOCKS = list(_blocks())
PYTHON = [block for block in BLOCKS if block.language == "python"]


def test_there_is_code_to_check() -> None:
    assert len(PYTHON) > 15
    assert all(block.language for block in BLOCKS), "a block without a language is checked by nobody"


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_code_is_complete_or_part_of_an_example(block: Block) -> None:
    code = textwrap.dedent(block.text)
    if any(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.walk(ast.parse(code))):
        compile(code, str(block), "exec")
        assert _undefined(code) == set()
    else:
        assert any(_contains(example.read_text("utf-8"), code) for example in EXAMPLES.glob("*.py"))


def _undefined(code: str) -> set[str]:
    """Names that are used and nowhere bound, whatever the scope."""
    used: set[str] = set()
    bound = set(dir(builtins))
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                used.add(name)
            case ast.Name(id=name) | ast.arg(arg=name):
                bound.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                bound.add(name)
            case ast.ExceptHandler(name=str(name)):
                bound.add(name)
            case ast.alias(name=name, asname=other):
                bound.add(other or name.partition(".")[0])
    return used - bound


def _contains(source: str, excerpt: str) -> bool:
    """Are these lines in the source, one after the other, at whatever indentation?"""
    wanted, lines = excerpt.splitlines(), source.splitlines()
    windows = (lines[at : at + len(wanted)] for at in range(len(lines) - len(wanted) + 1))
    return any(textwrap.dedent("\n".join(window)).splitlines() == wanted for window in windows)


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_public_names_and_options_exist(block: Block) -> None:
    for node in ast.walk(ast.parse(textwrap.dedent(block.text))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("asynq_py"):
            module = importlib.import_module(node.module or "")
            names = {alias.name for alias in node.names}
            assert names <= (PUBLIC if module is asynq_py else set(dir(module)))
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in OPTIONS and not _is_typed(node.func):
                assert {keyword.arg for keyword in node.keywords if keyword.arg} <= OPTIONS[called]


def _is_typed(function: ast.expr) -> bool:
    """Is it `enqueue` of a typed task, which takes what its function takes?"""
    of_client = "client" in ast.unparse(function).lower()
    return isinstance(function, ast.Attribute) and function.attr == "enqueue" and not of_client


def test_the_example_of_the_readme_is_the_one_that_is_run() -> None:
    (block,) = (block for block in PYTHON if block.page.name == "README.md")
    assert block.text == (EXAMPLES / "typed_tasks.py").read_text("utf-8")


@pytest.mark.timeout(180, func_only=True)
def test_the_test_shown_to_users_passes(tmp_path: Path) -> None:
    (block,) = (block for block in PYTHON if block.page.name == "testing.md" and "def test_sum" in block.text)
    (tmp_path / "test_sum.py").write_text(block.text, "utf-8")
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto", "."],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        timeout=150,
    )
    assert "1 passed" in ended.stdout, ended.stdout


def test_commands_of_make_exist() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    known = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    told = {
        name
        for page in PAGES
        for name in re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text("utf-8"), re.MULTILINE)
    }
    assert {"demo", "test"} <= told <= known


def test_make_help_lists_every_command() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    (phony,) = re.findall(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    listed = re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE)
    assert sorted(phony.split()) == sorted(listed)
    assert set(listed) == set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))


# -- links and paths ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    prose = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", prose):
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in _anchors(target), link


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_are_named_exist(page: Path) -> None:
    named = re.findall(r"`((?:asynq_py|tests|examples|docs|benchmarks)/[\w/.\-]+)`", page.read_text("utf-8"))
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_page_can_be_reached_from_the_index() -> None:
    seen: set[Path] = set()
    waiting = [ROOT / "docs" / "index.md"]
    while waiting:
        page = waiting.pop()
        if page in seen:
            continue
        seen.add(page)
        links = re.findall(r"\]\(([^)\s#]+\.md)", page.read_text("utf-8"))
        waiting += [(page.parent / link).resolve() for link in links if not link.startswith("http")]
    assert {page for page in PAGES if page.is_relative_to(ROOT / "docs")} <= seen


# -- tables -------------------------------------------------------------------------------------------------


def _table(name: str) -> dict[str, str]:
    """First column, without its backticks → the rest of the row."""
    text = (ROOT / "docs" / "reference" / name).read_text("utf-8")
    return dict(re.findall(r"^\| `(\w+)` \|(.*)\|$", text, re.MULTILINE))


def test_the_tables_of_options_are_complete() -> None:
    assert _table("task-options.md").keys() == TaskOptions.__annotations__.keys()
    assert _table("server-options.md").keys() == ServerOptions.__annotations__.keys()
    own = EntryOptions.__annotations__.keys() - TaskOptions.__annotations__.keys()
    assert _table("scheduler-options.md").keys() == SchedulerOptions.__annotations__.keys() | own


def test_the_defaults_of_the_server_are_those_in_its_table() -> None:
    config = ServerConfig()
    for name, row in _table("server-options.md").items():
        default = getattr(config, name)
        if isinstance(default, bool):
            assert row.startswith(f" `{default}` |"), name
        elif isinstance(default, int) and name != "thread_limit":
            assert row.startswith(f" {default} |"), name
        elif isinstance(default, float):
            assert row.startswith(f" {default:g} |"), name


def test_the_tables_of_errors_are_complete() -> None:
    raised = {
        name
        for name in PUBLIC
        if isinstance(kind := getattr(asynq_py, name), type) and issubclass(kind, BaseException)
    }
    assert _table("errors.md").keys() == raised
