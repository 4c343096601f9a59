"""Runs the files of examples/ the way a reader would: as processes of their own."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


def run(name: str, redis_url: str | None) -> list[str]:
    """Run an example to its end; it must succeed, and complain of nothing. Returns the lines it printed.

    `redis_url`: None leaves the choice of the server to the example.
    """
    env = {key: value for key, value in os.environ.items() if key != "ASYNQ_REDIS_URL"}
    if redis_url is not None:
        env["ASYNQ_REDIS_URL"] = redis_url
    ended = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name)],
        env={**env, "PYTHONIOENCODING": "utf-8", "COLUMNS": "80"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=50,
    )
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout + ended.stderr
    return ended.stdout.splitlines()


def load(name: str) -> ModuleType:
    """Import an example without running it."""
    spec = importlib.util.spec_from_file_location(f"example_{name.removesuffix('.py')}", EXAMPLES / name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module
