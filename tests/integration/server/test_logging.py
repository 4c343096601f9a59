"""One line an event, which tells ID, type and queue; never a payload."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from redis.asyncio import Redis

from asynq_py import (
    ActiveTask,
    Client,
    RetryLater,
    RevokeTask,
    Server,
    ServerOptions,
    SkipRetry,
    Task,
)
from asynq_py.wire.keys import QueueKeys
from tests.books import Books, books_become
from tests.eventually import eventually
from tests.state import message_of

CANARY = "canary-4711"
ID, TYPE, QUEUE = "the-id", "the:type", "the-queue"
ENDS_AT_ONCE: ServerOptions = {"queues": [QUEUE], "shutdown_timeout": 0, "lease": 8.0}


@pytest.fixture
def about_the_task(caplog: pytest.LogCaptureFixture) -> Callable[[], list[tuple[str, str]]]:
    """Level and first word of each record, from INFO up, that tells of the task."""
    caplog.set_level(logging.DEBUG)

    def found() -> list[tuple[str, str]]:
        said = [(r.levelname, r.getMessage()) for r in caplog.records if r.name.startswith("asynq_py")]
        return [
            (level, text.split()[0])
            for level, text in said
            if ID in text and TYPE in text and QUEUE in text and level != "DEBUG"
        ]

    return found


async def enqueue(client: Client) -> None:
    headers = {"h": CANARY}
    await client.enqueue(Task(TYPE, CANARY, task_id=ID, queue=QUEUE, headers=headers, retention=60))


@pytest.mark.parametrize(
    ("error", "wanted", "said"),
    [
        pytest.param(None, Books(completed={ID}, processed=1), ("INFO", "done"), id="success"),
        pytest.param(
            ValueError("x"), Books(retry={ID}, processed=1, failed=1), ("WARNING", "failed"), id="failure"
        ),
        pytest.param(RetryLater(60), Books(retry={ID}), ("INFO", "put"), id="later"),
        pytest.param(
            SkipRetry("x"), Books(archived={ID}, processed=1, failed=1), ("ERROR", "archived"), id="skipped"
        ),
        pytest.param(RevokeTask(), Books(processed=1), ("INFO", "revoked"), id="revoked"),
    ],
)
async def test_each_end_of_a_try_is_told_once_without_the_payload(
    redis_url: str,
    redis: Redis,
    client: Client,
    caplog: pytest.LogCaptureFixture,
    about_the_task: Callable[[], list[tuple[str, str]]],
    error: Exception | None,
    wanted: Books,
    said: tuple[str, str],
) -> None:
    async def handler(task: ActiveTask) -> None:
        await task.write_result(CANARY.encode())
        if error is not None:
            raise error

    await enqueue(client)
    async with Server(redis_url, handler, **ENDS_AT_ONCE):
        await books_become(redis, wanted, QUEUE)

    assert about_the_task() == [said]
    assert CANARY not in caplog.text


async def test_a_task_handed_back_is_told_once_without_the_payload(
    redis_url: str,
    client: Client,
    caplog: pytest.LogCaptureFixture,
    about_the_task: Callable[[], list[tuple[str, str]]],
) -> None:
    started = asyncio.Event()

    async def handler(task: ActiveTask) -> None:
        started.set()
        await asyncio.Event().wait()

    await enqueue(client)
    async with asyncio.timeout(20), Server(redis_url, handler, **ENDS_AT_ONCE):
        await started.wait()

    assert about_the_task() == [("INFO", "handed")]
    assert CANARY not in caplog.text


async def test_a_lost_lease_is_told_once_without_the_payload(
    redis_url: str,
    redis: Redis,
    client: Client,
    caplog: pytest.LogCaptureFixture,
    about_the_task: Callable[[], list[tuple[str, str]]],
) -> None:
    async def handler(task: ActiveTask) -> None:
        await redis.zrem(QueueKeys(QUEUE).lease, ID)
        await asyncio.Event().wait()

    async def told() -> list[tuple[str, str]]:
        return about_the_task()

    await enqueue(client)
    async with Server(redis_url, handler, **ENDS_AT_ONCE):
        await eventually(told)

    assert about_the_task() == [("WARNING", "lost")]
    assert CANARY not in caplog.text


@pytest.mark.parametrize(
    "garbled", [CANARY.encode(), message_of("another", queue=QUEUE, payload=CANARY.encode())]
)
async def test_a_garbled_message_is_told_of_without_its_bytes(
    redis_url: str, redis: Redis, client: Client, caplog: pytest.LogCaptureFixture, garbled: bytes
) -> None:
    caplog.set_level(logging.DEBUG)
    await enqueue(client)
    await redis.hset(QueueKeys(QUEUE).task(ID), "msg", garbled)
    async with Server(redis_url, lambda task: None, **ENDS_AT_ONCE):
        await books_become(redis, Books(archived={ID}, processed=1, failed=1), QUEUE)

    assert sum(ID in record.getMessage() and QUEUE in record.getMessage() for record in caplog.records) == 1
    assert CANARY not in caplog.text


async def test_a_server_tells_where_it_works_when_it_begins_and_that_it_has_ended(
    redis_url: str, redis: Redis, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await client.enqueue(Task("t"))
    async with Server(redis_url, lambda task: None, queues={"default": 3}, concurrency=7):
        await books_become(redis, Books(processed=1))

    said = [r.getMessage() for r in caplog.records if r.name == "asynq_py.server.server"]
    assert said[0].startswith("serving {'default': 3} from ")
    assert said[0].endswith("7 tasks at once")
    assert said[1:] == ["shutting down", "ended"]


async def test_the_text_of_an_error_is_one_short_line_that_no_terminal_obeys(
    redis: Redis, client: Client, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(task: ActiveTask) -> None:
        raise ValueError("\x1b[2J\n" + "x" * 1_000_000)

    await enqueue(client)
    async with Server(redis_url, handler, **ENDS_AT_ONCE):
        await books_become(redis, Books(retry={ID}, processed=1, failed=1), queue=QUEUE)

    (line,) = [record for record in caplog.records if record.getMessage().startswith("failed")]
    assert line.exc_info is None
    assert line.getMessage().isprintable()
    assert len(line.getMessage()) < 1000


async def test_an_error_whose_text_utf_8_cannot_hold_is_logged_all_the_same(
    redis: Redis, client: Client, redis_url: str, tmp_path: Path
) -> None:
    async def handler(task: ActiveTask) -> None:
        raise ValueError("a \udc80") from KeyError("b \ud800")

    def error_handler(task: ActiveTask, error: BaseException) -> None:
        raise TypeError("c \udc80")

    log = logging.FileHandler(tmp_path / "log", encoding="utf-8")
    logging.getLogger("asynq_py").addHandler(log)
    try:
        await enqueue(client)
        async with Server(redis_url, handler, error_handler=error_handler, queues=[QUEUE]):
            await books_become(redis, Books(retry={ID}, processed=1, failed=1), queue=QUEUE)
    finally:
        logging.getLogger("asynq_py").removeHandler(log)
        log.close()

    text = (tmp_path / "log").read_text("utf-8")
    for line in ("failed <", "ValueError: a \\udc80", "the error handler failed on", "TypeError: c \\udc80"):
        assert line in text
    assert "Traceback" in text
