"""Flows from end to end: steps follow each other, results are passed on, ends are followed up."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from asynq_py import (
    App,
    AsynqError,
    FlowCancelledError,
    FlowFailedError,
    FlowFailure,
    FlowNotFoundError,
    FlowState,
    InvalidOptionError,
    PayloadError,
    RevokeTask,
    SkipRetry,
    Step,
    StepState,
    Task,
    TaskNotFoundError,
    TaskState,
    chain,
    current_task,
    gather,
    previous,
)
from tests.eventually import eventually
from tests.integration.workflows.conftest import Serve


@dataclass
class Image:
    path: str
    width: int = 0


# -- results ------------------------------------------------------------------------------------------------


async def test_each_step_of_a_chain_gets_the_result_before_as_its_first_argument(
    app: App, serve: Serve
) -> None:
    @app.task
    async def fetch(url: str) -> Image:
        return Image(url)

    @app.task
    def resize(image: Image, width: int) -> Image:
        return Image(image.path, width)

    @app.task
    async def publish(image: Image) -> str:
        return f"{image.path}@{image.width}"

    async with serve():
        handle = await chain(fetch.step("a.png"), resize.step(100), publish.step()).enqueue()
        value: str = await handle.result(timeout=20)
        assert value == "a.png@100"
        assert await handle.progress() == (3, 3)
        assert await handle.status() is FlowState.SUCCEEDED
        steps = (await handle.info()).steps

    assert [(step.type, step.state, step.after) for step in steps] == [
        ("fetch", StepState.DONE, ()),
        ("resize", StepState.DONE, ("0",)),
        ("publish", StepState.DONE, ("1",)),
    ]


async def test_a_step_can_say_which_argument_gets_the_result_or_take_none(app: App, serve: Serve) -> None:
    @app.task
    async def count(text: str) -> int:
        return len(text)

    @app.task
    async def tell(text: str, *, times: int = 1) -> str:
        return text * times

    async with serve():
        named = await count.step("abc").then(tell.step("x", times=previous)).enqueue()
        assert await named.result(timeout=20) == "xxx"
        alone = await count.step("abc").then(tell.step("x")).enqueue()
        assert await alone.result(timeout=20) == "x"


async def test_a_join_gets_the_results_of_all_in_order(app: App, serve: Serve) -> None:
    begun: list[int] = []
    all_began = asyncio.Event()

    @app.task
    async def square(n: int) -> int:
        begun.append(n)
        if len(begun) == 5:
            all_began.set()
        await all_began.wait()  # so they do run at once
        return n * n

    @app.task
    async def join(numbers: list[int], label: str = "") -> str:
        return f"{label}{numbers}"

    flow = gather(*(square.step(n) for n in range(5))).then(join.step(label="squares "))
    async with serve():
        handle = await flow.enqueue()
        assert await handle.result(timeout=20) == "squares [0, 1, 4, 9, 16]"


async def test_the_result_of_a_gather_is_a_list_of_models(app: App, serve: Serve) -> None:
    @app.task
    async def load(path: str) -> Image:
        return Image(path)

    async with serve():
        handle = await gather(load.step("a"), load.step("b")).enqueue()
        images: list[Image] = await handle.result(timeout=20)
    assert images == [Image("a"), Image("b")]


async def test_flows_can_be_parts_of_flows(app: App, serve: Serve) -> None:
    @app.task
    async def start() -> int:
        return 1

    @app.task
    async def add(n: int, more: int) -> int:
        return n + more

    @app.task
    async def total(parts: list[Any]) -> str:
        return json.dumps(parts)

    two = chain(add.step(more=10), add.step(more=100))
    flow = chain(start.step(), gather(two, gather(add.step(more=2), add.step(more=3))), total.step())
    async with serve():
        handle = await flow.enqueue()
        assert await handle.result(timeout=20) == "[111, [3, 4]]"


async def test_steps_keep_their_options_and_headers(app: App, serve: Serve) -> None:
    seen: list[tuple[str, int, str]] = []

    @app.task(queue="slow", max_retry=7, headers={"tenant": "t1"})
    async def work(n: int = 0) -> int:
        task = current_task()
        seen.append((task.queue, task.max_retry, task.headers["tenant"]))
        return n + 1

    async with serve():
        handle = await chain(work.step(1), work.options(queue="default", max_retry=2).step()).enqueue()
        await handle.result(timeout=20)
        kept = await app.inspector.task_info("slow", f"{handle.id}:0")
    assert seen == [("slow", 7, "t1"), ("default", 2, "t1")]
    assert kept.retention == 3600


async def test_a_flow_of_plain_tasks_goes_out_through_the_app(app: App, serve: Serve) -> None:
    @app.task
    async def double(n: int) -> int:
        return 2 * n

    flow = chain(Step.of(Task("double", {"n": 4})), double.step())
    async with serve():
        handle = await app.enqueue(flow, name="doubling")
        assert await handle.result(timeout=20) == 16
        assert (await handle.info()).name == "doubling"
        assert await app.flow(handle.id).result(timeout=20) == 16
    with pytest.raises(AsynqError, match=r"app\.enqueue\(flow\)"):
        await Step.of(Task("double", {"n": 4})).enqueue()


async def test_a_result_that_does_not_fit_fails_the_flow_with_the_reason(app: App, serve: Serve) -> None:
    @app.task
    async def text() -> Any:
        return "seven"

    @app.task
    async def double(n: int) -> int:
        return 2 * n

    async with serve():
        handle = await chain(text.step(), double.step()).enqueue()
        with pytest.raises(FlowFailedError, match="n: expected int, got str") as failed:
            await handle.result(timeout=20)
    assert (failed.value.task_type, failed.value.queue) == ("double", "default")
    assert failed.value.task_id == f"{handle.id}:1"


async def test_a_step_that_is_retried_is_counted_once(app: App, serve: Serve) -> None:
    tries: list[int] = []

    @app.task(max_retry=3)
    async def shaky() -> int:
        tries.append(1)
        if len(tries) < 3:
            raise ValueError("not yet")
        return 1

    @app.task
    async def after(n: int) -> int:
        tries.append(10)
        return n + 1

    async with serve():
        handle = await chain(shaky.step(), after.step()).enqueue()
        assert await handle.result(timeout=20) == 2
    assert tries == [1, 1, 1, 10]


async def test_waiting_ends_at_its_timeout_and_the_flow_goes_on(app: App, serve: Serve) -> None:
    @app.task
    async def work() -> int:
        return 1

    handle = await work.step().enqueue()
    with pytest.raises(TimeoutError, match=handle.id):
        await handle.result(timeout=timedelta(milliseconds=50))
    assert await handle.progress() == (0, 1)
    async with serve():
        assert await handle.result(timeout=20) == 1


# -- what cannot be a flow ----------------------------------------------------------------------------------


async def test_what_cannot_work_is_refused_before_anything_is_sent(app: App, redis: Any) -> None:
    @app.task
    async def double(n: int) -> int:
        return 2 * n

    with pytest.raises(InvalidOptionError, match="an argument is missing"):
        await double.step().enqueue()  # type: ignore[misc]  # that is the point
    with pytest.raises(PayloadError, match="n: expected int, got str"):
        double.step("4")  # type: ignore[call-overload]  # that is the point
    with pytest.raises(PayloadError, match="too many"):
        double.step(previous, previous)  # type: ignore[call-overload]  # that is the point
    with pytest.raises(PayloadError, match="n: expected int, got Previous"):
        double.task(previous)
    with pytest.raises(InvalidOptionError, match="one step at least"):
        gather()
    with pytest.raises(InvalidOptionError, match=r"`Step\.of\(task\)`"):
        chain(double.step(1), double.task(1))  # type: ignore[call-overload]  # that is the point
    with pytest.raises(InvalidOptionError, match="group='g'"):
        double.options(group="g").step(1)
    with pytest.raises(InvalidOptionError, match="on_error='explode'"):
        await double.step(1).enqueue(on_error="explode")  # type: ignore[arg-type]  # that is the point
    with pytest.raises(InvalidOptionError, match="of the whole flow"):
        chain(double.step(1).on_success(double.step()), double.step())
    with pytest.raises(InvalidOptionError, match="single steps"):
        double.step(1).on_success(chain(double.step(1), double.step()))
    with pytest.raises(InvalidOptionError, match="at most 2000 steps"):
        await gather(*(double.step(n) for n in range(2001))).enqueue()
    many = [gather(*(double.step(1) for _ in range(150))) for _ in range(2)]
    with pytest.raises(InvalidOptionError, match="stand between them"):
        await chain(*many).enqueue()
    assert await _flow_keys(redis) == []


async def test_a_flow_that_is_not_there_is_not_found(app: App) -> None:
    handle = app.flow("never")
    for ask in (handle.status, handle.progress, handle.info, handle.cancel, handle.retry, handle.result):
        with pytest.raises(FlowNotFoundError, match="'never'"):
            await ask()


# -- failure ------------------------------------------------------------------------------------------------


async def test_a_step_that_fails_for_good_ends_the_flow_and_both_follow_ups_run_once(
    app: App, serve: Serve
) -> None:
    told: list[Any] = []

    @app.task(max_retry=1)
    async def fail() -> int:
        raise ValueError("no such user")

    @app.task
    async def after(n: int) -> None:
        told.append("never")

    @app.task
    async def alert(failure: FlowFailure) -> None:
        told.append(failure)

    @app.task
    async def note(what: str) -> None:
        told.append(what)

    flow = (
        chain(fail.step(), after.step())
        .on_failure(alert.step())
        .on_archive(note.step("archived"))
        .on_success(note.step("success"))
    )
    async with serve():
        handle = await flow.enqueue(name="nightly")
        with pytest.raises(FlowFailedError, match=r"failed in 'fail': ValueError: no such user"):
            await handle.result(timeout=20)

        async def count() -> int:
            return len(told)

        await eventually(count, lambda n: n >= 2)
        info = await eventually(
            handle.info, lambda info: all(step.state is not StepState.READY for step in info.steps)
        )
    failure = next(item for item in told if item != "archived")
    assert sorted(map(str, told), key=len)[0] == "archived"
    assert len(told) == 2
    assert failure == {
        "flow": handle.id,
        "name": "nightly",
        "step": "0",
        "task_type": "fail",
        "queue": "default",
        "task_id": f"{handle.id}:0",
        "error": "ValueError: no such user",
    }
    assert (info.state, info.failed_step, info.done) == (FlowState.FAILED, "0", 0)
    assert {step.id: step.state for step in info.steps} == {
        "0": StepState.FAILED,
        "1": StepState.WAITING,
        "f0": StepState.IDLE,
        "f1": StepState.SENT,
        "f2": StepState.SENT,
    }


@pytest.mark.parametrize("wish", [RevokeTask, SkipRetry])
async def test_a_step_that_gives_up_fails_the_flow_at_once(
    app: App, serve: Serve, wish: type[Exception]
) -> None:
    archived: list[str] = []

    @app.task
    async def give_up() -> int:
        raise wish("not ours")

    @app.task
    async def note() -> None:
        archived.append("archived")

    @app.task
    async def told() -> None:
        archived.append("failed")

    reason = "not ours" if wish is SkipRetry else "its task is gone"
    async with serve():
        handle = await give_up.step().on_archive(note.step()).on_failure(told.step()).enqueue()
        with pytest.raises(FlowFailedError, match=reason):
            await handle.result(timeout=20)

        async def heard() -> list[str]:
            return sorted(archived)

        await eventually(heard, lambda now: "failed" in now and len(now) == (2 if wish is SkipRetry else 1))


async def test_on_success_gets_the_result_of_the_flow(app: App, serve: Serve) -> None:
    told: asyncio.Queue[Any] = asyncio.Queue()

    @app.task
    async def one(n: int) -> int:
        return n

    @app.task
    async def tell(numbers: list[int]) -> None:
        await told.put(numbers)

    async with serve():
        await gather(one.step(1), one.step(2)).on_success(tell.step()).enqueue()
        async with asyncio.timeout(20):
            assert await told.get() == [1, 2]


async def test_other_steps_go_on_when_one_fails_but_nothing_new_begins(app: App, serve: Serve) -> None:
    done: list[str] = []
    failed = asyncio.Event()

    @app.task(max_retry=0)
    async def fail() -> int:
        raise ValueError("no")

    @app.task
    async def slow() -> int:
        await failed.wait()
        done.append("slow")
        return 1

    @app.task
    async def after(n: int) -> int:
        done.append("after")
        return n

    async with serve():
        handle = await gather(fail.step(), chain(slow.step(), after.step())).enqueue()
        with pytest.raises(FlowFailedError):
            await handle.result(timeout=20)
        failed.set()
        info = await eventually(handle.info, lambda info: info.done == 1)
    assert done == ["slow"]
    assert [step.state for step in info.steps] == [StepState.FAILED, StepState.DONE, StepState.READY]


async def test_with_on_error_cancel_the_others_are_cancelled(app: App, serve: Serve) -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    @app.task(max_retry=0)
    async def fail() -> int:
        await began.wait()
        raise ValueError("no")

    @app.task
    async def endless() -> int:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return 1

    later = endless.options(process_in=3600)
    async with serve():
        handle = await gather(fail.step(), endless.step(), later.step()).enqueue(on_error="cancel")
        with pytest.raises(FlowFailedError):
            await handle.result(timeout=20)
        async with asyncio.timeout(20):
            await ended.wait()
        await eventually(handle.info, lambda info: all(step.state == "failed" for step in info.steps))
        with pytest.raises(TaskNotFoundError):
            await app.inspector.task_info("default", f"{handle.id}:2")


async def test_a_step_that_is_deleted_fails_the_flow(app: App, serve: Serve) -> None:
    @app.task(process_in=3600)
    async def later() -> int:
        return 1

    handle = await later.step().enqueue()
    await app.inspector.delete_task("default", f"{handle.id}:0")
    async with serve():
        with pytest.raises(FlowFailedError, match="its task is gone"):
            await handle.result(timeout=20)


async def test_a_step_that_cannot_be_enqueued_fails_the_flow(app: App, serve: Serve) -> None:
    @app.task
    async def big() -> str:
        return "x" * 700_000

    @app.task
    async def join(parts: list[str]) -> int:
        return len(parts)

    async with serve():
        handle = await gather(big.step(), big.step()).then(join.step()).enqueue()
        with pytest.raises(FlowFailedError, match="it was not enqueued: payload="):
            await handle.result(timeout=20)


async def test_a_step_that_takes_too_long_fails_the_flow(app: App, serve: Serve) -> None:
    @app.task(timeout=1, max_retry=0)
    async def endless() -> int:
        await asyncio.Event().wait()
        return 1

    async with serve():
        handle = await endless.step().enqueue()
        with pytest.raises(FlowFailedError, match="not done within 1 s"):
            await handle.result(timeout=20)


async def test_a_step_whose_unique_lock_is_held_fails_the_flow(app: App, serve: Serve) -> None:
    @app.task(process_in=3600)
    async def work(n: int) -> int:
        return n

    locked = work.options(unique=60)
    await locked.enqueue(1)
    handle = await locked.step(1).enqueue()
    with pytest.raises(FlowFailedError, match="it was not enqueued: a unique task"):
        await handle.result(timeout=20)


async def test_a_result_that_is_neither_json_nor_text_fails_the_flow(app: App, serve: Serve) -> None:
    @app.task
    async def raw() -> Any:
        await current_task().write_result(b"\xff\xfe")

    @app.task
    async def text() -> Any:
        await current_task().write_result(b"plain")

    @app.task
    async def size(of: str) -> int:
        return len(of)

    async with serve():
        handle = await chain(raw.step(), size.step()).enqueue()
        with pytest.raises(FlowFailedError, match="its payload cannot be made"):
            await handle.result(timeout=20)
        assert await (await chain(text.step(), size.step()).enqueue()).result(timeout=20) == 5


# -- trying again -------------------------------------------------------------------------------------------


async def test_a_failed_flow_can_go_on_once_its_cause_is_mended(app: App, serve: Serve) -> None:
    runs: list[str] = []
    mended = False

    @app.task
    async def first() -> int:
        runs.append("first")
        return 1

    @app.task(max_retry=0)
    async def second(n: int) -> int:
        runs.append("second")
        if not mended:
            raise ValueError("no")
        return n + 1

    @app.task
    async def third(n: int) -> int:
        return n + 1

    async with serve():
        handle = await chain(first.step(), second.step(), third.step()).enqueue()
        with pytest.raises(FlowFailedError):
            await handle.result(timeout=20)
        mended = True
        assert await handle.retry()
        assert await handle.result(timeout=20) == 3
        assert not await handle.retry()
    assert runs == ["first", "second", "second"]


async def test_a_flow_goes_on_when_its_failed_task_is_run_by_hand(app: App, serve: Serve) -> None:
    mended = False

    @app.task(max_retry=0)
    async def first() -> int:
        if not mended:
            raise ValueError("no")
        return 1

    @app.task
    async def second(n: int) -> int:
        return n + 1

    async with serve():
        handle = await chain(first.step(), second.step()).enqueue()
        with pytest.raises(FlowFailedError):
            await handle.result(timeout=20)
        mended = True
        await app.inspector.run_task("default", f"{handle.id}:0")
        await eventually(handle.status, lambda status: status is FlowState.SUCCEEDED)
        assert await handle.result(timeout=20) == 2


async def test_a_step_whose_task_is_gone_is_enqueued_anew(app: App, serve: Serve) -> None:
    @app.task
    async def work() -> int:
        return 1

    handle = await work.options(process_in=3600).step().enqueue()
    await app.inspector.delete_task("default", f"{handle.id}:0")
    async with serve():
        with pytest.raises(FlowFailedError):
            await handle.result(timeout=20)
        assert await handle.retry()
        again = await eventually(lambda: _state(app, handle.id), lambda state: state is not None)
    assert again is TaskState.SCHEDULED


async def _state(app: App, flow: str) -> TaskState | None:
    try:
        return (await app.inspector.task_info("default", f"{flow}:0")).state
    except TaskNotFoundError:
        return None


# -- cancelation --------------------------------------------------------------------------------------------


async def test_cancelling_deletes_what_waits_and_ends_what_runs(app: App, serve: Serve) -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    @app.task
    async def endless() -> int:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return 1

    later = endless.options(process_in=3600)
    async with serve():
        handle = await chain(gather(endless.step(), later.step()), endless.step()).enqueue()
        async with asyncio.timeout(20):
            await began.wait()
        assert await handle.cancel()
        async with asyncio.timeout(20):
            await ended.wait()
        with pytest.raises(FlowCancelledError, match=handle.id):
            await handle.result(timeout=20)
        assert not await handle.cancel()
        for step in ("0", "1"):
            await eventually(lambda step=step: _is_gone(app, f"{handle.id}:{step}"))  # type: ignore[misc]
        info = await eventually(
            handle.info, lambda info: {step.state for step in info.steps[:2]} == {StepState.CANCELLED}
        )
    assert info.state is FlowState.CANCELLED
    assert not await handle.retry()


async def _is_gone(app: App, task_id: str) -> bool:
    try:
        await app.inspector.task_info("default", task_id)
    except TaskNotFoundError:
        return True
    return False


async def test_a_step_of_a_cancelled_flow_does_not_begin(app: App, serve: Serve) -> None:
    ran: list[int] = []

    @app.task
    async def work() -> int:
        ran.append(1)
        return 1

    handle = await work.step().enqueue()
    # cancelled by somebody who was lost before the task was deleted
    await app.client.ping()
    assert await _flows(app).cancel(handle.id)
    async with serve():
        await eventually(lambda: _is_gone(app, f"{handle.id}:0"))
    assert ran == []


def _flows(app: App) -> Any:
    return app.flow("x")._connections.flows


async def test_what_is_enqueued_while_the_flow_is_cancelled_is_taken_back(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    @app.task
    async def work() -> int:
        return 1

    flows = _flows(app)
    sent = flows.sent

    async def cancelled_before(flow: str, ids: list[str]) -> int:
        assert await flows.cancel(flow)
        assert not await _is_gone(app, f"{flow}:0")
        count: int = await sent(flow, ids)
        return count

    monkeypatch.setattr(flows, "sent", cancelled_before)
    handle = await work.step().enqueue()
    assert await handle.status() is FlowState.CANCELLED
    assert await _is_gone(app, f"{handle.id}:0")


# -- twice ---------------------------------------------------------------------------------------------------


async def test_a_step_that_comes_again_when_it_is_done_is_not_run_again(app: App, serve: Serve) -> None:
    runs: list[str] = []

    @app.task
    async def first() -> int:
        runs.append("first")
        return 1

    @app.task
    async def second(n: int) -> int:
        runs.append("second")
        return n + 1

    async with serve():
        handle = await chain(first.step(), second.step()).enqueue()
        assert await handle.result(timeout=20) == 2
        await app.inspector.run_task("default", f"{handle.id}:0")

        async def state() -> TaskState:
            return (await app.inspector.task_info("default", f"{handle.id}:0")).state

        await eventually(state, lambda state: state is TaskState.COMPLETED)
    assert runs == ["first", "second"]


async def test_what_is_done_and_not_moved_on_is_moved_on_by_the_next_server(app: App, serve: Serve) -> None:
    @app.task
    async def first() -> int:
        raise AssertionError("it is done")

    @app.task
    async def second(n: int) -> int:
        return n + 1

    handle = await chain(first.step(), second.step()).enqueue()
    # a worker was lost right after it had recorded the step
    assert await _flows(app).done(handle.id, "0", b"41") == "DONE"
    async with serve():
        assert await handle.result(timeout=20) == 42


async def test_what_nobody_else_can_move_on_is_moved_on_by_whoever_looks_after_flows(
    app: App, serve: Serve
) -> None:
    @app.task
    async def first() -> int:
        raise AssertionError("it is done, and gone")

    @app.task
    async def second(n: int) -> int:
        return n + 1

    handle = await chain(first.step(), second.step()).enqueue()
    assert await _flows(app).done(handle.id, "0", b"41") == "DONE"
    await app.inspector.delete_task("default", f"{handle.id}:0")
    async with serve(), serve():
        assert await handle.result(timeout=20) == 42


async def test_what_is_enqueued_and_not_noted_runs_once(app: App, serve: Serve, client: Any) -> None:
    runs: list[int] = []

    @app.task
    async def first() -> int:
        return 1

    @app.task
    async def second(n: int) -> int:
        runs.append(n)
        return n + 1

    handle = await chain(first.step(), second.step()).enqueue()
    # a worker was lost right after it had enqueued the second step
    await app.inspector.delete_task("default", f"{handle.id}:0")
    assert await _flows(app).done(handle.id, "0", b"1") == "DONE"
    await client.enqueue(
        Task("second", {"n": 1}, headers={"asynq-flow": handle.id}), task_id=f"{handle.id}:1", retention=3600
    )
    async with serve(), serve():
        assert await handle.result(timeout=20) == 2
        info = await eventually(handle.info, lambda info: info.done == 2)
    assert info.state is FlowState.SUCCEEDED
    assert runs == [1]


async def test_a_large_flow_joins_once(app: App, serve: Serve) -> None:
    joined: list[int] = []

    @app.task
    async def one(n: int) -> int:
        return n

    @app.task
    async def join(numbers: list[int]) -> int:
        joined.append(len(numbers))
        return sum(numbers)

    async with serve(), serve():
        handle = await gather(*(one.step(n) for n in range(300))).then(join.step()).enqueue()
        assert await handle.result(timeout=60) == sum(range(300))
    assert joined == [300]


async def test_a_flow_of_the_same_id_is_enqueued_once(app: App, serve: Serve, redis: Any) -> None:
    runs: list[int] = []

    @app.task
    async def one(n: int) -> int:
        runs.append(n)
        return n

    first = await one.step(1).enqueue(flow_id="nightly: 2026-01-02")
    again = await gather(one.step(7), one.step(8)).enqueue(flow_id="nightly: 2026-01-02")
    async with serve():
        assert (await first.result(timeout=20), again.id) == (1, first.id)
        assert await app.flow(again.id).result(timeout=20) == 1
    assert runs == [1]
    for bad in ("", "a{b}", "x" * 201):
        with pytest.raises(InvalidOptionError, match="flow_id="):
            await one.step(1).enqueue(flow_id=bad)


async def test_a_flow_whose_maker_was_lost_is_made_by_the_next_try(app: App, serve: Serve) -> None:
    @app.task
    async def one(n: int) -> int:
        return n

    many = gather(*(one.step(n) for n in range(150)))
    # so far the maker came
    assert await _flows(app).add("f", many.plan().new_steps()[:100])
    handle = await many.enqueue(flow_id="f")
    async with serve():
        assert await handle.result(timeout=40) == list(range(150))


# -- what is left -------------------------------------------------------------------------------------------


async def test_nothing_is_left_of_a_flow_when_its_time_is_over(app: App, serve: Serve, redis: Any) -> None:
    @app.task
    async def work(n: int = 0) -> int:
        return n

    async with serve():
        handle = await chain(work.step(), work.step(n=previous)).enqueue(retention=1)
        await handle.result(timeout=20)
        await eventually(lambda: _flow_keys(redis), lambda keys: keys == [])
    with pytest.raises(FlowNotFoundError):
        await handle.status()


async def _flow_keys(redis: Any) -> list[bytes]:
    return [key async for key in redis.scan_iter("asynq:flow*", count=1000)]


async def test_flows_are_listed_while_they_run_and_afterwards(app: App, serve: Serve) -> None:
    @app.task
    async def work() -> int:
        return 1

    handles = [await work.step().enqueue(name=name) for name in ("a", "b", "c")]
    assert [(info.name, info.state) for info in await app.inspector.flows()] == [
        (name, FlowState.RUNNING) for name in ("a", "b", "c")
    ]
    assert len(await app.inspector.flows(2, 2)) == 1
    async with serve():
        for handle in handles:
            await handle.result(timeout=20)
        states = [info.state for info in await app.inspector.flows()]
    assert states == [FlowState.SUCCEEDED] * 3


async def test_all_steps_of_a_flow_get_the_headers_of_where_it_was_enqueued(redis_url: str) -> None:
    app, seen = App(redis_url), dict[str, str]()
    tenant = "acme"
    app.mark_flows(lambda: {"tenant": tenant, "colour": "red"})

    @app.task
    async def note(name: str, after: str = "") -> str:
        seen[name] = "{tenant} {colour}".format(**current_task().headers)
        return name

    own = note.options(headers={"colour": "blue"})
    async with app, app.server(poll_interval=0.05):
        handle = (
            await chain(note.step("a"), own.step("b"), note.step("c")).on_success(note.step("d")).enqueue()
        )
        tenant = "other"
        await handle.result(timeout=20)

        async def count() -> int:
            return len(seen)

        await eventually(count, lambda n: n == 4)

    assert seen == {"a": "acme red", "b": "acme blue", "c": "acme red", "d": "acme red"}


async def test_the_result_of_another_flow_that_had_the_id_before_is_not_taken_for_that_of_this_one(
    app: App, serve: Serve
) -> None:
    @app.task
    async def one(n: int) -> int:
        return n

    @app.task
    async def many(n: int) -> list[int]:
        return [n]

    flow = chain(one.step(1), one.step())
    first = await flow.enqueue(flow_id="daily", name="two ones")
    same = await chain(one.step(5), one.step()).enqueue(flow_id="daily")  # as a retry makes it
    others = [
        await other.enqueue(flow_id="daily")
        for other in (many.step(1), chain(one.step(1), many.step()), flow.on_success(one.step(2)))
    ]
    async with serve():
        assert [await handle.result(timeout=20) for handle in (first, same)] == [1, 1]
        for handle in others:
            with pytest.raises(
                InvalidOptionError,
                match=r"flow_id='daily' .* 'two ones', which had it before is made of other",
            ):
                await handle.result(timeout=20)


async def test_a_step_of_an_app_with_another_redis_is_refused(app: App) -> None:
    far, unknown = App("redis://far.invalid:6379/3"), App(app._redis)

    @app.task
    async def one(n: int) -> int:
        return n

    @far.task
    async def two(n: int) -> int:
        return n

    @unknown.task
    async def three(n: int) -> int:
        return n

    with pytest.raises(
        InvalidOptionError, match="step='two' is not allowed: of an app with the Redis of this flow"
    ):
        await chain(one.step(1), two.step()).enqueue()
    with pytest.raises(InvalidOptionError, match=r"that of its own is far.invalid:6379/3"):
        await app.enqueue(one.step(1).on_success(two.step()))
    await chain(one.step(1), three.step()).enqueue()
    await unknown.aclose()
