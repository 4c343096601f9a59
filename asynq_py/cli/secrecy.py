"""Keeps passwords out of what others can see: a list of processes shows the arguments of each."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from typing import Final

HAND_OVER: Final = "_ASYNQ_PY_REDIS"  # only the user who runs a process can see its environment
_USER: Final = re.compile(r"://[^/?#]*@")
_PARAMETER: Final = re.compile(r"[?&](?:\w+_)?password=", re.IGNORECASE)


def has_password(url: str) -> bool:
    """May there be a password in it? A user name alone counts as well."""
    return bool(_USER.search(url) or _PARAMETER.search(url))


def without(arguments: Sequence[str], url: str) -> list[str]:
    """Leave out `--redis URL` and `--redis=URL`."""
    kept: list[str] = []
    for argument in arguments:
        if argument == url and kept and kept[-1] == "--redis":
            kept.pop()
        elif argument != f"--redis={url}":
            kept.append(argument)
    return kept


def hide(url: str) -> None:
    """Begin this process again with the URL in its environment, if it is among the arguments with a password.

    The process stays the same one, with the same number, input and output. Then `handed_over` has the URL.
    """
    arguments = sys.orig_argv[1:]
    kept = without(arguments, url)
    if has_password(url) and kept != arguments:
        sys.stdout.flush()
        sys.stderr.flush()
        os.execve(sys.executable, [sys.orig_argv[0], *kept], {**os.environ, HAND_OVER: url})


def handed_over() -> str | None:
    """The URL that was among the arguments, if it was hidden. Processes that we start do not get it."""
    return os.environ.pop(HAND_OVER, None)
