"""Schema: what the tasks of an app take and return, for other languages, and what of it has changed.

Outside of `asynq_py` itself, since it is of use to builds rather than to programs. Names are imported when
they are first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from asynq_py.late import late

if TYPE_CHECKING:
    from asynq_py.schema.changes import breaking_changes
    from asynq_py.schema.document import Document, SchemaFileError, describe, read
    from asynq_py.schema.go import UnspeakableError, to_go
    from asynq_py.schema.typescript import to_typescript

__all__ = [
    "Document",
    "SchemaFileError",
    "UnspeakableError",
    "breaking_changes",
    "describe",
    "read",
    "to_go",
    "to_typescript",
]

_HOMES: Final = {
    "Document": "document", "SchemaFileError": "document", "UnspeakableError": "go",
    "breaking_changes": "changes", "describe": "document", "read": "document", "to_go": "go",
    "to_typescript": "typescript",
}  # fmt: skip

if not TYPE_CHECKING:  # a type checker would take it as a promise that every name exists
    __getattr__ = late(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
