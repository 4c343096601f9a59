"""Times beside a function: a scheduler of the app enqueues it."""

from __future__ import annotations

import time

import pytest

from asynq_py import App, Inspector, InvalidOptionError, Router
from tests.clock import ManualClock


async def test_the_scheduler_of_an_app_enqueues_what_cron_decorates(
    redis_url: str, inspector: Inspector
) -> None:
    clock = ManualClock(float(int(time.time()) // 86400 * 86400 + 8 * 3600 + 59 * 60 + 58))
    app, router = App(redis_url), Router("daily", queue="reports")
    app.include(router)

    @router.cron("0 9 * * *", timezone="UTC", max_retry=2)
    async def report(day: str = "today") -> None: ...

    @app.cron("* * * * *")
    @app.task
    async def beat() -> None: ...

    scheduler = app.scheduler(clock=clock)
    await scheduler.tick_once()
    clock.advance(3)
    await scheduler.tick_once()
    await scheduler.aclose()

    (daily,) = await inspector.list_pending("reports")
    (minutely,) = await inspector.list_pending("default")
    assert (daily.type, daily.payload, daily.max_retry) == ("daily:report", b'{"day":"today"}', 2)
    assert (minutely.type, minutely.payload) == ("beat", b"{}")


def test_cron_leaves_a_function_that_can_be_called_and_enqueued() -> None:
    app = App()

    @app.cron("@hourly")
    def report() -> int:
        return 1

    assert report() == 1
    assert list(app.tasks) == ["report"]


def test_several_times_may_stand_above_a_task() -> None:
    app = App()

    @app.cron("0 9 * * *")
    @app.cron("0 18 * * *", queue="evening")
    @app.task(queue="morning")
    async def report() -> None: ...

    assert app.scheduler().state == "new"
    assert list(app.tasks) == ["report"]
    assert report.checked_options().queue == "morning"


@pytest.mark.parametrize(
    ("spec", "timezone", "named"),
    [("every day", None, "spec"), ("@daily", "Mars/Olympus", "timezone")],
)
def test_a_mistake_is_told_when_the_module_is_read(spec: str, timezone: str | None, named: str) -> None:
    with pytest.raises(InvalidOptionError, match=named):
        App().cron(spec, timezone=timezone)


def test_a_task_that_needs_arguments_has_no_times() -> None:
    async def report(day: str) -> None: ...

    with pytest.raises(InvalidOptionError, match="needs no arguments: missing a required argument: 'day'"):
        App().cron("@daily")(report)
