"""Options as the text that schedulers publish and tools read. Wire format 3.6."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from asynq_py.options import DEFAULTS, Options, TaskOptions
from asynq_py.wire import go_text

_WRITERS: Final[Mapping[str, tuple[str, Callable[..., str]]]] = {
    "queue": ("Queue", go_text.quote),
    "task_id": ("TaskID", go_text.quote),
    "max_retry": ("MaxRetry", str),
    "timeout": ("Timeout", go_text.duration),
    "deadline": ("Deadline", go_text.date),
    "unique": ("Unique", go_text.duration),
    "process_at": ("ProcessAt", go_text.date),
    "process_in": ("ProcessIn", go_text.duration),
    "retention": ("Retention", go_text.duration),
    "group": ("Group", go_text.quote),
}
_READERS: Final[Mapping[str, tuple[str, Callable[[str], object]]]] = {
    "Queue": ("queue", go_text.unquote),
    "TaskID": ("task_id", go_text.unquote),
    "MaxRetry": ("max_retry", int),
    "Timeout": ("timeout", go_text.parse_duration),
    "Deadline": ("deadline", go_text.parse_date),
    "Unique": ("unique", go_text.parse_duration),
    "ProcessAt": ("process_at", go_text.parse_date),
    "ProcessIn": ("process_in", go_text.parse_duration),
    "Retention": ("retention", go_text.parse_duration),
    "Group": ("group", go_text.unquote),
}


def write(options: Options) -> list[str]:
    """Tell the options that are not the defaults.

    What Go's tools cannot read is left out: a name with a bracket would end its text too early (Q-25).
    """
    texts = []
    for name, (word, written) in _WRITERS.items():
        value = getattr(options, name)
        if value != getattr(DEFAULTS, name):
            argument = written(value)
            if ")" not in argument:
                texts.append(f"{word}({argument})")
    return texts


def read(texts: Iterable[str]) -> TaskOptions:
    """Understand what a scheduler has published; what cannot be understood is left out."""
    found = TaskOptions()
    for text in texts:
        word, bracket, rest = text.partition("(")
        if not bracket or not rest.endswith(")") or word not in _READERS:
            continue
        name, reader = _READERS[word]
        try:
            found[name] = reader(rest[:-1])  # type: ignore[literal-required]  # a key of the table above
        except ValueError:
            continue
    return found
