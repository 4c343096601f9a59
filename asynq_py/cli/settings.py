"""What every command may be told: where Redis is, how to print, how much to say when it fails."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import click

import asynq_py
from asynq_py.cli import config_file, secrecy
from asynq_py.cli.config_file import ConfigFile

T = TypeVar("T")
Decorated = TypeVar("Decorated", bound=Callable[..., Any])


@dataclass(slots=True)
class Settings:
    """`redis_argument`: what `--redis` says. One for each run of the program."""

    redis_argument: str | None = None
    file: ConfigFile | None = None
    is_debug: bool = False
    is_json: bool = False

    @property
    def redis(self) -> str | None:
        """The URL that counts: the argument, the environment, the config file. None: localhost."""
        from_file = self.file.redis if self.file else None
        return self.redis_argument or os.environ.get("ASYNQ_REDIS_URL") or from_file

    def inspect(self, work: Callable[[asynq_py.Inspector], Awaitable[T]]) -> T:
        """Do something with an Inspector."""

        async def main() -> T:
            async with asynq_py.Inspector(self.redis) as inspector:
                return await work(inspector)

        return asyncio.run(main())


# -- options -----------------------------------------------------------------------------------------------


def common(command: Decorated) -> Decorated:
    """Give a command the options that all have."""
    return _redis(_config(_debug(command)))


def readable(command: Decorated) -> Decorated:
    """Give a command that prints facts those, and `--json`."""
    return common(_json(command))


def settings_of(context: click.Context) -> Settings:
    """Those of this run of the program."""
    return context.find_root().ensure_object(Settings)


def _set_redis(context: click.Context, _: click.Parameter, url: str | None) -> None:
    settings = settings_of(context)
    if url is not None and not context.resilient_parsing:
        secrecy.hide(url)
    if url is None and context.parent is None:
        url = secrecy.handed_over()
    if url is not None:
        settings.redis_argument = url


def _set_config(context: click.Context, _: click.Parameter, path: str | None) -> None:
    settings = settings_of(context)
    if path is None and context.parent is not None:
        return  # the program itself has looked
    settings.file = config_file.find(path)
    defaults: Mapping[str, Any] = settings.file.defaults if settings.file else {}
    for name in context.command_path.split()[1:]:
        defaults = defaults.get(name, {})
    context.default_map = dict(defaults)


def _set_debug(context: click.Context, _: click.Parameter, is_debug: bool) -> None:
    settings_of(context).is_debug |= is_debug


def _set_json(context: click.Context, _: click.Parameter, is_json: bool) -> None:
    settings_of(context).is_json |= is_json


_redis = click.option(
    "--redis",
    metavar="URL",
    help="Where Redis is. Default: $ASYNQ_REDIS_URL, the config file, or redis://localhost:6379/0.",
    callback=_set_redis,
    is_eager=True,
    expose_value=False,
)
_config = click.option(
    "--config",
    metavar="FILE",
    envvar="ASYNQ_PY_CONFIG",
    help="A config file. Default: asynq-py.toml or pyproject.toml, here or in a folder above.",
    callback=_set_config,
    is_eager=True,
    expose_value=False,
)
_debug = click.option(
    "--debug",
    is_flag=True,
    help="Show the traceback of an error.",
    callback=_set_debug,
    is_eager=True,
    expose_value=False,
)
_json = click.option(
    "--json",
    "is_json",
    is_flag=True,
    help="Print JSON.",
    callback=_set_json,
    expose_value=False,
)
