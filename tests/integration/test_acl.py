"""The smallest rights that clients, schedulers and workers need, as listed in `docs/guide/connecting.md`."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any, Protocol, cast
from urllib.parse import urlsplit, urlunsplit

import pytest
from redis.asyncio import Redis

from asynq_py import (
    ActiveTask,
    App,
    Client,
    ClientMiddleware,
    ConcurrencyLimit,
    EnqueueCall,
    EnqueueError,
    FlowFailedError,
    Inspector,
    RateLimit,
    RetryLater,
    Scheduler,
    Semaphore,
    Server,
    SkipRetry,
    Task,
    TaskInfo,
    chain,
    gather,
)
from asynq_py.errors import BrokerError
from tests.books import Books, books, books_become
from tests.eventually import eventually
from tests.servers import each_server

GUIDE = Path(__file__).parents[2] / "docs/guide/connecting.md"
SECURITY = GUIDE.with_name("security.md")


def rules(user: str) -> list[str]:
    """What the guide gives a user, by name."""
    text = re.search(rf"^user {user} (.*?)^(?:user|```)", GUIDE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert text
    return [rule for rule in text[1].replace("\\\n", " ").split() if not rule.startswith(">")]


class As(Protocol):
    async def __call__(self, user: str) -> str: ...


@pytest.fixture
async def as_user(redis: Redis, redis_url: str) -> AsyncGenerator[As]:
    """Make a user as the guide says, and a URL that logs in as that user."""
    made: set[str] = set()
    async with each_server(redis) as servers:
        for server in servers:
            await server.acl_log_reset()  # what other tests were denied is not told here

    async def as_user(user: str) -> str:
        made.add(user)
        async with each_server(redis) as servers:
            for server in servers:
                await cast(Any, server).execute_command(
                    "ACL", "SETUSER", user, "reset", ">secret", *rules(user)
                )
        parts = urlsplit(redis_url)
        return urlunsplit(parts._replace(netloc=f"{user}:secret@{parts.netloc}"))

    yield as_user
    async with each_server(redis) as servers:
        for server in servers:
            await server.acl_deluser(*made)


async def handler(task: ActiveTask) -> None:
    match task.type:
        case "fails":
            raise OSError("text")
        case "skips":
            raise SkipRetry("text")
        case "waits":
            raise RetryLater(60)
        case _:
            await task.write_result(b"result")


def aggregate(group: str, tasks: list[Task]) -> Task:
    return Task("ends", task_id="aggregated", retention=60)


async def test_client_and_worker_do_all_they_must(as_user: As, redis: Redis) -> None:
    async with (
        Client(await as_user("asynq-client")) as client,
        Server(await as_user("asynq-worker"), handler, group_aggregator=aggregate, group_max_size=1),
    ):
        await client.enqueue(Task("ends"), task_id="done")
        await client.enqueue(Task("ends"), task_id="kept", retention=60)
        await client.enqueue(Task("ends"), task_id="unique", unique=60)
        await client.enqueue(Task("ends"), task_id="soon", process_in=1)
        await client.enqueue(Task("ends"), task_id="group", group="g")
        for kind in ("fails", "skips", "waits"):
            await client.enqueue(Task(kind), task_id=kind)
        wanted = Books(
            retry={"fails", "waits"},
            archived={"skips"},
            completed={"kept", "aggregated"},
            processed=7,
            failed=2,
        )
        await books_become(redis, wanted)


async def test_a_worker_is_woken_and_cancels_and_leaves_no_denial_in_the_log(
    as_user: As, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    url = await as_user("asynq-worker")

    async def subscribed() -> int:
        async with each_server(redis) as servers:
            return sum([(await server.pubsub_numsub("asynq:cancel"))[0][1] for server in servers])

    async def blocked() -> int:
        async with each_server(redis) as servers:
            return sum([(await server.info("clients"))["blocked_clients"] for server in servers])

    async with Server(url, handler):
        await eventually(subscribed)
        await eventually(blocked)
    async with each_server(redis) as servers:
        denied = [
            entry
            for server in servers
            for entry in await server.acl_log()
            if entry["username"] == "asynq-worker"
        ]
    assert denied == []
    assert "denies" not in caplog.text


async def test_who_enqueues_flows_needs_a_few_rights_more(as_user: As, redis: Redis) -> None:
    client_url, worker_url = await as_user("asynq-client"), await as_user("asynq-worker")
    text = re.sub(r"\s+", " ", GUIDE.read_text("utf-8"))
    told = re.search(r"A client that enqueues \[flows\]\(workflows.md\) needs `([^`]+)`", text)
    assert told
    await allow(redis, "asynq-client", told[1].split())
    async with App(client_url) as theirs, App(worker_url) as ours:

        @ours.task
        async def double(n: int) -> int:
            return 2 * n

        @ours.task(max_retry=0)
        async def fail() -> int:
            raise ValueError("no")

        async with ours.server():
            handle = await theirs.enqueue(chain(double.step(1), gather(double.step(), double.step())))
            assert await handle.result(timeout=20) == [4, 4]
            failed = await theirs.enqueue(fail.step().on_failure(double.step(1)))
            with pytest.raises(FlowFailedError):
                await failed.result(timeout=20)
        assert await denials(redis) == []

    inspector_url = await as_user("asynq-inspector")
    await allow(redis, "asynq-inspector", ["+expire"])
    async with App(client_url) as theirs, Inspector(inspector_url) as inspector:
        flow = await theirs.enqueue(double.step(1))
        assert [info.state for info in await inspector.flows()]
        assert (await inspector.flow(flow.id)).total == 1
        assert await inspector.cancel_flow(flow.id)
        assert await inspector.retry_flow(failed.id)
    assert await denials(redis) == []


async def test_rules_for_unique_tasks_need_a_few_rights_more(as_user: As, redis: Redis) -> None:
    url, other_url = await as_user("asynq-client"), await as_user("asynq-scheduler")
    needs = re.search(
        r"\[rules for unique tasks\]\(.*?\) needs `(.*?)`, and to replace others\s`(.*?)`, .*? `(.*?)`\.",
        GUIDE.read_text("utf-8"),
    )
    assert needs
    await allow(redis, "asynq-client", needs[1].split())
    app, entries = App(url), App(other_url)

    @app.task(unique_key="{n}", unique_until="end", on_conflict="return")
    async def work(n: int) -> None: ...

    @entries.cron("@every 1s", unique_key="one", unique_until="end")
    async def report() -> None: ...

    async with app:
        first = await work.enqueue(1)
        assert not (await work.enqueue(1)).is_new
        await allow(redis, "asynq-client", needs[2].split())
        places: list[dict[str, Any]] = [{}, {"group": "g"}, {"process_in": 60}]
        for where in places:
            assert (await work.options(on_conflict="replace", **where).enqueue(1)).is_new
    await allow(redis, "asynq-scheduler", needs[3].split())
    async with entries.scheduler():
        await eventually(lambda: redis.exists("asynq:{default}:pending"))
    assert first.is_new
    assert await denials(redis) == []


async def allow(redis: Redis, user: str, more: list[str]) -> None:
    async with each_server(redis) as servers:
        for server in servers:
            await cast(Any, server).execute_command("ACL", "SETUSER", user, *more)


async def denials(redis: Redis) -> list[str]:
    async with each_server(redis) as servers:
        return [str(entry["object"]) for server in servers for entry in await server.acl_log()]


async def test_limits_need_a_few_rights_more(as_user: As, redis: Redis) -> None:
    url = await as_user("asynq-worker")
    more = re.search(r"with \[rate limits\]\(rate-limits.md\) needs `(.*?)`", GUIDE.read_text("utf-8"))
    assert more
    async with RateLimit(url, "1/m", name="n") as limit:
        with pytest.raises(BrokerError, match="denies access"):
            await limit.try_acquire()
    async with each_server(redis) as servers:
        for server in servers:
            await cast(Any, server).execute_command("ACL", "SETUSER", "asynq-worker", *more[1].split())

    async def over(task: ActiveTask) -> None:
        async with semaphore.token():
            await bucket(task, handler)

    async with (
        Client(await as_user("asynq-client")) as client,
        RateLimit(url, "1/m", name="n") as window,
        RateLimit(url, "1/m burst 1", name="n") as bucket,
        ConcurrencyLimit(url, 1, name="n", lease=4) as places,
        Semaphore(url, "n", 1) as semaphore,
        Server(url, over),
    ):
        assert [await window.try_acquire(), await window.try_acquire()] == [True, False]
        with pytest.raises(TimeoutError):
            await window.acquire(timeout=0.01)
        await client.enqueue_many([Task("ends", task_id=name) for name in "ab"])
        await eventually(lambda: books(redis), lambda seen: (seen.processed, len(seen.retry)) == (1, 1))
        async with places.place():
            with pytest.raises(TimeoutError):
                async with places.place(timeout=5):
                    pytest.fail("let in, so the lease was not renewed")


async def passing(tasks: Sequence[Task], call_next: EnqueueCall) -> Sequence[TaskInfo | EnqueueError]:
    return await call_next(tasks)


@pytest.mark.parametrize("middleware", [[], [passing]])
async def test_a_scheduler_does_all_it_must(
    as_user: As, redis: Redis, caplog: pytest.LogCaptureFixture, middleware: list[ClientMiddleware]
) -> None:
    scheduler = Scheduler(await as_user("asynq-scheduler"), heartbeat=0.02, middleware=middleware)
    entry_id = scheduler.register("@every 1s", Task("t"))
    scheduler.register("@every 1s", Task("t"), queue="unique", unique=60)
    scheduler.register("@every 1s", Task("t"), queue="soon", process_in=60)
    scheduler.register("@every 1s", Task("t"), queue="group", group="g")
    async with scheduler:
        for key in ("{default}:pending", "{unique}:pending", "{soon}:scheduled", "{group}:g:g"):
            await eventually(lambda key=key: redis.exists(f"asynq:{key}"))  # type: ignore[misc]  # of a default
        await eventually(lambda: redis.exists(f"asynq:scheduler_history:{entry_id}"))
        scheduler.unregister(entry_id)
        await eventually(lambda: redis.exists(f"asynq:scheduler_history:{entry_id}"), lambda left: not left)
    assert await redis.keys("asynq:scheduler*") == []
    assert "denies" not in caplog.text


async def test_a_client_cannot_take_tasks_nor_look_at_them(as_user: As, redis: Redis) -> None:
    url = await as_user("asynq-client")
    async with Inspector(url) as inspector:
        with pytest.raises(BrokerError, match=r"denies access \(NOPERM\)"):
            await inspector.queues()
        with pytest.raises(BrokerError, match="denies access"):
            await inspector.task_info("default", "a")
        with pytest.raises(BrokerError, match=r"denies access \(NOPERM\)"):
            await inspector.cancel_processing("a")


async def _look(inspector: Inspector) -> None:
    await inspector.queues()
    await inspector.queue_info("default")
    await inspector.history("default", 3)
    await inspector.groups("default")
    await inspector.task_info("default", "later")
    await inspector.list_pending("default")
    assert [task.id async for task in inspector.tasks("default", "scheduled")] == ["later"]
    await inspector.servers()
    await inspector.scheduler_entries()
    await inspector.list_scheduler_enqueue_events("e")
    await inspector.redis_info()


async def test_a_viewer_sees_all_and_changes_nothing(as_user: As, client: Client) -> None:
    await client.enqueue(Task("t"), task_id="now")
    await client.enqueue(Task("t"), task_id="later", process_in=60)
    await client.enqueue(Task("t"), task_id="grouped", group="g")
    async with Inspector(await as_user("asynq-viewer")) as viewer:
        await _look(viewer)
        for change in (
            viewer.run_task("default", "later"),
            viewer.delete_all_pending("default"),
            viewer.update_task_payload("default", "later", b"new"),
            viewer.pause_queue("default"),
            viewer.delete_queue("default", force=True),
            viewer.cancel_processing("now"),
        ):
            with pytest.raises(BrokerError, match="denies access"):
                await change
        assert (await viewer.queue_info("default")).size == 3


async def test_an_inspector_sees_all_and_changes_all(as_user: As, client: Client) -> None:
    await client.enqueue(Task("t"), task_id="now", unique=60)
    await client.enqueue(Task("t"), task_id="later", process_in=60)
    await client.enqueue(Task("t", "old"), task_id="other", queue="q", process_in=60, unique=60)
    for task_id in "abc":
        await client.enqueue(Task("t"), task_id=task_id, group="g")
    async with Inspector(await as_user("asynq-inspector")) as inspector:
        await _look(inspector)
        await inspector.update_task_payload("q", "other", "new")
        await inspector.delete_task("q", "other")
        await inspector.run_task("default", "a")
        await inspector.archive_task("default", "b")
        await inspector.run_all_aggregating("default", "g")
        await inspector.archive_all_pending("default")
        await inspector.run_all_archived("default")
        await inspector.cancel_processing("now")
        await inspector.pause_queue("default")
        await inspector.unpause_queue("default")
        await inspector.delete_all_pending("default")
        await inspector.delete_queue("q")
        await inspector.delete_queue("default", force=True)
        assert await inspector.queues() == []


async def test_a_worker_cannot_ask_others_to_cancel(as_user: As) -> None:
    async with Inspector(await as_user("asynq-worker")) as inspector:
        with pytest.raises(BrokerError, match=r"denies access \(NOPERM\)"):
            await inspector.cancel_processing("a")


async def test_a_durable_client_needs_one_right_more(as_user: As) -> None:
    async with Client(await as_user("asynq-client"), durability="replica", replica_timeout=0.1) as client:
        with pytest.raises(BrokerError, match=r"denies access \(NOPERM\).*wait"):
            await client.enqueue(Task("t"))


async def test_a_wrong_password_ends_a_server_at_once(as_user: As) -> None:
    url = (await as_user("asynq-worker")).replace("secret", "wrong")
    with pytest.raises(BrokerError, match="denies access"):
        await Server(url, handler).serve()


async def answer_typed(number: int) -> int:
    return number + 1


async def test_a_client_awaits_results_with_a_few_rights_more(as_user: As, redis: Redis) -> None:
    url = await as_user("asynq-client")
    more = re.search(r"ACL SETUSER asynq-client (\+hmget .*?)\n```", SECURITY.read_text("utf-8"), re.DOTALL)
    assert more
    rights = more[1].replace("\\\n", " ").replace("\\|", "|").replace("'", "").split()
    app = App(url)
    answered = app.task(retention=60)(answer_typed)
    handle = await answered.enqueue(1)
    with pytest.raises(BrokerError, match="denies access"):
        await handle.result(timeout=20)
    async with each_server(redis) as servers:
        for server in servers:
            await cast(Any, server).execute_command("ACL", "SETUSER", "asynq-client", *rights)
    async with app.server().replace(await as_user("asynq-worker")):
        assert await handle.result(timeout=20) == 2
    await app.aclose()
