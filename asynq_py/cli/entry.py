"""The way in: run the program, or say in one line what must be installed first."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Final, NoReturn

LIBRARIES: Final = ("click", "rich")  # those of the extra `cli` that every command needs


def main() -> NoReturn:
    """What `asynq-py` and `python -m asynq_py` call."""
    if any(find_spec(name) is None for name in LIBRARIES):
        sys.exit("asynq-py: the command line needs packages of its own: pip install 'asynq-py[cli]'")
    # by name, as this module must do without them
    sys.exit(import_module("asynq_py.cli.program").run())
