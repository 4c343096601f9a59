"""Functions that another process can find."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from datetime import datetime
from typing import Any

from asynq_py import App, RetryLater, SkipRetry

app = App("redis://127.0.0.1:1/0")  # never asked


@app.task(executor="process")
def pid() -> int:
    return os.getpid()


@app.task(executor="process")
def later(at: datetime, days: int) -> datetime:
    return at.replace(day=at.day + days)


@app.task(executor="process")
def spin(started: str) -> None:
    with open(started, "w", encoding="ascii") as file:
        file.write(str(os.getpid()))
    while True:
        time.monotonic()


class PickyError(Exception):
    def __init__(self, a: int, *, b: int) -> None:
        super().__init__(f"picky {a}")


class MuteError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")

    def __reduce__(self) -> Any:
        raise RuntimeError("no pickle")


class LyingError(Exception):
    def __reduce__(self) -> Any:
        return dict, ()


class Unreadable:
    def __reduce__(self) -> Any:
        return int, ("no number",)


@app.task(executor="process")
def give(what: str) -> object:
    match what:
        case "lock":
            return threading.Lock()
        case "unreadable":
            return Unreadable()
        case _:
            return what


@app.task(executor="process")
def fail(how: str) -> None:
    match how:
        case "mute":
            raise MuteError
        case "lying":
            raise LyingError("for sure")
        case "interrupt":
            raise KeyboardInterrupt
        case "cancelled":
            raise asyncio.CancelledError("by itself")
        case "leave":
            raise SystemExit(3)
        case "value":
            raise ValueError("no such user")
        case "skip":
            raise SkipRetry("not ours")
        case "later":
            raise RetryLater(60, "not yet")
        case "picky":
            raise PickyError(1, b=2)
        case _:
            os._exit(3)
