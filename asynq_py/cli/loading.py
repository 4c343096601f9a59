"""`module:object`: what a user's module calls a server, or a scheduler."""

from __future__ import annotations

import sys
import traceback
from importlib import import_module
from pathlib import Path

from asynq_py.cli.failure import ConfigError


def load(path: str, *, example: str = "myproject.tasks:server") -> object:
    """Import a module of this folder or an installed one, and take the object that is named.

    `example`: what such a path looks like, for an error.

    Raises: ConfigError: there is no such module or object, or the module fails when it is imported.
    """
    module_name, colon, name = path.partition(":")
    if not colon or not module_name or not name:
        raise ConfigError(f"{path!r} is no module and object such as {example}")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)  # the program stands in another folder, so Python has not put it there
    try:
        found: object = import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or module_name
        if module_name == missing or module_name.startswith(f"{missing}."):
            raise ConfigError(f"there is no module {missing!r}, neither here nor installed") from error
        raise ConfigError(f"module {module_name!r} cannot be imported: {_where(error)}") from error
    except (Exception, SystemExit) as error:
        raise ConfigError(f"module {module_name!r} cannot be imported: {_where(error)}") from error
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError as error:
            raise ConfigError(f"module {module_name!r} has no {name!r}") from error
    return found


def called(factory: object, path: str) -> object:
    """Call what is no server itself but may make one. Raises: ConfigError: it fails."""
    if not callable(factory):
        return factory
    try:
        return factory()
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{path} fails: {_where(error)}") from error


def _where(error: BaseException) -> str:
    """`NameError: … (tasks.py, line 7)`: the place in the user's code."""
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError):
        return text  # says where by itself
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<frozen") and frame.filename != __file__
    ]
    return f"{text} ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else text
