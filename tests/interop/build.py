"""Builds the Go peers, once per test session."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Final

NEWEST: Final = "v0.26.0"
OLDEST: Final = "v0.23.0"

SOURCE: Final = Path(__file__).with_name("go")
FLAGS: Final = {NEWEST: (), OLDEST: ("-modfile=v0.23.mod", "-tags=v023")}
DOWNLOAD_TIMEOUT: Final = 120
BUILD_TIMEOUT: Final = 600  # seconds; nothing of it is in Go's build cache the first time


class NoPeerError(Exception):
    """Why this machine can have no Go peer."""


@cache
def go_version() -> str:
    """Raises: NoPeerError: there is no Go."""
    if shutil.which("go") is None:
        raise NoPeerError("no Go on this machine (https://go.dev/doc/install)")
    return _go("env", "GOVERSION", timeout=30).stdout.strip()


@cache
def binary(version: str, folder: Path) -> Path:
    """Build the peer on that version of asynq. Returns the program.

    Raises: NoPeerError: the modules can be had neither from Go's cache nor from its proxy, or Go is too old.
    """
    go_version()
    modfile, *_ = FLAGS[version] or ("",)
    fetched = _go("mod", "download", *([modfile] if modfile else []), timeout=DOWNLOAD_TIMEOUT)
    if fetched.returncode != 0:
        raise NoPeerError(f"asynq {version} cannot be downloaded: {fetched.stderr.strip()[-300:]}")
    program = folder / f"peer-{version}"
    built = _go("build", "-buildvcs=false", *FLAGS[version], "-o", str(program), ".", timeout=BUILD_TIMEOUT)
    assert built.returncode == 0, built.stderr
    return program


@cache
def semaphore(folder: Path) -> Path:
    """Build the program that calls asynq's published rate-limit extension. Raises: NoPeerError."""
    go_version()
    source = SOURCE / "semaphore"
    fetched = _go("mod", "download", timeout=DOWNLOAD_TIMEOUT, source=source)
    if fetched.returncode != 0:
        raise NoPeerError(f"asynq/x cannot be downloaded: {fetched.stderr.strip()[-300:]}")
    program = folder / "semaphore"
    built = _go("build", "-buildvcs=false", "-o", str(program), ".", timeout=BUILD_TIMEOUT, source=source)
    assert built.returncode == 0, built.stderr
    return program


def _go(*arguments: str, timeout: float, source: Path = SOURCE) -> subprocess.CompletedProcess[str]:
    # GOTOOLCHAIN: use the Go that is here rather than download another one
    environment = os.environ | {"GOTOOLCHAIN": "local", "GOFLAGS": ""}
    try:
        return subprocess.run(
            ["go", *arguments],
            cwd=source,
            env=environment,
            capture_output=True,
            encoding="utf-8",
            timeout=timeout,
        )
    except subprocess.TimeoutExpired as error:
        if arguments[0] == "build":
            raise
        raise NoPeerError(f"go {' '.join(arguments)} gave no answer in {timeout} s") from error


def describe() -> str:
    """One line for the header of a test run."""
    try:
        return f"Go peers: asynq {NEWEST} and {OLDEST}, built by {go_version()}"
    except NoPeerError as error:
        return f"Go peers: skipped, {error}"
