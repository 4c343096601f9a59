"""`asynq-py completion`: what a shell must know to complete commands, options and names of queues."""

from __future__ import annotations

from typing import Final

import click
from click.shell_completion import get_completion_class

from asynq_py.cli.commands import Command
from asynq_py.cli.failure import CommandError
from asynq_py.cli.settings import common

SHELLS: Final = ("bash", "zsh", "fish")


@click.command(cls=Command)
@click.argument("shell", type=click.Choice(SHELLS))
@common
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a script for a shell that completes commands, options and queues.

    For bash put  eval "$(asynq-py completion bash)"  into ~/.bashrc, for zsh the same with zsh into ~/.zshrc.
    For fish save what is printed as ~/.config/fish/completions/asynq-py.fish.
    """
    root = context.find_root()
    kind = get_completion_class(shell)
    assert kind is not None
    try:
        script = kind(root.command, {}, "asynq-py", "_ASYNQ_PY_COMPLETE").source()
    except RuntimeError as error:  # bash is too old, or not there
        raise CommandError(str(error)) from error
    click.echo(script)
