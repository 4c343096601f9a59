"""The config file: `asynq-py.toml`, or the section `[tool.asynq-py]` of `pyproject.toml`."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from asynq_py.cli.failure import ConfigError

NAME: Final = "asynq-py.toml"
PROJECT: Final = "pyproject.toml"
SECTION: Final = "asynq-py"


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """`redis`: a URL. `defaults`: of options, by command; of the options of `queue ls` in `queue`, `ls`."""

    path: Path
    redis: str | None
    defaults: Mapping[str, Any]


def find(explicit: str | None) -> ConfigFile | None:
    """Read the file that is named, or the first one in this folder and those above it, if there is any.

    Raises: ConfigError: it cannot be read, or is wrong.
    """
    if explicit is not None:
        path = Path(explicit)
        return _made(path, _section(path) or {})
    for folder in (Path.cwd(), *Path.cwd().parents):
        for path in (folder / NAME, folder / PROJECT):
            if path.is_file() and (section := _section(path)) is not None:
                return _made(path, section)
    return None


def _section(path: Path) -> Mapping[str, Any] | None:
    """What the file says of us; None: nothing."""
    try:
        with path.open("rb") as file:
            content = tomllib.load(file)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # not only TOMLDecodeError: numbers may be too long
        raise ConfigError(f"{path} is not TOML: {error}") from error
    section = content.get("tool", {}).get(SECTION) if path.name == PROJECT else content
    if section is not None and not isinstance(section, dict):
        raise ConfigError(f"{path}: tool.{SECTION} is a section, [tool.{SECTION}]")
    return section


def _made(path: Path, section: Mapping[str, Any]) -> ConfigFile:
    rest = dict(section)
    redis = rest.pop("redis", None)
    if redis is not None and not isinstance(redis, str):
        raise ConfigError(f'{path}: redis is a URL, as in redis = "redis://localhost:6379/0"')
    return ConfigFile(path, None if redis is None else _expanded(redis, path), _normal(rest))


def _expanded(url: str, path: Path) -> str:
    """Put environment variables in their places, `${LIKE_THIS}`, encoded as URLs need it."""

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name not in os.environ:
            raise ConfigError(f"{path}: redis needs the environment variable {name}, which is not set")
        return quote(os.environ[name], safe="")

    return re.sub(r"\$\{(\w+)\}", value, url)


def _normal(table: Mapping[str, Any]) -> dict[str, Any]:
    """Options are written with hyphens or underscores."""
    return {
        name.replace("-", "_"): _normal(value) if isinstance(value, dict) else value
        for name, value in table.items()
    }
