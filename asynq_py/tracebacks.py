"""Tracebacks and names that every log can hold, whatever is in them."""

from __future__ import annotations

import logging

_FORMATTER = logging.Formatter()


def writable(record: logging.LogRecord) -> bool:
    """Escape what UTF-8 cannot hold in a record's traceback. A filter for loggers; it lets everything pass.

    A lone surrogate, as in `ValueError("\\udc80")`, would cost the whole line where the log is a file.
    """
    if record.exc_info and not record.exc_text:
        text = _FORMATTER.formatException(record.exc_info)
        escaped = text.encode("utf-8", "backslashreplace").decode()
        if escaped != text:  # else each handler formats it in its own way
            record.exc_text = escaped
    return True


def one_line(name: str) -> str:
    """Escape what would begin a line of its own, or steer a terminal: anybody may have given the name."""
    return name if name.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in name)
