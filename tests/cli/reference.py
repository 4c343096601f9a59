"""Writes docs/reference/command-line.md from the commands themselves: `python -m tests.cli.reference`."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from asynq_py.cli.program import NAME, program

PAGE: Final = Path(__file__).parents[2] / "docs" / "reference" / "command-line.md"
COMMON: Final = {"redis", "config", "debug", "is_json"}  # told once, at the top
WIDTH: Final = 100

HEAD: Final = """\
# Command line

What `asynq-py COMMAND --help` says, of each command. How to use it all: [The command
line](../guide/command-line.md). This page is written by `python -m tests.cli.reference`.

Every command takes these options as well, before its name or after it:

```text
{common}
```

Commands marked *JSON* take `--json`, too.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | it could not be done, or not all of it |
| 2 | the command line, the config file or a module is wrong; or nobody was there to be asked |
| 3 | Redis is away, or denies access |
| 130 | interrupted |
"""


def commands(
    command: click.Command, path: str, above: click.Context | None = None
) -> Iterator[tuple[str, click.Command, click.Context]]:
    """All commands with their full names, groups before what is in them."""
    context = click.Context(command, above, path.split()[-1], terminal_width=WIDTH, max_content_width=WIDTH)
    yield path, command, context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from commands(found, f"{path} {name}", context)


def page() -> str:
    formatter = click.HelpFormatter(width=WIDTH)
    context = click.Context(program)
    records = (parameter.get_help_record(context) for parameter in program.params if parameter.name in COMMON)
    formatter.write_dl([record for record in records if record])
    parts = [HEAD.format(common=formatter.getvalue().rstrip())]
    for path, command, context in commands(program, NAME):
        if isinstance(command, click.Group):
            continue
        is_json = any(parameter.name == "is_json" for parameter in command.params)
        bare = copy.copy(command)
        bare.params = [parameter for parameter in command.params if parameter.name not in COMMON]
        bare.add_help_option = False
        text = bare.get_help(context).rstrip()
        parts.append(f"## {path}\n\n{'*JSON*' + chr(10) * 2 if is_json else ''}```text\n{text}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
