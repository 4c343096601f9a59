"""Say which calls are the same, how long one keeps the others off, and what becomes of those."""

import asyncio
import os

from asynq_py import App, DuplicateTaskError

os.environ.setdefault("ASYNQ_REDIS_URL", "embedded://")
app = App(retention=60)


# One at a time for each user, whatever the reason; who asks for another gets the one that is there.
@app.task(unique_key="{user_id}", on_conflict="return")
async def sync(user_id: int, *, reason: str = "") -> str:
    return f"synced user {user_id}, because of {reason}"


# The last one counts: it takes the place of one that still waits.
@app.task(unique_key=lambda page: page, on_conflict="replace")
async def publish(page: str, text: str) -> str:
    return f"{page}: {text}"


# Once an hour at most, however soon it is done.
@app.task(unique=3600, unique_key="{user_id}", unique_until="ttl", on_conflict="skip")
async def remind(user_id: int) -> None: ...


async def main() -> None:
    async with app:
        first = await sync.enqueue(42, reason="sign-up")
        again = await sync.enqueue(42, reason="login")
        print("the same:", again.id == first.id, "new:", again.is_new)

        await publish.options(process_in=3600).enqueue("news", "draft")
        last = await publish.enqueue("news", "final")

        try:
            await sync.options(on_conflict="raise").enqueue(42)
        except DuplicateTaskError as error:
            print("refused:", error, "| by the first:", error.held_by == first.id)

        async with app.server():
            print(await again.result(timeout=10))
            print(await last.result(timeout=10))
            print("reminded:", [(await remind.enqueue(42)).is_new for _ in range(3)])


if __name__ == "__main__":
    asyncio.run(main())
