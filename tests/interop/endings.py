"""How a task can end, and what Redis then holds: the same whoever enqueued it and whoever ran it."""

from __future__ import annotations

from dataclasses import dataclass

from tests.books import Books
from tests.interop.script import does

ID = "a"


@dataclass(frozen=True, slots=True)
class Ending:
    """`tries`: how often it runs. `error`: what is stored of the last one.

    `max_retry`, `timeout`, `retention`, `unique`: options, seconds.
    """

    name: str
    payload: bytes
    books: Books
    tries: int = 1
    error: str = ""
    result: bytes | None = None
    max_retry: int = 25
    timeout: float = 60.0
    retention: float = 0.0
    unique: float = 0.0

    def __str__(self) -> str:
        return self.name


ENDINGS = [
    Ending("success", does("succeed"), Books(processed=1)),
    Ending("success of a unique task", does("succeed"), Books(processed=1), unique=60),
    Ending("retry, then success", does("succeed", fail=2, text="x"), Books(processed=3, failed=2), tries=3),
    Ending(
        "success with a result",
        does("result", text="42"),
        Books(completed={ID}, processed=1),
        result=b"42",
        retention=60,
    ),
    Ending(
        "retries used up",
        does("fail", text="no luck"),
        Books(archived={ID}, processed=2, failed=2),
        tries=2,
        error="no luck",
        max_retry=1,
    ),
    Ending(
        "archived at once",
        does("fail", text="no luck"),
        Books(archived={ID}, processed=1, failed=1),
        error="no luck",
        max_retry=0,
    ),
    Ending(
        "skip retry",
        does("skip", text="hopeless"),
        Books(archived={ID}, processed=1, failed=1),
        error="hopeless",
    ),
    Ending(
        "timeout",
        does("wait"),
        Books(archived={ID}, processed=1, failed=1),
        error="",
        max_retry=0,
        timeout=1,
    ),
]
REVOKED = Ending("revoked", does("revoke", text="not wanted"), Books(processed=1))
"""Go learnt this in v0.25."""
