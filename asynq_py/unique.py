"""Unique rules: which tasks keep which others off, for how long, and what becomes of those."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Self, TypeAlias, get_args

from asynq_py.errors import InvalidOptionError
from asynq_py.options import Options
from asynq_py.task import Task

UniqueUntil: TypeAlias = Literal["start", "success", "end", "ttl"]
"""How long a task keeps others off: until it begins; has succeeded; has succeeded or is archived; or for its
lock's whole time, whatever becomes of it."""
OnConflict: TypeAlias = Literal["raise", "skip", "return", "replace"]
"""What becomes of a task that another keeps off: an error; nothing; the other one is returned; or it takes
the place of that one, if it does not run."""

KEPT: Final = 24 * 3600.0  # seconds that a lock lasts where nobody says
SHORTEST: Final = 10.0  # seconds: it is renewed every five, while its task runs


@dataclass(frozen=True, slots=True)
class UniqueRule:
    """`key`: which tasks of a type are the same; None: those of the same payload."""

    key: str | None = None
    until: UniqueUntil = "success"
    on_conflict: OnConflict = "raise"

    @property
    def is_renewed(self) -> bool:
        """Does the lock last for as long as a try runs?"""
        return self.until in ("success", "end")


@dataclass(frozen=True, slots=True, init=False)
class RuledTask(Task):
    """A task with a rule. It has the option `unique`, which says how long its lock lasts."""

    rule: UniqueRule = field(repr=False)

    @classmethod
    def of(cls, task: Task, rule: UniqueRule) -> Self:
        """Raises: InvalidOptionError: its lock lasts too short, or does not say how long."""
        options = task.options
        if rule.until == "ttl" and options.unique is None:
            raise InvalidOptionError("unique_until", "ttl", "with `unique`, which says how long")
        if rule.is_renewed and options.unique is not None and options.unique < SHORTEST:
            raise InvalidOptionError(
                "unique", options.unique, f'{SHORTEST:g} or more seconds, with unique_until="{rule.until}"'
            )
        if options.unique is None:
            options = options.override({"unique": KEPT})
        ruled: Self = _again(cls, task.type, task.payload, task.headers, options, rule)
        return ruled

    def _changed(self, *, headers: dict[str, str], options: Options) -> Self:
        return self.of(Task._changed(self, headers=headers, options=options), self.rule)

    def __reduce__(self) -> tuple[Callable[..., RuledTask], tuple[object, ...]]:
        return _again, (
            *(self.__class__, self.type, self.payload, dict(self.headers)),
            *(self.options, self.rule),
        )


def _again(
    kind: type[Any],
    type_: str,
    payload: bytes | None,
    headers: Mapping[str, str],
    options: Options,
    rule: UniqueRule,
) -> Any:
    task = object.__new__(kind)
    for name, value in (
        ("type", type_), ("payload", payload), ("headers", headers), ("options", options), ("rule", rule),
    ):  # fmt: skip
        object.__setattr__(task, name, value)
    return task


def check_until(value: object) -> UniqueUntil:
    if value not in get_args(UniqueUntil):
        raise InvalidOptionError("unique_until", value, " or ".join(map(repr, get_args(UniqueUntil))))
    return value  # type: ignore[return-value]  # it is one of them


def check_on_conflict(value: object) -> OnConflict:
    if value not in get_args(OnConflict):
        raise InvalidOptionError("on_conflict", value, " or ".join(map(repr, get_args(OnConflict))))
    return value  # type: ignore[return-value]  # it is one of them
