"""Tracebacks that every log can hold, whatever the text of the error."""

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
