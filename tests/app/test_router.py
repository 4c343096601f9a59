"""Tasks are declared in several modules, and one app has them all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from asynq_py import App, AsynqError, InvalidOptionError, Router, TypedTask


def make(router: Router, name: str, **options: Any) -> TypedTask[..., Any]:
    async def work(n: int = 1) -> None: ...

    return router.task(name=name, **options)(work)


def test_the_type_is_the_name_of_the_function_unless_it_has_one() -> None:
    app = App()

    @app.task
    async def send_welcome() -> None: ...

    @app.task(name="email:bye")
    async def send_bye() -> None: ...

    assert (send_welcome.type, send_bye.type) == ("send_welcome", "email:bye")
    assert list(app.tasks) == ["send_welcome", "email:bye"]


@pytest.mark.parametrize(
    ("prefix", "expected"), [("images", "images:t"), ("images:", "images:t"), ("im/", "im/t"), ("", "t")]
)
def test_a_prefix_stands_before_the_name(prefix: str, expected: str) -> None:
    assert make(Router(prefix), "t").type == expected


def test_an_app_has_the_tasks_of_its_routers_and_theirs_also_later_ones() -> None:
    app, outer, inner = App(prefix="shop"), Router("images"), Router("raw")
    first = make(inner, "first")
    outer.include(inner)
    app.include(outer)
    make(outer, "second")
    make(inner, "third")
    assert first.type == "shop:images:raw:first"
    assert sorted(app.tasks) == ["shop:images:raw:first", "shop:images:raw:third", "shop:images:second"]


async def test_the_nearer_defaults_win(redis_url: str) -> None:
    app, router = App(redis_url, queue="app", max_retry=1, timeout=5), Router(queue="router", max_retry=2)
    task = make(router, "t", max_retry=3)
    app.include(router)
    async with app:
        info = await (await task.enqueue()).info()
    assert (info.queue, info.max_retry, info.timeout) == ("router", 3, 5)


async def test_a_task_of_a_router_without_an_app_cannot_be_sent() -> None:
    with pytest.raises(AsynqError, match="no app includes"):
        await make(Router(), "t").enqueue()


def test_a_router_is_included_once_and_never_in_itself() -> None:
    app, router = App(), Router("a")
    app.include(router)
    for wrong in (router, app, App()):
        with pytest.raises(InvalidOptionError, match="router"):
            app.include(wrong)
    other = Router("b")
    with pytest.raises(InvalidOptionError, match="router"):
        other.include(other)


def test_a_type_is_used_once() -> None:
    app, router = App(), Router()
    make(app, "t", aliases=["old"])
    with pytest.raises(InvalidOptionError, match="name='t'"):
        make(app, "t")
    with pytest.raises(InvalidOptionError, match="name='old'"):
        make(app, "old")
    make(router, "old")
    with pytest.raises(InvalidOptionError, match="name='old'"):
        app.include(router)
    app.include(Router("free"))
    router_again = Router("other")
    router_again.include(router)  # the failed attempt left it free


def test_a_clash_that_comes_later_is_found_when_a_server_is_made() -> None:
    app, router = App(), Router()
    app.include(router)
    make(app, "t")
    make(router, "t")
    with pytest.raises(InvalidOptionError, match="each pattern once"):
        app.server()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"max_retry": -1}, "max_retry"),
        ({"colour": 1}, "colour"),
        ({"wait": 1}, "wait"),
        ({"headers": {"a": 1}}, "headers"),
        ({"executor": "fork"}, "executor"),
        ({"executor": "thread"}, "executor"),
        ({"name": " "}, "name"),
        ({"aliases": "old"}, "aliases"),
    ],
)
def test_a_bad_option_is_told_when_the_task_is_declared(options: dict[str, Any], named: str) -> None:
    async def work() -> None: ...

    with pytest.raises(InvalidOptionError, match=f"^{named}="):
        App().task(**options)(work)


def test_options_of_a_call_are_checked_too() -> None:
    with pytest.raises(InvalidOptionError, match="queue="):
        make(App(), "t").options(queue="{}")


def test_only_functions_become_tasks() -> None:
    async def endless() -> Any:
        yield 1

    for wrong in (endless, Router, 5):
        with pytest.raises(InvalidOptionError, match="a function"):
            App().task()(wrong)  # type: ignore[arg-type, call-overload, unused-ignore]  # that is the point


def test_a_function_for_a_process_must_be_found_there() -> None:
    def local() -> None: ...

    with pytest.raises(InvalidOptionError, match="top level of a module"):
        App().task(executor="process")(local)


def test_a_mistake_in_the_address_is_told_at_once() -> None:
    with pytest.raises(InvalidOptionError, match="redis="):
        App("http://localhost")


def test_annotations_may_name_what_is_defined_around_the_function_or_later() -> None:
    @dataclass
    class Inner:
        n: int

    @dataclass
    class Local:
        inner: Inner

    app = App()

    @app.task
    async def work(local: Local) -> None: ...

    @app.task
    async def early(late: Late) -> None: ...

    @dataclass
    class Late:
        n: int

    assert work.task(Local(Inner(1))).payload == b'{"inner":{"n":1}}'
    with pytest.raises(InvalidOptionError, match="name 'Late' is not defined"):
        early.task(Late(1))
    with pytest.raises(InvalidOptionError, match="name 'Global' is not defined"):
        at_module_level.task(1)


late_app = App()


@late_app.task
async def at_module_level(x: Global) -> None: ...  # type: ignore[name-defined]  # noqa: F821


def test_a_task_and_an_app_tell_what_they_are() -> None:
    assert repr(make(App(), "t")) == "<AsyncTask t>"
