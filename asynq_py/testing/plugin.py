"""Fixtures for pytest. Installed with asynq-py; nothing is loaded or started before a test asks for one."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, ExitStack
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar, runtime_checkable

import pytest

from asynq_py import testing

if TYPE_CHECKING:
    from asynq_py.handler import Handler
    from asynq_py.server.server import Server
    from asynq_py.testing.bookkeeper import Bookkeeper
    from asynq_py.testing.rehearsal import Rehearsal
    from asynq_py.testing.shared_server import SharedServer

E_co = TypeVar("E_co", bound="Bookkeeper", covariant=True)


@runtime_checkable
class Testable(Protocol):
    """An App."""

    def test(self, **options: Any) -> AbstractAsyncContextManager[Rehearsal]: ...


class CanBeEager(Protocol[E_co]):
    """An App, too."""

    def eager(self) -> AbstractContextManager[E_co]: ...


Testing: TypeAlias = "Callable[..., AbstractAsyncContextManager[Rehearsal]]"


@pytest.fixture(scope="session")
def asynq_server() -> SharedServer:
    """The embedded server of the session."""
    return testing.SharedServer()


@pytest.fixture
def asynq_redis(asynq_server: SharedServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty Redis; code that names none gets this one by `$ASYNQ_REDIS_URL`."""
    url = asynq_server.empty()
    monkeypatch.setenv("ASYNQ_REDIS_URL", url)
    return url


@pytest.fixture
def asynq_test() -> Testing:
    """`async with asynq_test(app, now=…) as t:`, of an App, a ServeMux, a Server or a handler."""

    def rehearse(
        subject: Testable | Handler | Server, **options: Any
    ) -> AbstractAsyncContextManager[Rehearsal]:
        if isinstance(subject, Testable):
            return subject.test(**options)
        return testing.Rehearsal(subject, **options)

    return rehearse


@pytest.fixture
def asynq_eager() -> Generator[Callable[[CanBeEager[Any]], Any]]:
    """`eager = asynq_eager(app)`: until the test ends, the tasks of the app run where they are enqueued."""
    with ExitStack() as stack:

        def make_eager(app: CanBeEager[E_co]) -> E_co:
            return stack.enter_context(app.eager())

        yield make_eager
