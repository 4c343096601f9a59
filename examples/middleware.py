"""Middleware: what should happen around every handler, written once."""

import asyncio
import os
import time
from contextvars import ContextVar

from asynq_py import ActiveTask, AsyncHandler, Client, RevokeTask, ServeMux, Server, Task

os.environ.setdefault("ASYNQ_REDIS_URL", "embedded://")

tenant: ContextVar[str] = ContextVar("tenant")
finished: asyncio.Queue[str] = asyncio.Queue()


async def measure(task: ActiveTask, call_next: AsyncHandler) -> None:
    """Code before and after: how long did it take, and did it work?"""
    started = time.perf_counter()
    outcome = "failed"
    try:
        await call_next(task)
        outcome = "done"
    finally:
        is_fast = time.perf_counter() - started < 1.0
        print(f"{task.type} {outcome} {'quickly' if is_fast else 'slowly'}")
        finished.put_nowait(task.id)


async def for_tenant(task: ActiveTask, call_next: AsyncHandler) -> None:
    """Headers travel with a task; here one of them becomes a context variable."""
    tenant.set(task.headers.get("tenant", "nobody"))
    await call_next(task)


async def not_suspended(task: ActiveTask, call_next: AsyncHandler) -> None:
    """Middleware may also decide that the handler is not called at all."""
    if tenant.get() == "suspended":
        raise RevokeTask
    await call_next(task)


mux = ServeMux()
mux.use(measure, for_tenant, not_suspended)  # the first is the outermost


@mux.handler("report:build")
async def build(task: ActiveTask) -> None:
    print(f"building the report of {tenant.get()}")


async def main() -> None:
    async with Client() as client, Server(None, mux, concurrency=1):
        for name in ("acme", "suspended"):
            await client.enqueue(Task("report:build", headers={"tenant": name}))
        await finished.get()
        await finished.get()


if __name__ == "__main__":
    asyncio.run(main())
