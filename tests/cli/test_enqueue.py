"""`asynq-py task enqueue`."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis

from asynq_py import Inspector, TaskState
from tests.books import message
from tests.cli.program import Program


async def test_a_task_is_enqueued_as_it_is_written(run: Program, inspector: Inspector) -> None:
    answer = await run("task", "enqueue", "mail:send", '{"to": "ada"}', "--id", "a")

    assert answer.out == "enqueued a in queue default: pending\n"
    info = await inspector.task_info("default", "a")
    assert (info.type, info.payload, info.max_retry, info.timeout) == (
        "mail:send",
        b'{"to": "ada"}',
        25,
        1800,
    )


async def test_every_option_arrives(run: Program, inspector: Inspector, redis: Redis) -> None:
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    answer = await run(
        "task", "enqueue", "t", "x", "-q", "q", "--id", "a", "--max-retry", "3", "--timeout", "1m30s",
        "--deadline", (at + timedelta(hours=2)).isoformat(), "--unique", "1h", "--process-at", at.isoformat(),
        "--retention", "1d", "-H", "trace=1=2", "--json",
    )  # fmt: skip

    info = await inspector.task_info("q", "a")
    assert (info.state, info.next_process_at, info.deadline) == (
        TaskState.SCHEDULED, at, at + timedelta(hours=2),
    )  # fmt: skip
    assert (info.max_retry, info.timeout, info.retention) == (3, 90, 86400)
    assert info.headers == {"trace": "1=2"}
    stored = await message(redis, "a", "q")
    assert 7190 < await redis.ttl(stored.unique_key) <= 7200  # from when it is due
    assert answer.json["task"]["id"] == "a"
    assert answer.json["task"]["state"] == "scheduled"


async def test_a_group_waits_to_be_aggregated(run: Program) -> None:
    answer = await run("task", "enqueue", "t", "-g", "g", "--id", "a")

    assert answer.out == "enqueued a in queue default: aggregating\n"


async def test_a_payload_may_come_from_a_file_or_from_standard_input(
    run: Program, inspector: Inspector
) -> None:
    (run.folder / "payload").write_bytes(b"\xff\x00\n")

    await run("task", "enqueue", "t", "--file", "payload", "--id", "a")
    await run("task", "enqueue", "t", "--file", "-", "--id", "b", given=b"\x00 from stdin")

    assert (await inspector.task_info("default", "a")).payload == b"\xff\x00\n"
    assert (await inspector.task_info("default", "b")).payload == b"\x00 from stdin"


async def test_a_refusal_is_one_line(run: Program) -> None:
    await run("task", "enqueue", "t", "x", "--id", "a", "--unique", "60")

    assert await run.fails("task", "enqueue", "t", "--id", "a", code=1) == (
        "asynq-py: queue 'default' already has a task with the ID 'a'"
    )
    assert await run.fails("task", "enqueue", "t", "x", "--unique", "60", code=1) == (
        "asynq-py: a unique task of this type and payload is already in queue 'default'"
    )


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "say either TYPE and PAYLOAD, or --from"),
        (("t", "x", "--file", "-"), "say either PAYLOAD or --file"),
        (("t", "--timeout", "soon"), "'soon' is no duration such as 90, 90s, 1h30m or 250ms"),
        (("t", "--deadline", "2026-01-31T12:00:00"), "needs a time zone"),
        (("t", "--deadline", "tomorrow"), "'tomorrow' is no time such as 2026-01-31T12:00:00Z"),
        (("t", "-H", "trace"), "'trace' is no header such as trace=1"),
        (("t", "--unique", "0.5"), "unique=0.5 is not allowed"),
        ((" ",), "type=' ' is not allowed"),
    ],
)
async def test_a_mistake_is_one_line(run: Program, arguments: tuple[str, ...], complaint: str) -> None:
    assert complaint in await run.fails("task", "enqueue", *arguments, code=2)


async def test_many_are_read_as_lines_of_json(run: Program, inspector: Inspector) -> None:
    lines = [
        {"type": "a", "payload": {"n": 1}, "task_id": "1"},
        {"type": "b", "payload": "text", "task_id": "2", "queue": "other", "process_in": "1h"},
        {"type": "c", "task_id": "3", "deadline": "2100-01-01T00:00:00Z", "headers": {"h": "2"}},
    ]
    given = "\n\n".join(map(json.dumps, lines))

    answer = await run("task", "enqueue", "--from", "-", "--retention", "60", "-H", "h=1", given=given)

    assert answer.out == "enqueued 3 of 3 tasks\n"
    first, third = [await inspector.task_info("default", task_id) for task_id in ("1", "3")]
    second = await inspector.task_info("other", "2")
    assert (first.payload, second.payload, third.payload) == (b'{"n":1}', b"text", b"")
    assert (second.state, third.deadline) == (TaskState.SCHEDULED, datetime(2100, 1, 1, tzinfo=UTC))
    assert [info.retention for info in (first, second, third)] == [60, 60, 60]
    assert (first.headers, third.headers) == ({"h": "1"}, {"h": "2"})


async def test_those_of_many_that_are_refused_are_told_by_line(run: Program, inspector: Inspector) -> None:
    given = '{"type": "t", "task_id": "a"}\n{"type": "t", "task_id": "a"}\n{"type": "t", "task_id": "b"}\n'

    answer = await run("task", "enqueue", "--from", "-", given=given, code=1)

    assert answer.out == "enqueued 2 of 3 tasks\n"
    assert answer.err == "asynq-py task enqueue: line 2: queue 'default' already has a task with the ID 'a'\n"
    assert (await inspector.queue_info("default")).size == 2


@pytest.mark.parametrize(
    "line",
    ["{", "[]", '{"payload": 1}', '{"type": "t", "timeout": "soon"}', '{"type": "t", "colour": "red"}',
     '{"type": "t", "headers": 3}', "[" * 100_000],
    ids=lambda line: line[:20],
)  # fmt: skip
async def test_a_wrong_line_costs_no_task(run: Program, inspector: Inspector, line: str) -> None:
    complaint = await run.fails("task", "enqueue", "--from", "-", given='{"type": "t"}\n' + line, code=1)

    assert complaint.startswith("asynq-py: line 2 of <stdin> is no task: ")
    assert await inspector.queues() == []


async def test_a_file_that_is_no_text_costs_no_task(run: Program, inspector: Inspector) -> None:
    complaint = await run.fails("task", "enqueue", "--from", "-", given=b'{"type": "t"}\n\xff', code=1)

    assert complaint.startswith("asynq-py: <stdin> is no text in UTF-8: ")
    assert await inspector.queues() == []
