"""Make one task of many: whatever a user is told within a while goes out as one mail."""

import asyncio
import json
import os

from asynq_py import ActiveTask, Client, ServeMux, Server, Task

os.environ.setdefault("ASYNQ_REDIS_URL", "embedded://")

mux = ServeMux()
mails: asyncio.Queue[str] = asyncio.Queue()


def digest(group: str, tasks: list[Task]) -> Task:
    lines = [json.loads(task.payload or b"")["text"] for task in tasks]
    return Task("mail:digest", {"to": group, "lines": sorted(lines)}, max_retry=5)


@mux.handler("mail:digest")
async def send(task: ActiveTask) -> None:
    mail = task.json()
    await mails.put(f"to {mail['to']}: {', '.join(mail['lines'])}")


async def main() -> None:
    async with Client() as client:
        for text in ("a comment", "a like", "a new follower"):
            await client.enqueue(Task("notify", {"text": text}), group="ada")
        await client.enqueue(Task("notify", {"text": "a like"}), group="grace")

        # three tasks are enough; of fewer a mail is made when no other has come for a second
        async with Server(None, mux, group_aggregator=digest, group_max_size=3, group_grace_period=1):
            for mail in sorted([await mails.get(), await mails.get()]):
                print(mail)


if __name__ == "__main__":
    asyncio.run(main())
