"""What is injected, shared and unique, for type checkers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Annotated, assert_type

from asynq_py import (
    App,
    Depends,
    Progress,
    Shared,
    TaskHandle,
    current_app_state,
    current_task,
    injected,
)


class Session:
    def __init__(self, name: str) -> None:
        self.name = name


class Pools:
    size = 1


@asynccontextmanager
async def lifespan() -> AsyncIterator[Pools]:
    yield Pools()


tenant: ContextVar[str] = ContextVar("tenant")
app = App("redis://localhost:6379/0", lifespan=lifespan, carry=[tenant], max_retry=3)


async def open_session(pools: Shared[Pools]) -> AsyncIterator[Session]:
    assert_type(pools.size, int)
    yield Session("a")


Db = Annotated[Session, Depends(open_session)]


@app.task(unique_key="{user_id}", unique_until="end", on_conflict="return")
async def charge(user_id: int, *, db: Db = injected, pools: Shared[Pools] = injected) -> str:
    assert_type(db, Session)
    assert_type(pools, Pools)
    assert_type(current_app_state(Pools), Pools)
    current_task().progress(1, 2, "half")
    return db.name


@app.task
def by_default(user_id: int, db: Session = Depends(open_session)) -> int:  # noqa: B008
    return user_id


async def use() -> None:
    handle = await charge.enqueue(42)
    assert_type(handle, TaskHandle[str])
    assert_type(await handle.progress(), Progress | None)
    assert_type(handle.is_new, bool)
    assert_type(await charge(42, db=Session("fake")), str)
    assert_type(await by_default.enqueue(1), TaskHandle[int])
    with app.override(open_session, lambda: Session("fake")):
        await charge(42)
    charge.options(on_conflict="skip", unique_key=lambda user_id: user_id, unique_until="ttl", unique=60)

    await charge.enqueue("42")  # E
    await charge(42, db="fake")  # E
    await charge.enqueue(42, db=5)  # E
    await charge.enqueue(42, nothing=1)  # E
    charge.options(on_conflict="wait")  # E
    charge.options(unique_until=5)  # E
    charge.options(unique_key=5)  # E
    current_task().progress("1")  # E
    current_app_state(5)  # E
    app.override(5, 6)  # E


def wrong() -> None:
    App("redis://localhost:6379/0", lifespan=5)  # E
    App("redis://localhost:6379/0", carry=5)  # E
