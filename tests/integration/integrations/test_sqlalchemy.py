"""Tasks leave with the commit of a session: plain and asynchronous, savepoints included."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from asynq_py import App, BrokerUnavailableError, Client, Inspector, InvalidOptionError, SyncClient, Task
from asynq_py.integrations.sqlalchemy import EnqueueOnCommit


@pytest.fixture
def session(redis_url: str) -> Iterator[Session]:
    engine = create_engine("sqlite://")
    with Session(engine) as session:
        yield session
    engine.dispose()


@pytest.fixture
async def async_session(redis_url: str) -> AsyncGenerator[AsyncSession]:
    engine = create_async_engine("sqlite+aiosqlite://")
    async with AsyncSession(engine) as session:
        yield session
    await engine.dispose()


@pytest.fixture
def sync_client(redis_url: str) -> Iterator[SyncClient]:
    with SyncClient(redis_url) as client:
        yield client


@pytest.fixture
def on_commit(sync_client: SyncClient) -> EnqueueOnCommit:
    return EnqueueOnCommit(sync_client)


async def _ids(inspector: Inspector) -> set[str]:
    if not await inspector.queues():
        return set()
    return {task.id for task in await inspector.list_pending("default")}


async def test_a_task_leaves_with_the_commit(
    session: Session, on_commit: EnqueueOnCommit, inspector: Inspector
) -> None:
    session.execute(text("select 1"))
    on_commit.enqueue(session, Task("t"), task_id="a", queue="default")
    on_commit.enqueue(session, Task("t", task_id="b"))
    assert await _ids(inspector) == set()
    session.commit()
    assert await _ids(inspector) == {"a", "b"}

    session.commit()
    assert await _ids(inspector) == {"a", "b"}


@pytest.mark.parametrize("end", ["rollback", "close", "error"])
async def test_without_a_commit_nothing_is_enqueued_then_or_later(
    session: Session, on_commit: EnqueueOnCommit, inspector: Inspector, end: str
) -> None:
    on_commit.enqueue(session, Task("t", task_id="a"))
    if end == "error":
        with pytest.raises(LookupError), session.begin_nested():
            raise LookupError
        session.rollback()
    else:
        getattr(session, end)()
    session.execute(text("select 1"))
    session.commit()

    assert await _ids(inspector) == set()


async def test_tasks_of_a_savepoint_share_its_fate(
    session: Session, on_commit: EnqueueOnCommit, inspector: Inspector
) -> None:
    on_commit.enqueue(session, Task("t", task_id="outside"))
    with session.begin_nested():
        on_commit.enqueue(session, Task("t", task_id="kept"))
        savepoint = session.begin_nested()
        on_commit.enqueue(session, Task("t", task_id="undone"))
        savepoint.rollback()
    assert await _ids(inspector) == set()
    session.commit()

    assert await _ids(inspector) == {"outside", "kept"}


async def test_a_savepoint_that_was_kept_falls_with_the_transaction_around_it(
    session: Session, on_commit: EnqueueOnCommit, inspector: Inspector
) -> None:
    session.execute(text("select 1"))
    with session.begin_nested():
        on_commit.enqueue(session, Task("t"))
    session.rollback()

    assert await _ids(inspector) == set()


@pytest.mark.parametrize("kind", ["client", "app"])
async def test_an_asynchronous_session_awaits_the_client(
    async_session: AsyncSession, redis_url: str, inspector: Inspector, kind: str
) -> None:
    client: Client | App = Client(redis_url) if kind == "client" else App(redis_url)
    on_commit = EnqueueOnCommit(client)
    async with client:
        async with async_session.begin():
            await async_session.execute(text("select 1"))
            on_commit.enqueue(async_session, Task("t", task_id="a"))
            async with async_session.begin_nested():
                on_commit.enqueue(async_session, Task("t", task_id="b"))
        assert await _ids(inspector) == {"a", "b"}

        on_commit.enqueue(async_session, Task("t", task_id="c"))
        await async_session.rollback()
        assert await _ids(inspector) == {"a", "b"}


async def test_a_scoped_session_is_the_one_of_its_scope(
    session: Session, on_commit: EnqueueOnCommit, inspector: Inspector
) -> None:
    scoped = scoped_session(sessionmaker(session.get_bind()))
    on_commit.enqueue(scoped, Task("t", task_id="a"))
    scoped.commit()
    scoped.remove()

    assert await _ids(inspector) == {"a"}


async def test_a_duplicate_does_not_spoil_the_commit(
    session: Session, on_commit: EnqueueOnCommit, inspector: Inspector
) -> None:
    for _ in range(2):
        on_commit.enqueue(session, Task("t", task_id="a"))
        on_commit.enqueue(session, Task("t", unique=60))
        session.commit()

    assert len(await _ids(inspector)) == 2


def test_an_outage_is_raised_and_the_session_goes_on(session: Session) -> None:
    with SyncClient("redis://127.0.0.1:1/0", timeout=0.1) as away:
        on_commit = EnqueueOnCommit(away)
        on_commit.enqueue(session, Task("t"))
        with pytest.raises(BrokerUnavailableError):
            session.commit()
    assert session.execute(text("select 1")).scalar() == 1
    session.commit()


async def test_two_sessions_do_not_mix(
    session: Session, on_commit: EnqueueOnCommit, inspector: Inspector
) -> None:
    with Session(session.get_bind()) as other:
        on_commit.enqueue(session, Task("t", task_id="a"))
        on_commit.enqueue(other, Task("t", task_id="b"))
        other.commit()

    assert await _ids(inspector) == {"b"}


def test_a_client_that_does_not_fit_the_session_is_refused(
    session: Session, on_commit: EnqueueOnCommit
) -> None:
    with pytest.raises(InvalidOptionError, match="session="):
        EnqueueOnCommit(Client()).enqueue(session, Task("t"))
    with pytest.raises(InvalidOptionError, match="session="):
        on_commit.enqueue(AsyncSession(), Task("t"))
    nonsense: Any = "redis://"
    with pytest.raises(InvalidOptionError, match="client="):
        EnqueueOnCommit(nonsense)
    with pytest.raises(InvalidOptionError, match="max_retry="):
        on_commit.enqueue(session, Task("t"), max_retry=-1)


async def test_what_has_ended_is_not_remembered(session: Session, on_commit: EnqueueOnCommit) -> None:
    for end in (session.commit, session.rollback, session.close):
        on_commit.enqueue(session, Task("t"))
        await asyncio.to_thread(end)
    assert (on_commit._waiting, on_commit._committed) == ({}, set())


def test_without_the_library_an_error_says_what_to_install() -> None:
    program = "import sys; sys.modules['sqlalchemy'] = None; import asynq_py.integrations.sqlalchemy"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert 'pip install "asynq-py[sqlalchemy]"' in ended.stderr
