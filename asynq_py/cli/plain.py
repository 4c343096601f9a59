"""Facts as JSON: the names and values of the Inspector's snapshots, which do not change.

Instants are RFC 3339 in UTC, spans are seconds. Payloads and results are text; those that are none are null,
and a field of the same name with `_base64` has the bytes.
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, TypeAlias

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"

BYTES: Final = frozenset({"payload", "task_payload", "result"})


def plain(value: object) -> JSON:
    """Make something that JSON can hold of snapshots, and of mappings and lists of them."""
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return str(value)  # a plain one also of an enumeration's member
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case date():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case Mapping():
            return _fields(value.items())
        case _ if dataclasses.is_dataclass(value):
            return _fields((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
        case Iterable():
            return [plain(item) for item in value]
    raise TypeError(f"JSON has no word for {type(value)}")


def _fields(items: Iterable[tuple[Any, object]]) -> dict[str, JSON]:
    found: dict[str, JSON] = {}
    for name, value in items:
        if name in BYTES and (value is None or isinstance(value, bytes)):
            text = _text(value)
            found[name] = text
            is_text = value is None or text is not None
            found[f"{name}_base64"] = None if is_text else base64.b64encode(value or b"").decode()
        else:
            found[str(name)] = plain(value)
    return found


def _text(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None
