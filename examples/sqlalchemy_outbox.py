"""A transactional outbox: tasks are stored with the data they are about, and brought to Redis afterwards."""

import asyncio
import os
import uuid

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from asynq_py import ActiveTask, Client, EnqueueError, ServeMux, Server, Task, TaskIDConflictError

os.environ.setdefault("ASYNQ_REDIS_URL", "embedded://")

engine = create_async_engine("sqlite+aiosqlite://")
mux = ServeMux()
finished: asyncio.Queue[str] = asyncio.Queue()


class Base(DeclarativeBase): ...


class Outgoing(Base):
    __tablename__ = "outbox"
    id: Mapped[int] = mapped_column(primary_key=True)
    task_id: Mapped[str] = mapped_column(default=lambda: str(uuid.uuid4()))
    type: Mapped[str]
    payload: Mapped[bytes]


async def relay_once(client: Client) -> int:
    """Bring what waits to Redis, then forget it. If this is cut short, some of it is brought once more.

    The task keeps its ID, so that a second one is refused for as long as the first is there, and for its
    retention; handlers bear a second run after that, as always.
    """
    async with AsyncSession(engine) as session, session.begin():
        rows = await session.scalars(
            select(Outgoing).order_by(Outgoing.id).limit(100).with_for_update(skip_locked=True)
        )
        waiting = {row.id: Task(row.type, row.payload, task_id=row.task_id) for row in rows}
        answers = await client.enqueue_many(waiting.values(), retention=3600)
        brought = [
            row_id
            for row_id, answer in zip(waiting, answers, strict=True)
            if not isinstance(answer, EnqueueError) or isinstance(answer, TaskIDConflictError)
        ]
        await session.execute(delete(Outgoing).where(Outgoing.id.in_(brought)))
    return len(brought)


@mux.handler("receipt:send")
async def send(task: ActiveTask) -> None:
    finished.put_nowait(task.payload.decode())


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with AsyncSession(engine) as session, session.begin():
        session.add_all([Outgoing(type="receipt:send", payload=b"order %d" % n) for n in range(3)])
    async with Client() as client, Server(None, mux, concurrency=1):
        print(f"{await relay_once(client)} brought, then {await relay_once(client)}")
        print(sorted([await finished.get() for _ in range(3)]))
    await engine.dispose()


if __name__ == "__main__":
    asyncio.run(main())
