"""Functions that another process can find."""

from __future__ import annotations

import os
import time
from datetime import datetime

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


@app.task(executor="process")
def fail(how: str) -> None:
    match how:
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
