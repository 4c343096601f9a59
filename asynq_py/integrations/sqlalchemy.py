"""Tasks that leave when a session of SQLAlchemy commits, and not at all when it rolls back.

Needs SQLAlchemy 2, the extra `sqlalchemy`.
"""

from __future__ import annotations

from typing import Final, Unpack
from weakref import WeakSet

from asynq_py import (
    App,
    Client,
    DuplicateTaskError,
    EnqueueError,
    InvalidOptionError,
    SyncClient,
    Task,
    TaskIDConflictError,
    TaskInfo,
    TaskOptions,
)

try:
    from sqlalchemy import event
except ModuleNotFoundError as error:
    raise ImportError(
        'asynq_py.integrations.sqlalchemy needs SQLAlchemy: pip install "asynq-py[sqlalchemy]"'
    ) from error

from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session
from sqlalchemy.orm import Session, SessionTransaction, scoped_session
from sqlalchemy.util import await_only

ALLOWED: Final = "a Client or an App for asynchronous sessions, a SyncClient for others"


class EnqueueOnCommit:
    """`client`: a SyncClient for plain sessions; a Client or an App for asynchronous ones.

    This is no transactional outbox: a process that ends between the commit and the moment Redis has the
    tasks loses them.
    """

    def __init__(self, client: Client | SyncClient | App) -> None:
        if not isinstance(client, Client | SyncClient | App):
            raise InvalidOptionError("client", client, ALLOWED)
        self._client = client
        self._waiting: dict[SessionTransaction, list[Task]] = {}
        self._committed: set[SessionTransaction] = set()
        self._heard: WeakSet[Session] = WeakSet()

    def enqueue(
        self,
        session: Session | AsyncSession | scoped_session[Session] | async_scoped_session[AsyncSession],
        task: Task,
        **options: Unpack[TaskOptions],
    ) -> None:
        """Enqueue a task when the present transaction of a session is committed; begin one if there is none.

        Tasks of a savepoint that is rolled back are forgotten with it. Tasks that one commit sends go out
        together. `commit` then raises, although the database has committed: BrokerUnavailableError, or the
        EnqueueError of the first task that was refused. A duplicate, or an ID that exists, is no error.

        Raises: InvalidOptionError.
        """
        if isinstance(session, scoped_session | async_scoped_session):
            session = session()
        is_async = isinstance(session, AsyncSession)
        if is_async is isinstance(self._client, SyncClient):
            raise InvalidOptionError("session", session, f"one that fits the client: {ALLOWED}")
        plain = session.sync_session if isinstance(session, AsyncSession) else session
        task = task.with_options(**options)
        self._hear(plain)
        transaction = plain.get_nested_transaction() or plain.get_transaction() or plain.begin()
        self._waiting.setdefault(transaction, []).append(task)

    def _hear(self, session: Session) -> None:
        if session not in self._heard:
            self._heard.add(session)
            event.listen(session, "after_commit", self._after_commit)
            event.listen(session, "after_transaction_end", self._after_end)

    def _after_commit(self, session: Session) -> None:
        transaction = session.get_nested_transaction() or session.get_transaction()
        if transaction is not None:
            self._committed.add(transaction)

    def _after_end(self, session: Session, transaction: SessionTransaction) -> None:
        """Now nothing of the session is under way, so an error leaves it in order."""
        is_committed = transaction in self._committed
        self._committed.discard(transaction)
        tasks = self._waiting.pop(transaction, [])
        if not is_committed or not tasks:
            return
        if transaction.parent is not None:  # a savepoint: what surrounds it decides
            self._waiting.setdefault(_outer(transaction), []).extend(tasks)
            return
        refused = [answer for answer in self._send(tasks) if isinstance(answer, EnqueueError)]
        for error in refused:
            if not isinstance(error, DuplicateTaskError | TaskIDConflictError):
                raise error

    def _send(self, tasks: list[Task]) -> list[TaskInfo | EnqueueError]:
        if isinstance(self._client, SyncClient):
            return self._client.enqueue_many(tasks)
        client = self._client.client if isinstance(self._client, App) else self._client
        return await_only(client.enqueue_many(tasks))


def _outer(transaction: SessionTransaction) -> SessionTransaction:
    """The savepoint or transaction around one; a flush has a transaction of its own, which does not count."""
    outer = transaction.parent
    while outer is not None and outer.parent is not None and not outer.nested:
        outer = outer.parent
    assert outer is not None
    return outer
