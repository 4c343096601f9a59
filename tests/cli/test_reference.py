"""docs/reference/command-line.md says what the commands say."""

from __future__ import annotations

import re

import click
import pytest

from asynq_py.cli.program import NAME, program
from tests.cli import reference
from tests.cli.program import Program

COMMANDS = [
    path for path, command, _ in reference.commands(program, NAME) if not isinstance(command, click.Group)
]


def test_the_page_is_up_to_date() -> None:
    assert reference.PAGE.read_text("utf-8") == reference.page(), "run python -m tests.cli.reference"


@pytest.mark.parametrize("path", ["asynq-py worker", "asynq-py task delete", "asynq-py stats"])
async def test_the_page_has_every_option_of_the_help(bare: Program, path: str) -> None:
    shown = (await bare(*path.split()[1:], "--help")).out
    text = reference.PAGE.read_text("utf-8")
    (section,) = re.findall(rf"^## {path}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)

    options = set(re.findall(r"^  (?:-\w, )?(--[\w-]+)", shown, re.MULTILINE))
    told = set(re.findall(r"^  (?:-\w, )?(--[\w-]+)", section, re.MULTILINE))
    assert options - told == {"--redis", "--config", "--debug", "--help"} | (
        {"--json"} if "*JSON*" in section else set()
    )


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_and_option_is_described(path: str) -> None:
    (command,) = (command for name, command, _ in reference.commands(program, NAME) if name == path)
    assert command.help
    assert [
        parameter.name
        for parameter in command.params
        if isinstance(parameter, click.Option) and not parameter.help
    ] == []


GO = {
    "stats": "stats", "queue list": "queue ls", "queue inspect": "queue inspect",
    "queue history": "queue history", "queue pause": "queue pause", "queue resume": "queue unpause",
    "queue remove": "queue rm",
    "task list": "task ls", "task inspect": "task inspect", "task cancel": "task cancel",
    "task archive": "task archive", "task delete": "task delete", "task run": "task run",
    "task enqueue": "task enqueue", "group list": "group ls", "server list": "server ls",
    "cron list": "cron ls", "cron history": "cron history",
}  # fmt: skip


@pytest.mark.parametrize("theirs", GO)
def test_every_command_of_go_has_its_like(theirs: str) -> None:
    assert f"asynq-py {GO[theirs]}" in COMMANDS
    command: click.Command | None = program
    context = click.Context(program)
    for word in theirs.split():  # Go's own words are understood as well
        assert isinstance(command, click.Group)
        command = command.get_command(context, word)
    assert command is not None
