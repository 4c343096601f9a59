"""PeriodicTaskFile: periodic tasks from a file that may be edited while the manager runs."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Final

import anyio.to_thread

from asynq_py.errors import AsynqError, InvalidOptionError, PeriodicTaskFileError
from asynq_py.scheduler.entry import EntryOptions, build
from asynq_py.scheduler.periodic import PeriodicTask
from asynq_py.task import Task

_TOML: Final = frozenset({".toml"})
_YAML: Final = frozenset({".yaml", ".yml"})
_OPTIONS: Final = EntryOptions.__required_keys__ | EntryOptions.__optional_keys__
_KEYS: Final = frozenset({"spec", "type", "payload", "headers"}) | _OPTIONS


class PeriodicTaskFile:
    """Lists the periodic tasks of a TOML or YAML file, for a `PeriodicTaskManager`.

    The file has one list, `tasks`. Each item has a `spec` and a `type`; it may have a `payload`, `headers`,
    and every option of `Scheduler.register`. It is read anew each time it is asked for. One that has an error
    is not used at all.

    Raises: InvalidOptionError: the name does not end in .toml, .yaml or .yml.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self._path = Path(path)
        if self._path.suffix not in _TOML | _YAML:
            raise InvalidOptionError("path", str(path), "the name of a .toml, .yaml or .yml file")

    async def __call__(self) -> list[PeriodicTask]:
        """Read the file.

        Raises: PeriodicTaskFileError: missing or not in order. AsynqError: the extra `yaml` is missing.
        """
        return await anyio.to_thread.run_sync(self.read)

    def read(self) -> list[PeriodicTask]:
        """The same without `await`, to check a file in a test or before a deploy."""
        content: object = _parsed(self._path, self._text())
        items = content.get("tasks") if isinstance(content, dict) else None
        if not isinstance(content, dict) or not isinstance(items, list) or len(content) > 1:
            raise PeriodicTaskFileError(self._path, None, "it must have one list, tasks, and nothing else")
        return [self._task(number, item) for number, item in enumerate(items, 1)]

    def _text(self) -> str:
        try:
            return self._path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise PeriodicTaskFileError(self._path, None, str(error)) from error

    def _task(self, number: int, item: object) -> PeriodicTask:
        place = f"task {number}"
        if not isinstance(item, Mapping):
            raise PeriodicTaskFileError(self._path, place, "it must be a table with a spec and a type")
        for key in ("name", "type"):
            if isinstance(value := item.get(key), str):
                place = f"{place} ({value})"
                break
        if unknown := [str(key) for key in item if key not in _KEYS]:
            told = f"there is no {', '.join(unknown)}; there are {', '.join(sorted(_KEYS))}"
            raise PeriodicTaskFileError(self._path, place, told)
        if missing := [key for key in ("spec", "type") if key not in item]:
            raise PeriodicTaskFileError(self._path, place, f"{' and '.join(missing)} must be given")
        options: Any = {key: value for key, value in item.items() if key in _OPTIONS}
        try:
            task = Task(item["type"], item.get("payload"), headers=item.get("headers"))
            build(item["spec"], task, options, timezone="UTC", missed="once")
        except InvalidOptionError as error:
            raise PeriodicTaskFileError(self._path, place, str(error)) from error
        return PeriodicTask(item["spec"], task, **options)


def _parsed(path: Path, text: str) -> object:
    if path.suffix in _TOML:
        try:
            return tomllib.loads(text)
        except (ValueError, RecursionError) as error:  # not only TOMLDecodeError: numbers may be too long
            raise PeriodicTaskFileError(path, None, str(error)) from error
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise AsynqError(f'{path} needs PyYAML: pip install "asynq-py[yaml]"') from error
    try:
        return yaml.safe_load(text)
    except (
        yaml.YAMLError,
        ValueError,
        RecursionError,
    ) as error:  # a date that there is not, nested too deeply
        raise PeriodicTaskFileError(path, None, " ".join(str(error).split())) from error
