"""Tasks are given what they need: a pool that lasts as long as the worker, a session for each try."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Annotated

from asynq_py import App, Depends, PayloadError, Shared, TaskFailedError, injected

os.environ.setdefault("ASYNQ_REDIS_URL", "embedded://")
logging.getLogger("asynq_py").setLevel(logging.CRITICAL)  # the failure is meant

tenant: ContextVar[str] = ContextVar("tenant", default="nobody")


@dataclass
class Database:
    """Stands for a pool of connections."""

    rows: list[str] = field(default_factory=list)


@asynccontextmanager
async def lifespan() -> AsyncIterator[Database]:
    print("open the database")  # once in each worker process, before its first task
    yield Database()
    print("close the database")  # after its last


app = App(lifespan=lifespan, carry=[tenant], retention=60)


class Session:
    def __init__(self, database: Database) -> None:
        self.database = database
        self.written: list[str] = []

    def write(self, row: str) -> None:
        self.written.append(row)


async def open_session(database: Shared[Database]) -> AsyncIterator[Session]:
    session = Session(database)
    try:
        yield session  # to all of this try that ask for it
    except BaseException:  # the try has failed, timed out, or was cancelled
        print("roll back", session.written)
        raise
    database.rows.extend(session.written)
    print("commit", session.written)


Db = Annotated[Session, Depends(open_session)]


@app.task(max_retry=0)
async def book(flight: str, *, seats: int = 1, db: Db = injected) -> int:
    db.write(f"{flight}: {seats} for {tenant.get()}")
    if seats > 9:
        raise ValueError("that many are not free")
    return len(db.database.rows)


async def main() -> None:
    async with app, app.server():
        tenant.set("acme")
        handle = await book.enqueue("LH 100", seats=2)  # only these arguments make the payload
        print("booked, and before it:", await handle.result(timeout=10))

        refused = await book.enqueue("LH 100", seats=10)
        try:
            await refused.result(timeout=10)
        except TaskFailedError as error:
            print("failed:", error.error)

        try:
            await book.enqueue("LH 100", db=Session(Database()))
        except PayloadError as error:
            print("refused:", error)

    # In tests: give a fake to a direct call, or let another function make it.
    fake = Session(Database(["one"]))
    print("direct:", await book("LH 101", db=fake), fake.written)
    with app.override(open_session, lambda: fake):
        print("overridden:", await book("LH 102"), fake.written)


if __name__ == "__main__":
    asyncio.run(main())
