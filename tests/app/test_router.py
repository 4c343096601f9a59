"""Tasks are declared in several modules, and one app has them all."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from asynq_py import App, AsynqError, InvalidOptionError, Router, TypedTask
from asynq_py.app.typed_task import AsyncTask

AWAY = "redis://127.0.0.1:1/0"
ANY_APP: Any = App  # as those have it who do not check types
ANY_ROUTER: Any = Router


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


def test_spans_may_be_text_and_are_read_once() -> None:
    app = App(AWAY, timeout="5m")

    @app.task(unique="1h", process_in="1h30m", retention="2d")
    async def work(n: int) -> None: ...

    options = work.checked_options()
    assert (options.timeout, options.unique, options.process_in, options.retention) == (
        300,
        3600,
        5400,
        172800,
    )
    assert work.task(1).options == options
    assert work._options == {"unique": 3600.0, "process_in": 5400.0, "retention": 172800.0}
    assert work.options(timeout="90s").task(1).options.timeout == 90
    with pytest.raises(InvalidOptionError, match=r"timeout='5 fortnights' .* text such as .90s., .1h30m."):
        work.options(timeout="5 fortnights")


@pytest.mark.parametrize(
    ("declare", "told"),
    [
        (
            lambda app: app.task(countdown=3),
            "countdown=3 .* did you mean process_in. the options of a task are name,",
        ),
        (lambda app: app.task(eta=3), "did you mean process_at. "),
        (lambda app: app.task(max_retries=3), "did you mean max_retry. "),
        (lambda app: app.task(unique_keys="x"), "did you mean unique_key. "),
        (lambda app: app.task(missed="skip"), "missed='skip' is not allowed: the options of a task are name"),
        (lambda app: app.task(bind=True), "a task finds itself by `current_task..`; the options"),
        (lambda app: app.cron("@daily", delay=3), "did you mean process_in. .* are timezone, missed, name, "),
        (
            lambda app: lambda f: app.remote("t", retries=3),
            "did you mean max_retry. .* are payload, result, queue",
        ),
        (lambda app: lambda f: app.task(f).options(name="x"), "name='x' .* the options of a task are queue"),
        (
            lambda app: lambda f: ANY_APP(broker="redis://h"),
            "broker='redis://h' .* did you mean redis. the options of an app",
        ),
        (lambda app: lambda f: ANY_APP(lifespam=1), "did you mean lifespan. "),
        (lambda app: lambda f: ANY_ROUTER(redis="x"), "the options of a router are prefix, queue"),
        (lambda app: lambda f: app.server(workers=3), "did you mean concurrency. the options of a server"),
    ],
)
def test_an_unknown_option_is_told_with_those_there_are_and_the_one_that_was_meant(
    declare: Callable[[Any], Callable[[Any], Any]], told: str
) -> None:
    async def work() -> None: ...

    with pytest.raises(InvalidOptionError, match=told):
        declare(App(AWAY))(work)


def _wrapping(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


class Machine:
    def __init__(self, factor: int = 1) -> None:
        self.factor = factor

    async def run(self, n: int) -> int:
        return self.factor * n

    @classmethod
    async def make(cls, n: int) -> int:
        return n

    @staticmethod
    async def double(n: int) -> int:
        return 2 * n

    def __call__(self, n: int) -> int:
        return n


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (lambda n: n, "a function that has a name, or `name=`"),
        (
            Machine.run,
            "task='Machine.run' is not allowed: a function, or a static method: where the task runs",
        ),
        (Machine, "a function$"),
        (Machine(), "a function$"),
        (functools.partial(Machine.double, 1), "a function$"),
        (classmethod(_wrapping), "a function$"),
        (property(_wrapping), "a function$"),
        (5, "a function$"),
    ],
)
def test_what_no_worker_could_call_is_refused(given: Any, problem: str) -> None:
    with pytest.raises(InvalidOptionError, match=problem):
        App(AWAY).task(given)


def test_a_method_in_the_body_of_its_class_is_refused_and_a_static_one_is_a_function() -> None:
    app = App(AWAY)

    class Press:
        @app.task
        @staticmethod
        async def stamp(n: int) -> int:
            return n

        @staticmethod
        @app.task
        async def punch(n: int) -> int:
            return n

    assert (Press.stamp.task(1).payload, Press.punch.task(1).payload) == (b'{"n":1}', b'{"n":1}')
    assert isinstance(Press.stamp, AsyncTask)
    with pytest.raises(InvalidOptionError, match="a static method"):

        class _Bad:
            @app.task
            async def press(self, n: int) -> int:
                return n


def test_methods_of_an_object_or_a_class_and_lambdas_with_a_name_are_functions() -> None:
    app = App(AWAY)
    tasks = [app.task(Machine(3).run), app.task(Machine.make), app.task(name="twice")(lambda n: 2 * n)]
    assert [task.type for task in tasks] == ["run", "make", "twice"]
    assert {task.task(4).payload for task in tasks} == {b'{"n":4}'}


async def test_parameters_may_have_any_names() -> None:
    app = App(AWAY, eager=True, retention=60)

    @app.task
    async def odd(
        self: int, task: str, args: list[int], kwargs: int, *, queue: str, payload: int
    ) -> list[Any]:
        return [self, task, args, kwargs, queue, payload]

    call: dict[str, Any] = {"self": 1, "task": "t", "args": [2], "kwargs": 3, "queue": "q", "payload": 4}
    assert await (await odd.enqueue(**call)).result() == [1, "t", [2], 3, "q", 4]
    assert await odd(**call) == [1, "t", [2], 3, "q", 4]
    assert odd.step(**call).plan().steps[0].call.at is None
    with app.eager() as eager:
        await odd.enqueue(**call)
        eager.assert_enqueued(odd, self=1, task="t")
