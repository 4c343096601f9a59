"""Commands and groups of them: aliases, and defaults from the config file that must exist."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

import click

from asynq_py.cli.failure import ConfigError

# Go's words for the same, and those that fingers remember.
ALIASES: Final = {
    "list": ("ls",), "resume": ("unpause",), "remove": ("rm", "delete"), "rm": ("delete",), "delete": ("rm",),
}  # fmt: skip


class Command(click.Command):
    """Complains of a default in the config file that is none of its options."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        rest = super().parse_args(ctx, args)
        known = {parameter.name for parameter in self.params}
        _check(ctx, known, "option")
        return rest


class Group(click.Group):
    command_class = Command

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)  # in the order of the code, which is of use; click would sort them

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        names = (cmd_name, *ALIASES.get(cmd_name, ()))
        return next((self.commands[name] for name in names if name in self.commands), None)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        _, command, rest = super().resolve_command(ctx, args)
        return command.name if command else None, command, rest  # an alias is shown as what it stands for

    def invoke(self, ctx: click.Context) -> Any:
        _check(ctx, {name.replace("-", "_") for name in self.list_commands(ctx)}, "command")
        return super().invoke(ctx)


class LazyGroup(Group):
    """Imports a command when it is used, or listed. `modules`: by name, where each is defined."""

    def __init__(self, *args: Any, modules: dict[str, str], **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._modules = modules

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = self._modules.get(cmd_name)
        if module is None:
            return None
        command: click.Command = getattr(import_module(module), cmd_name)
        return command


def _check(ctx: click.Context, known: set[str], kind: str) -> None:
    for name in ctx.default_map or {}:
        if name not in known:
            where = ctx.command_path
            raise ConfigError(f"the config file has a default for {name!r}, but {where} has no such {kind}")
