"""The guardian of an embedded server: a process of its own, run as a script on the standard library alone.

Starts the server, starts it again if it dies, and ends it when no user is left. If the guardian itself is
killed, the kernel ends the server (Linux), and the next user starts both anew.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

USERS = "users.lock"
STARTING = "start.lock"
LOG = "valkey.log"
QUICK = 1.0  # seconds; a server that lives no longer than this has failed
FAILURES = 5  # quick ones in a row after which we give up
LOADING_TIMEOUT = 600.0  # seconds a large append-only file may take


def lock(path: Path, *, exclusive: bool) -> int:
    """Wait for the lock of the file that has this name. Returns the descriptor that holds it."""
    while True:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        held = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(held, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(held), os.stat(path)):
                return held
        os.close(held)  # deleted by a guardian while we waited


def answers(path: Path) -> bool:
    """Does a server that has its data ready listen at this socket?"""
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1.0)
            client.connect(str(path))
            client.sendall(b"PING\r\n")
            return client.recv(16).startswith(b"+PONG")
    except OSError:
        return False


class Guardian:
    """`path`: of the server's socket. `held`: shows that no other guardian cares for this directory."""

    def __init__(self, directory: Path, path: Path, binary: str, *, is_temporary: bool, held: int) -> None:
        self._directory = directory
        self._path = path
        self._binary = binary
        self._is_temporary = is_temporary
        self._held = held
        self._nobody_is_left = threading.Event()
        self._server = self._start()

    def has_started(self) -> bool:
        """Wait until the server answers. False if it ends instead, or takes too long."""
        deadline = time.monotonic() + LOADING_TIMEOUT
        while time.monotonic() < deadline and self._server.poll() is None:
            if answers(self._path):
                return True
            time.sleep(0.005)
        return False

    def watch(self) -> None:
        """Keep the server alive until nobody is left, then clean up."""
        threading.Thread(target=self._wait_for_users, daemon=True).start()
        failures = 0
        while not self._nobody_is_left.is_set():
            born = time.monotonic()
            self._server.wait()
            if self._nobody_is_left.is_set():
                break
            failures = failures + 1 if time.monotonic() - born < QUICK else 0
            if failures == FAILURES:
                return
            # by this thread, the main one: the kernel ends the server with the thread that started it
            self._server = self._start()
        self.end()

    def end(self) -> None:
        self._server.terminate()
        self._server.wait()
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        if self._is_temporary:
            shutil.rmtree(self._directory, ignore_errors=True)

    def _wait_for_users(self) -> None:
        lock(self._directory / USERS, exclusive=True)  # held until this process ends: newcomers wait for that
        self._nobody_is_left.set()
        self._server.terminate()

    def _start(self) -> subprocess.Popen[bytes]:
        with open(self._directory / LOG, "ab") as log:
            return subprocess.Popen(
                [
                    *(
                        self._binary,
                        "--port",
                        "0",
                        "--unixsocket",
                        str(self._path),
                        "--unixsocketperm",
                        "700",
                    ),
                    *("--daemonize", "no", "--dir", str(self._directory), "--save", ""),
                    *("--appendonly", "no" if self._is_temporary else "yes", "--appendfsync", "everysec"),
                    *("--maxmemory-policy", "noeviction"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent,
            )


def _die_with_parent() -> None:
    with contextlib.suppress(OSError, AttributeError):  # Linux alone has it
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def main(ready: socket.socket, directory: Path, path: Path, binary: str, kind: str) -> None:
    held = os.open(directory / "guard.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        time.sleep(0.02)  # another guardian is just bringing the server back
        ready.sendall(b"?")
        return
    guardian = Guardian(directory, path, binary, is_temporary=kind == "temporary", held=held)
    if not guardian.has_started():
        guardian.end()
        return
    with contextlib.suppress(OSError):  # the starter may be gone
        ready.sendall(b"1")
    ready.close()
    guardian.watch()


if __name__ == "__main__":
    main(
        socket.socket(fileno=int(sys.argv[1])), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4], sys.argv[5]
    )
