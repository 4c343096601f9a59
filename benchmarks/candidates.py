"""Who is measured: asynq-py, the bare loop, and the peers, each with what runs it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("ASYNQ_PY_BENCH_CACHE", "~/.cache/asynq-py-bench")).expanduser()
SETUP_LIMIT = 300.0  # seconds that one step of setting up may take


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A system. `command`: answers a request given as last argument. `handle`, `store`: guesses, tasks/s."""

    name: str
    command: tuple[str, ...]
    version: str = ""
    delivery: str = "at least once"
    is_quick: bool = True
    is_python: bool = True
    is_asynchronous: bool = True
    handle: int = 25_000
    store: int = 4_000
    failure: str = ""  # why it cannot be run


OURS = Candidate(name="asynq-py", command=(sys.executable, "-m", "benchmarks.systems.ours"), handle=30_000)
BARE = Candidate(
    name="bare loop",
    command=(sys.executable, "-m", "benchmarks.systems.bare"),
    delivery="no recovery",
    handle=40_000,
)


def peers(*, quick: bool) -> Iterator[Candidate]:
    """Set up and yield each; one that cannot be set up says why."""
    table = tomllib.loads((HERE / "peers.toml").read_text())
    for name, peer in table.items():
        if peer.get("quick") or not quick:
            yield _peer(name, peer)


def _peer(name: str, peer: dict[str, Any]) -> Candidate:
    command: tuple[str, ...] = ()
    failure = ""
    try:
        if name == "asynq":
            command = (str(_go_program()),)
        else:
            python = _environment(name, peer["requirements"], peer.get("python"))
            command = (str(python), "-m", f"benchmarks.peers.{name}")
    except subprocess.CalledProcessError as error:
        failure = f"not set up: {(error.stderr or '').strip()[-300:]}"
    except (subprocess.TimeoutExpired, OSError) as error:
        failure = f"not set up: {error}"
    return Candidate(
        name=peer.get("title", name),
        command=command,
        version=peer.get("version") or peer["requirements"][0].partition("==")[2],
        delivery=peer["delivery"],
        is_quick=peer.get("quick", False),
        is_python=name != "asynq",
        is_asynchronous=peer.get("asynchronous", False),
        handle=peer["pace"]["handle"],
        store=peer["pace"]["store"],
        failure=failure,
    )


def _environment(name: str, requirements: list[str], version: str | None) -> Path:
    """Its interpreter, in an environment that holds exactly these requirements."""
    digest = hashlib.sha256(f"{requirements}{version}{sys.version}".encode()).hexdigest()[:8]
    folder = CACHE / f"{name}-{digest}"
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        shutil.rmtree(folder, ignore_errors=True)
        _run(_interpreter(version), "-m", "venv", str(folder))
        _run(str(python), "-m", "pip", "install", "--quiet", "--no-input", *requirements)
        (folder / "ready").touch()
    return python


def _interpreter(version: str | None) -> str:
    if version is None or sys.version_info >= tuple(int(part) for part in version.split(".")):
        return sys.executable
    minor = int(version.split(".")[1])
    for newer in range(minor, minor + 4):
        pyenv = sorted(Path("~/.pyenv/versions").expanduser().glob(f"3.{newer}.*/bin/python3"))
        for found in (*map(str, pyenv), shutil.which(f"python3.{newer}")):
            if found and subprocess.run([found, "-c", ""], capture_output=True, timeout=20).returncode == 0:
                return found
    raise FileNotFoundError(f"needs Python {version} or newer")


def _go_program() -> Path:
    """asynq's adapter, built when its source has changed."""
    if shutil.which("go") is None:
        raise FileNotFoundError("Go is not installed")
    source = HERE / "peers" / "asynq_go"
    text = b"".join(path.read_bytes() for path in sorted(source.iterdir()) if path.is_file())
    program = CACHE / f"asynq-go-{hashlib.sha256(text).hexdigest()[:8]}"
    if not program.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        _run("go", "build", "-o", str(program), ".", cwd=source)
    return program


def _run(*command: str, cwd: Path | None = None) -> None:
    # without PYTHONPATH: what lies there would count as installed
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=SETUP_LIMIT, cwd=cwd, env=environment
    )
