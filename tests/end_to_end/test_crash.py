"""Workers die at any moment; the books are right all the same. F13 to F16, F29."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from asynq_py import Client, Task
from asynq_py.wire.keys import QueueKeys
from tests.books import Books, books, books_become, message
from tests.end_to_end.processes import Option, Workers, end
from tests.eventually import eventually

TASKS = 2000
KILLS = 8
QUICK: dict[str, Option] = {"lease": 6, "recover_interval": 0.2, "concurrency": 20}


@pytest.mark.timeout(240)
async def test_no_task_is_lost_or_stuck_when_workers_are_killed_again_and_again(
    workers: Workers, redis: Redis, client: Client
) -> None:
    ids = {str(n) for n in range(TASKS)}
    await client.enqueue_many([Task("work", "0.02", task_id=task_id) for task_id in sorted(ids)])

    running = [await workers.start(**QUICK) for _ in range(2)]
    for kill in range(1, KILLS + 1):
        due = TASKS * kill // (KILLS + 2)
        await eventually(lambda: workers.noted("ended"), lambda ended, due=due: len(ended) >= due)  # type: ignore[misc]
        await end(running.pop(0))
        running.append(await workers.start(**QUICK))

    def is_over(seen: Books) -> bool:
        return seen.processed == TASKS and not (seen.pending or seen.active or seen.scheduled or seen.retry)

    left = await eventually(lambda: books(redis), is_over, within=120)
    # only what was running when three workers died may have been put aside
    assert left == Books(archived=left.archived, processed=TASKS, failed=len(left.archived))
    assert set(await workers.noted("started")) == ids
    assert set(await workers.noted("ended")) >= ids - set(left.archived)


@pytest.mark.timeout(240)
async def test_a_task_that_kills_its_worker_is_archived_after_three_and_the_others_end(
    workers: Workers, redis: Redis, client: Client
) -> None:
    await client.enqueue(Task("die", task_id="poison"))
    await client.enqueue_many([Task("work", "0.01", task_id=f"fine {n}") for n in range(50)])
    one_at_a_time: dict[str, Option] = {**QUICK, "concurrency": 1}

    for _ in range(3):
        process = await workers.start(**one_at_a_time)
        assert await process.wait() == 9
    await workers.start(**one_at_a_time)

    await books_become(redis, Books(archived={"poison"}, processed=51, failed=1), within=120)
    assert await workers.noted("started") == {"poison": 3} | {f"fine {n}": 1 for n in range(50)}
    assert (await message(redis, "poison")).retried == 0
    assert not await redis.hexists(QueueKeys("default").task("poison"), "crashes")


@pytest.mark.timeout(240)
async def test_tasks_that_run_beside_one_that_kills_its_workers_are_not_archived_with_it(
    workers: Workers, redis: Redis, client: Client
) -> None:
    """F30: all of them are running each time it strikes."""
    innocent = [f"fine {n}" for n in range(8)]
    await client.enqueue(Task("die", "0.3", task_id="poison"))
    await client.enqueue_many([Task("work", "0.5", task_id=task_id) for task_id in innocent])

    deaths = 0
    while deaths < 3:
        process = await workers.start(**QUICK)
        assert await process.wait() == 9
        deaths += 1
        if deaths < 3:
            assert max((await workers.noted("ended")).values(), default=0) == 0
    await workers.start(**QUICK)

    await books_become(redis, Books(archived={"poison"}, processed=9, failed=1), within=120)
    assert await workers.noted("ended") == dict.fromkeys(innocent, 1)
    started = await workers.noted("started")
    assert started.pop("poison") == 3
    assert set(started.values()) == {3}  # the first two times, and then alone


@pytest.mark.timeout(240)
async def test_a_server_that_dies_while_it_aggregates_loses_and_doubles_no_task(
    workers: Workers, redis: Redis, client: Client
) -> None:
    """Q-35."""
    k = QueueKeys("default")
    await client.enqueue_many([Task("t", str(number), group="g") for number in range(5)])

    process = await workers.start(**QUICK, aggregate="die", group_max_size=5)
    assert await process.wait() == 9
    (taken,) = await redis.zrange(k.aggregation_sets, 0, -1)
    assert isinstance(taken, bytes)
    await redis.zadd(k.aggregation_sets, {taken: 1})  # its two minutes are over
    await workers.start(**QUICK, aggregate="work", group_max_size=5)

    await books_become(redis, Books(processed=1), within=120)
    assert await workers.noted("ended") == {"0,1,2,3,4": 1}
    assert not await redis.exists(k.groups, k.aggregation_sets)
