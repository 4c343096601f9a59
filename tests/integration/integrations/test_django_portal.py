"""The connections that Django's backends share: by threads, by loops, and across a fork."""

from __future__ import annotations

import asyncio
import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection

import pytest

from asynq_py import Client, Inspector, Task, TaskIDConflictError, TaskInfo
from asynq_py.integrations.django.portal import Portal, portal_to


async def _enqueue(client: Client, inspector: Inspector) -> TaskInfo:
    return await client.enqueue(Task("t"))


def _count(portal: Portal) -> int:
    async def count(client: Client, inspector: Inspector) -> int:
        return (await inspector.queue_info("default")).pending

    return portal.call(count)


def test_threads_and_loops_share_one_thread(redis_url: str) -> None:
    portal, before = Portal(redis_url), threading.active_count()
    with ThreadPoolExecutor(4) as pool:
        infos = list(pool.map(lambda _: portal.call(_enqueue), range(20)))

    async def twice() -> None:
        await asyncio.gather(portal.acall(_enqueue), portal.acall(_enqueue))

    asyncio.run(twice())
    assert len({info.id for info in infos}) == 20
    assert _count(portal) == 22
    assert threading.active_count() == before + 1
    portal.close()
    assert threading.active_count() == before


def test_it_opens_again_after_it_was_closed(redis_url: str) -> None:
    portal = Portal(redis_url)
    portal.close()
    for count in (1, 2):
        portal.call(_enqueue)
        assert _count(portal) == count
        portal.close()
    portal.close()


def test_errors_come_out_as_they_are(redis_url: str) -> None:
    async def conflict(client: Client, inspector: Inspector) -> None:
        await client.enqueue(Task("t", task_id="a"))
        await client.enqueue(Task("t", task_id="a"))

    portal = Portal(redis_url)
    with pytest.raises(TaskIDConflictError):
        portal.call(conflict)
    portal.close()


def _in_child(portal: Portal, answer: Connection) -> None:
    portal.call(_enqueue)
    answer.send(_count(portal))
    portal.close()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_gets_connections_of_its_own(redis_url: str) -> None:
    portal = Portal(redis_url)
    portal.call(_enqueue)
    here, there = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=_in_child, args=(portal, there))
    child.start()
    assert here.poll(30)
    assert here.recv() == 2
    child.join(30)
    assert child.exitcode == 0
    here.close()
    there.close()
    portal.call(_enqueue)
    assert _count(portal) == 3
    portal.close()


def test_a_url_has_one_in_a_process(redis_url: str) -> None:
    assert portal_to("redis://nowhere:1") is portal_to("redis://nowhere:1")
    assert portal_to("redis://nowhere:1") is not portal_to(None)
