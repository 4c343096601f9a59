"""Shape: how values of one annotation become JSON, and JSON such values again."""

from __future__ import annotations

from typing import Any, Final, Protocol


class Misfit(Exception):
    """A value does not have the shape. `at`: where, such as ".lines[2]"; `problem` names no value."""

    def __init__(self, at: str, problem: str) -> None:
        super().__init__(at, problem)
        self.at = at
        self.problem = problem


class Shape(Protocol):
    """`name`: the annotation, as errors call it. Both directions check, and raise Misfit."""

    @property
    def name(self) -> str: ...

    def dump(self, value: Any, at: str) -> Any:
        """Make what JSON can hold."""
        ...

    def load(self, data: Any, at: str) -> Any:
        """Make the value again, from what `json.loads` gives."""
        ...


JSON_NAMES: Final = {
    dict: "object", list: "array", str: "string", int: "number", float: "number", bool: "boolean",
    type(None): "null",
}  # fmt: skip


def wrong(at: str, expected: str, value: object) -> Misfit:
    """Say which kind of value came instead; the value itself is private."""
    return Misfit(at, f"expected {expected}, got {type(value).__name__}")
