"""SQLAlchemy: a task leaves when the transaction is committed that stored what it is about."""

import asyncio
import os

from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from asynq_py import App
from asynq_py.integrations.sqlalchemy import EnqueueOnCommit

os.environ.setdefault("ASYNQ_REDIS_URL", "embedded://")

app = App()
on_commit = EnqueueOnCommit(app)
engine = create_async_engine("sqlite+aiosqlite://")
finished = asyncio.Event()


class Base(DeclarativeBase): ...


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str]


@app.task(max_retry=5)
async def send_receipt(order_id: int) -> None:
    async with AsyncSession(engine) as session:
        order = await session.get_one(Order, order_id)  # it is there: the task left after the commit
    print(f"receipt {order_id} sent to {order.email}")
    finished.set()


async def take(email: str) -> None:
    async with AsyncSession(engine) as session, session.begin():
        order = Order(email=email)
        session.add(order)
        await session.flush()  # gives it its ID
        on_commit.enqueue(session, send_receipt.task(order.id))
        if "@" not in email:
            raise ValueError(f"{email} is no address")


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with app, app.server(concurrency=1):
        try:
            await take("nobody")
        except ValueError as error:
            print(error)  # rolled back: no order, and no task
        await take("ada@example.org")
        await finished.wait()
    await engine.dispose()


if __name__ == "__main__":
    asyncio.run(main())
