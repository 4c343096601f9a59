"""Builds the Go peers, once per test session."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Final

NEWEST: Final = "v0.26.0"
OLDEST: Final = "v0.23.0"

# Go's own command line, `asynq`, is a module of its own without versions.
COMMAND_LINE: Final = "github.com/hibiken/asynq/tools/asynq@785bb7208cb0"
COMMAND_LINE_VARIABLE: Final = "ASYNQ_GO_CLI"

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
    return _extension("semaphore", folder)


@cache
def metrics(folder: Path) -> Path:
    """Build the program that exports what asynq's published metrics extension does. Raises: NoPeerError."""
    return _extension("metrics", folder)


@cache
def soak(folder: Path) -> Path:
    """Build the worker of the load of tests/verify/chaos. Raises: NoPeerError."""
    return _extension("soak", folder)


@cache
def documented() -> str:
    """What `go doc` tells of the newest version's public names. Raises: NoPeerError."""
    go_version()
    told = _go("doc", "-all", "github.com/hibiken/asynq", timeout=DOWNLOAD_TIMEOUT)
    if told.returncode != 0:
        raise NoPeerError(f"asynq {NEWEST} cannot be downloaded: {told.stderr.strip()[-300:]}")
    return told.stdout


@cache
def module_folder(version: str) -> str:
    """Where the sources of that version of asynq are. Raises: NoPeerError."""
    go_version()
    modfile, *_ = FLAGS[version] or ("",)
    found = _go(
        "mod", "download", "-json", *([modfile] if modfile else []), "github.com/hibiken/asynq",
        timeout=DOWNLOAD_TIMEOUT,
    )  # fmt: skip
    if found.returncode != 0:
        raise NoPeerError(f"asynq {version} cannot be downloaded: {found.stderr.strip()[-300:]}")
    return str(json.loads(found.stdout)["Dir"])


def _extension(name: str, folder: Path) -> Path:
    go_version()
    source = SOURCE / name
    fetched = _go("mod", "download", timeout=DOWNLOAD_TIMEOUT, source=source)
    if fetched.returncode != 0:
        raise NoPeerError(f"what {name} needs cannot be downloaded: {fetched.stderr.strip()[-300:]}")
    program = folder / name
    built = _go("build", "-buildvcs=false", "-o", str(program), ".", timeout=BUILD_TIMEOUT, source=source)
    assert built.returncode == 0, built.stderr
    return program


@cache
def command_line(folder: Path) -> Path:
    """Install Go's own command line. Returns the program; that in $ASYNQ_GO_CLI, if it names one.

    Raises: NoPeerError: it can be had neither from Go's cache nor from its proxy.
    """
    if given := os.environ.get(COMMAND_LINE_VARIABLE):
        return Path(given)
    go_version()
    installed = _go("install", COMMAND_LINE, timeout=BUILD_TIMEOUT, GOBIN=str(folder))
    if installed.returncode != 0:
        raise NoPeerError(
            f"Go's command line cannot be installed (${COMMAND_LINE_VARIABLE} may name one): "
            f"{installed.stderr.strip()[-300:]}"
        )
    return folder / "asynq"


def _go(
    *arguments: str, timeout: float, source: Path = SOURCE, **more: str
) -> subprocess.CompletedProcess[str]:
    """`more`: variables of its environment."""
    # GOTOOLCHAIN: use the Go that is here rather than download another one
    environment = os.environ | {"GOTOOLCHAIN": "local", "GOFLAGS": "", **more}
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
