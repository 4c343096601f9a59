"""Q-25: some texts of options break those who read a scheduler's entries."""

from __future__ import annotations

from typing import cast

from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from asynq_py import Inspector, Scheduler, Task
from asynq_py.errors import InvalidOptionError
from asynq_py.option_text import write
from asynq_py.options import DEFAULTS
from asynq_py.wire.messages import SchedulerEntry
from tests.eventually import eventually


@given(name=st.text(min_size=1, max_size=20), retries=st.integers(0, 9))
def test_q25_no_text_is_published_that_breaks_a_go_reader(name: str, retries: int) -> None:
    try:
        options = DEFAULTS.override({"queue": name, "task_id": name, "group": name, "max_retry": retries})
    except InvalidOptionError:
        return
    for text in write(options):
        word, bracket, rest = text.partition("(")
        assert word.isalpha()
        assert bracket  # without one Go panics
        assert rest.index(")") == len(rest) - 1  # Go reads as far as the first


def test_q25_a_name_with_a_bracket_leaves_the_other_options_readable() -> None:
    assert write(DEFAULTS.override({"queue": "a(b)c", "max_retry": 3})) == ["MaxRetry(3)"]


async def test_q25_a_scheduler_publishes_no_text_that_breaks_who_reads_it(
    redis_url: str, redis: Redis
) -> None:
    scheduler = Scheduler(redis_url)
    scheduler.register("@daily", Task("t"), queue="a(b)c", task_id="x)", group="g)", max_retry=3)
    async with scheduler, Inspector(redis_url) as inspector:
        (entry,) = await eventually(inspector.scheduler_entries)
        (key,) = cast("list[bytes]", await redis.zrange("asynq:schedulers", 0, -1))
        (stored,) = cast("list[bytes]", await redis.lrange(key, 0, -1))
    assert list(SchedulerEntry.FromString(stored).enqueue_options) == ["MaxRetry(3)"]
    assert entry.options == {"max_retry": 3}
