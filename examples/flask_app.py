"""Flask: views enqueue by a SyncClient, which all threads share; workers are processes of their own.

`flask --app flask_app:web run` and `asynq-py worker flask_app:tasks`, which need one Redis for both: let
ASYNQ_REDIS_URL name it, or embedded:///tmp/shop. As a script it sends itself requests.
"""

import asyncio
import os
from typing import Any

from flask import Flask, Response, jsonify, request

from asynq_py import App, Inspector, QueueNotFoundError, SyncClient, TaskInfo, TaskNotFoundError

os.environ.setdefault("ASYNQ_REDIS_URL", "embedded://")

tasks = App(retention=3600)
client = SyncClient()  # connects when it is first used, so also in each process that gunicorn forks
web = Flask(__name__)


@tasks.task(queue="mail")
def send_welcome(name: str) -> str:
    return f"welcome, {name}"


@web.post("/users")
def register() -> tuple[Response, int]:
    info = client.enqueue(send_welcome.task(request.get_json()["name"]))
    return jsonify(task=info.id), 202


@web.get("/mails/<task_id>")
def status(task_id: str) -> tuple[Response, int]:
    try:
        info = asyncio.run(look(task_id))
    except (TaskNotFoundError, QueueNotFoundError):
        return jsonify(error="no such task"), 404
    return jsonify(state=info.state, result=info.result.decode() if info.result else None), 200


async def look(task_id: str) -> TaskInfo:
    async with Inspector() as inspector:
        return await inspector.task_info("mail", task_id)


async def main() -> None:
    browser = web.test_client()
    async with tasks.server(concurrency=5):
        answer = await asyncio.to_thread(browser.post, "/users", json={"name": "ada"})
        print(f"POST /users: {answer.status_code}")
        seen: dict[str, Any] = {"state": ""}
        while seen["state"] != "completed":
            await asyncio.sleep(0.05)
            found = await asyncio.to_thread(browser.get, f"/mails/{answer.get_json()['task']}")
            seen = found.get_json()
        print(f"GET /mails/…: {seen['result']}")
        print((await asyncio.to_thread(browser.get, "/mails/unheard-of")).status_code)
    client.close()


if __name__ == "__main__":
    asyncio.run(main())
