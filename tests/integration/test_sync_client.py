import asyncio
import os
import queue
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from asynq_py import (
    App,
    AsynqError,
    BrokerUnavailableError,
    EnqueueCall,
    EnqueueError,
    InvalidOptionError,
    SyncClient,
    Task,
    TaskIDConflictError,
    TaskInfo,
    chain,
)
from tests.servers import blocking_client


def pending(url: str, queue: str = "q") -> int:
    with blocking_client(url) as redis:
        length = redis.llen(f"asynq:{{{queue}}}:pending")
        assert isinstance(length, int)
        return length


def test_plain_code_can_enqueue(redis_url: str) -> None:
    with SyncClient(redis_url) as client:
        client.ping()
        info = client.enqueue(Task("t", {"a": 1}), queue="q", task_id="a")
        results = client.enqueue_many((Task("t", n) for n in range(10)), queue="q")

    assert (info.id, info.payload) == ("a", b'{"a":1}')
    assert all(isinstance(result, TaskInfo) for result in results)
    assert pending(redis_url) == 11


def test_errors_come_as_they_do_from_the_client(redis_url: str) -> None:
    with SyncClient(redis_url, payload_limit=3) as client:
        client.enqueue(Task("t"), task_id="a")
        with pytest.raises(TaskIDConflictError):
            client.enqueue(Task("t"), task_id="a")
        with pytest.raises(InvalidOptionError):
            client.enqueue(Task("t", b"1234"))
    with pytest.raises(InvalidOptionError):
        SyncClient("http://example.com")


def test_a_redis_that_is_away_is_told(tmp_path_factory: pytest.TempPathFactory) -> None:
    nowhere = tmp_path_factory.mktemp("empty") / "socket"
    with SyncClient(f"unix://{nowhere}", timeout=0.2) as client, pytest.raises(BrokerUnavailableError):
        client.enqueue(Task("t"))


def test_threads_may_share_a_client(redis_url: str) -> None:
    with SyncClient(redis_url) as client, ThreadPoolExecutor(8) as threads:
        infos = list(threads.map(lambda n: client.enqueue(Task("t", n), queue="q"), range(200)))

    assert len({info.id for info in infos}) == 200
    assert pending(redis_url) == 200


async def test_it_works_where_a_loop_runs_in_another_thread(redis_url: str) -> None:
    with SyncClient(redis_url) as client:
        await asyncio.to_thread(client.enqueue, Task("t"), queue="q")

    assert pending(redis_url) == 1


def test_a_closed_client_refuses_calls_and_its_thread_ends(redis_url: str) -> None:
    client = SyncClient(redis_url)
    client.ping()
    thread = next(thread for thread in threading.enumerate() if thread.name == "asynq-py-client")
    client.close()
    client.close()
    thread.join(20)
    assert not thread.is_alive()

    for use in (
        client.ping,
        client.__enter__,
        lambda: client.enqueue(Task("t")),
        lambda: client.enqueue_many([]),
    ):
        with pytest.raises(AsynqError, match="this client is closed; make another one"):
            use()


def test_a_client_that_was_closed_before_it_was_used_is_closed(redis_url: str) -> None:
    client = SyncClient(redis_url)
    client.close()
    with pytest.raises(AsynqError, match="this client is closed"):
        client.ping()


def test_a_flow_can_be_enqueued_from_plain_code(redis_url: str) -> None:
    app = App(redis_url)

    @app.task
    async def add(a: int, b: int) -> int:
        return a + b

    async def result(flow_id: str) -> object:
        async with app, app.server(poll_interval=0.05):
            return await app.flow(flow_id).result(timeout=30)

    with SyncClient(redis_url) as client:
        flow_id = client.enqueue_flow(chain(add.step(1, 2), add.step(3)), name="sum", flow_id="sum-1")
        assert client.enqueue_flow(chain(add.step(1, 2), add.step(3)), flow_id="sum-1") == flow_id
        client.enqueue(Task("other"))  # it is still open
        assert asyncio.run(result(flow_id)) == 6
        assert asyncio.run(result(client.enqueue_flow(add.step(1, 2), name="short"))) == 3


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_gets_a_connection_of_its_own(redis_url: str) -> None:
    with SyncClient(redis_url) as client:
        client.enqueue(Task("t"), queue="q", task_id="before")
        child = os.fork()
        if child == 0:
            signal.alarm(20)  # a child that hangs ends all the same
            try:
                for n in range(20):
                    client.enqueue(Task("t"), queue="q", task_id=f"child {n}")
                client.close()
            except BaseException:
                os._exit(1)
            os._exit(0)
        for n in range(20):
            client.enqueue(Task("t"), queue="q", task_id=f"parent {n}")
        _, status = os.waitpid(child, 0)

        assert os.waitstatus_to_exitcode(status) == 0
        assert pending(redis_url) == 41
        assert client.enqueue(Task("t"), queue="q", task_id="after").id == "after"


def test_a_call_under_way_is_told_when_another_thread_closes_the_client(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    has_begun = threading.Event()
    told: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    async def note(tasks: Sequence[Task], call_next: EnqueueCall) -> Sequence[TaskInfo | EnqueueError]:
        has_begun.set()
        return await call_next(tasks)

    nowhere = tmp_path_factory.mktemp("empty") / "socket"
    client = SyncClient(f"unix://{nowhere}", timeout=3600, middleware=[note])

    def enqueue() -> None:
        try:
            client.enqueue(Task("t"))
        except BaseException as error:
            told.put(error)
        else:
            told.put(None)

    threading.Thread(target=enqueue, daemon=True).start()
    assert has_begun.wait(20)
    client.close()

    with pytest.raises(AsynqError, match="closed"):
        raise told.get(timeout=20) or AssertionError
