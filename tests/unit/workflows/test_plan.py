"""Plans: which step waits for which, and where results go."""

from __future__ import annotations

import json
from typing import Any

import pytest

from asynq_py import App, Flow, InvalidOptionError, Step, Task, chain, each, gather, previous
from asynq_py.broker.flows import FOLLOW_UP
from asynq_py.step_text import defined
from asynq_py.wire import limits

app = App("redis://127.0.0.1:1/0")


@app.task
async def one(n: int = 0) -> int:
    return n


@app.task
async def many(numbers: list[int], more: int = 0) -> int:
    return 0


def alone(name: str) -> Step[object, Any]:
    return Step.of(Task(name))


def laid(flow: Flow[Any, Any]) -> list[tuple[str, tuple[int, ...], Any]]:
    """Each step: its type, what it waits for, and where its result comes from."""
    return [(step.call.name, step.after, step.source) for step in flow.plan().steps]


def test_the_steps_of_a_chain_wait_for_the_one_before() -> None:
    flow = chain(one.step(1), one.step(previous), alone("t"), one.step(n=previous))
    assert laid(flow) == [("one", (), None), ("one", (0,), 0), ("t", (1,), None), ("one", (2,), 2)]
    assert flow.plan().output == 3


def test_a_join_waits_for_the_ends_of_all_and_takes_their_results() -> None:
    flow = gather(chain(one.step(1), one.step(previous)), one.step(2)).then(many.step())
    assert laid(flow) == [
        ("one", (), None),
        ("one", (0,), 0),
        ("one", (), None),
        ("many", (1, 2), [1, 2]),
    ]


def test_a_gather_in_a_chain_fans_out_and_its_results_are_nested_as_it_is() -> None:
    inner: Flow[int, Any] = gather(one.step(previous), gather(one.step(previous), alone("t")))
    flow = chain(one.step(1), inner, many.step())
    assert laid(flow)[1:] == [
        ("one", (0,), 0),
        ("one", (0,), 0),
        ("t", (0,), None),
        ("many", (1, 2, 3), [1, [2, 3]]),
    ]
    assert chain(one.step(1), inner).plan().output == [1, [2, 3]]


def test_the_same_part_may_be_in_a_flow_twice() -> None:
    part = one.step(1)
    assert laid(chain(part, gather(part, part))) == [
        ("one", (), None),
        ("one", (0,), None),
        ("one", (0,), None),
    ]


def test_a_step_for_each_item_is_one_step_of_the_plan() -> None:
    flow = chain(alone("t"), each(one.step(previous)), many.step())
    assert laid(flow) == [("t", (), None), ("one", (0,), 0), ("many", (1,), 1)]
    step = flow.plan().steps[1]
    assert (step.is_each, defined(step.definition()).is_each) == (True, True)
    assert step.read(b"[1,2]") == [1, 2]
    assert repr(flow) == "<Flow t > each one > many>"


def test_each_method_makes_another_flow() -> None:
    flow = one.step(1)
    followed = flow.on_success(one.step(previous)).on_success(one.step(2)).on_failure(alone("alert"))
    assert not any(flow.plan().follow_ups.values())
    steps = followed.plan().follow_ups
    assert [(step.id, step.source) for step in steps["on_success"]] == [("f0", 0), ("f1", None)]
    assert [(step.id, step.source) for step in steps["on_failure"]] == [("f2", None)]
    assert steps["on_archive"] == ()


def test_what_goes_to_redis_says_who_waits_for_whom() -> None:
    plan = chain(one.step(1), gather(one.step(2), one.step(3)), many.step()).on_success(alone("t")).plan()
    assert [(step.id, list(step.next), step.missing) for step in plan.new_steps()] == [
        ("0", ["1", "2"], 0),
        ("1", ["3"], 1),
        ("2", ["3"], 1),
        ("3", [], 2),
        ("f0", [], FOLLOW_UP),
    ]
    assert plan.head() == {
        "total": 4, "steps": 4, "follow_ups": 1, "output": "3", "shape": plan.shape(), "on_success": "f0",
    }  # fmt: skip


def test_the_shape_of_a_flow_is_that_of_its_steps_and_not_of_their_arguments() -> None:
    def shape(flow: Flow[Any, Any]) -> str:
        return flow.plan().shape()

    assert shape(chain(one.step(1), one.step(previous))) == shape(chain(one.step(2), one.step(previous)))
    others = [
        one.step(1),
        chain(one.step(1), one.step(2)),
        gather(one.step(1), one.step(2)),
        chain(one.step(1), one.step(previous), one.step(previous)),
        chain(one.step(1), one.step(previous)).on_success(one.step(2)),
    ]
    assert len({shape(flow) for flow in [chain(one.step(1), one.step(previous)), *others]}) == 6


def test_results_are_read_by_the_types_of_their_functions() -> None:
    plan = gather(one.step(1), alone("t")).plan()
    assert plan.read({0: b"7", 1: b'{"a":1}'}) == [7, {"a": 1}]
    assert plan.read({0: b"7", 1: None}) == [7, None]


@pytest.mark.parametrize(
    ("arguments", "named", "payload", "at"),
    [
        ((), {}, {"more": 0}, "numbers"),
        ((5,), {}, {"more": 5}, "numbers"),
        (([1],), {}, {"numbers": [1], "more": 0}, None),
        ((), {"more": 5}, {"more": 5}, "numbers"),
        ((), {"numbers": [1], "more": previous}, {"numbers": [1]}, "more"),
        (([1], previous), {}, {"numbers": [1]}, "more"),
    ],
)
def test_a_result_is_the_first_argument_or_the_one_that_is_named(
    arguments: tuple[Any, ...], named: dict[str, Any], payload: Any, at: str | None
) -> None:
    plan = chain(alone("before"), many.step(*arguments, **named)).plan()
    call = plan.steps[1].call
    assert (json.loads(call.task.payload or b""), call.at) == (payload, at)


def test_a_flow_has_a_name_that_is_short() -> None:
    assert repr(chain(one.step(1), gather(alone("a"), alone("b")))) == "<Flow one > (a | b)>"
    long = chain(alone("x" * 200), alone("y"))
    assert len(repr(long)) < 140
    assert repr(gather(*[alone("t")] * 9)) == "<Flow (t | t | t | …)>"


def test_what_takes_a_result_cannot_be_first() -> None:
    for flow in (many.step(), gather(one.step(1), many.step()), chain(many.step(), one.step(previous))):
        with pytest.raises(InvalidOptionError, match="an argument is missing"):
            flow.plan()


def test_a_chain_may_grow_step_by_step_as_long_as_a_flow_may_be() -> None:
    flow: Flow[Any, Any] = Step.of(Task("t"))
    for _ in range(limits.FLOW_STEPS - 1):
        flow = flow.then(Step.of(Task("t")))
    assert [step.after for step in flow.plan().steps[-2:]] == [
        (limits.FLOW_STEPS - 3,),
        (limits.FLOW_STEPS - 2,),
    ]
