"""Plan: the steps of a flow by number, what each waits for, and where results go. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias

from asynq_py.app.home import Home
from asynq_py.app.signature import Signature
from asynq_py.broker.flows import FOLLOW_UP, NewStep
from asynq_py.errors import InvalidOptionError
from asynq_py.step_text import Source, define
from asynq_py.task import Task
from asynq_py.wire import limits

FAILURE: Final = "failure"  # as a source: what is known of the failure


@dataclass(frozen=True, slots=True)
class Call:
    """A task to be. `at`: the argument that gets the result before; WHOLE: the payload; None: none does."""

    task: Task
    at: str | None
    signature: Signature | None = field(default=None, compare=False)
    home: Home | None = field(default=None, compare=False)

    @property
    def name(self) -> str:
        return self.task.type


@dataclass(frozen=True, slots=True)
class Chain:
    parts: tuple[Node, ...]

    @property
    def name(self) -> str:
        return _shortened(" > ", self.parts)


@dataclass(frozen=True, slots=True)
class Gather:
    parts: tuple[Node, ...]

    @property
    def name(self) -> str:
        return f"({_shortened(' | ', self.parts)})"


@dataclass(frozen=True, slots=True)
class Each:
    call: Call

    @property
    def name(self) -> str:
        return f"each {self.call.name}"


Node: TypeAlias = "Call | Chain | Gather | Each"


@dataclass(frozen=True, slots=True)
class FollowUps:
    """What is enqueued when the flow has ended, by the way it did."""

    success: tuple[Call, ...] = ()
    failure: tuple[Call, ...] = ()
    archive: tuple[Call, ...] = ()

    def any(self) -> bool:
        return bool(self.success or self.failure or self.archive)


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """`source`: where the result comes from that it takes, if it takes one. `after`: what it waits for.

    `is_each`: it becomes a step for each item of that.
    """

    id: str
    call: Call
    source: Source | None
    after: tuple[int, ...]
    is_each: bool = False

    def read(self, result: bytes | None) -> Any:
        """Make what the function returned; of each item, a list. Raises: PayloadError."""
        signature = self.call.signature or Signature.remote(Any, Any)
        if not self.is_each:
            return signature.load_result(self.call.name, result)
        items = json.loads(result or b"[]")
        return [signature.load_result(self.call.name, json.dumps(item).encode()) for item in items]

    def definition(self) -> bytes:
        """As Redis holds it."""
        call = self.call
        return define(call.task, at=call.at, source=self.source, after=self.after, is_each=self.is_each)


@dataclass(frozen=True, slots=True)
class Plan:
    """`output`: what the result of the flow is made of."""

    steps: tuple[PlannedStep, ...]
    output: Source
    follow_ups: Mapping[str, tuple[PlannedStep, ...]]

    @classmethod
    def of(cls, node: Node, follow_ups: FollowUps) -> Plan:
        """Raises: InvalidOptionError: too many steps; or one takes a result and nothing is before it."""
        steps: list[PlannedStep] = []
        output, _ = _laid(node, None, (), steps)
        if sum(len(step.after) for step in steps) > limits.FLOW_EDGES:
            raise InvalidOptionError(
                "flow", node.name, "fewer steps that wait for many others: let one step stand between them"
            )
        cases = {
            "on_success": (follow_ups.success, output),
            "on_failure": (follow_ups.failure, FAILURE),
            "on_archive": (follow_ups.archive, FAILURE),
        }
        planned: dict[str, tuple[PlannedStep, ...]] = {}
        count = 0
        for case, (calls, source) in cases.items():
            planned[case] = tuple(
                PlannedStep(f"f{count + place}", call, None if call.at is None else source, ())
                for place, call in enumerate(calls)
            )
            count += len(calls)
        return cls(tuple(steps), output, planned)

    def calls(self) -> Iterator[Call]:
        for step in (*self.steps, *(step for steps in self.follow_ups.values() for step in steps)):
            yield step.call

    def marked(self, headers: Mapping[str, str]) -> Plan:
        """The same, with headers for each step that has none of that name."""

        def mark(step: PlannedStep) -> PlannedStep:
            task = step.call.task
            return replace(step, call=replace(step.call, task=task.with_headers({**headers, **task.headers})))

        follow_ups = {case: tuple(map(mark, steps)) for case, steps in self.follow_ups.items()}
        return replace(self, steps=tuple(map(mark, self.steps)), follow_ups=follow_ups)

    def new_steps(self) -> list[NewStep]:
        """As the broker takes them."""
        following: dict[int, list[str]] = {}
        for step in self.steps:
            for before in step.after:
                following.setdefault(before, []).append(step.id)
        return [
            NewStep(step.id, step.definition(), following.get(place, ()), len(step.after))
            for place, step in enumerate(self.steps)
        ] + [
            NewStep(step.id, step.definition(), (), FOLLOW_UP)
            for steps in self.follow_ups.values()
            for step in steps
        ]

    def head(self) -> dict[str, str | int]:
        """What is to be known of the whole."""
        lists = {
            case: " ".join(step.id for step in steps) for case, steps in self.follow_ups.items() if steps
        }
        return {
            "total": len(self.steps),
            "steps": len(self.steps),
            "follow_ups": sum(map(len, self.follow_ups.values())),
            "output": json.dumps(self.output, separators=(",", ":")),
            "shape": self.shape(),
            **lists,
        }

    def shape(self) -> str:
        """Of which steps it is, and in which order; whatever their arguments are."""
        told = [
            [step.id, step.call.task.type, step.call.at, step.source, list(step.after), step.is_each]
            for step in (*self.steps, *(step for steps in self.follow_ups.values() for step in steps))
        ]
        return hashlib.sha256(json.dumps([told, self.output]).encode()).hexdigest()[:16]

    def read(self, results: Mapping[int, bytes | None]) -> Any:
        """Make the result of the flow from those of its steps. Raises: PayloadError."""
        return self._read(self.output, results)

    def _read(self, source: Source, results: Mapping[int, bytes | None]) -> Any:
        match source:
            case int():
                return self.steps[source].read(results[source])
            case list():
                return [self._read(one, results) for one in source]
            case _:
                raise AssertionError(source)


def _laid(
    node: Node, before: Source | None, after: tuple[int, ...], steps: list[PlannedStep]
) -> tuple[Source, tuple[int, ...]]:
    """Lay out a part. Returns what its result is made of, and the steps with which it ends."""
    match node:
        case Call():
            if node.at is not None and before is None:
                problem = "whole calls where no step is before them; an argument is missing"
                raise InvalidOptionError("step", node.name, problem)
            if len(steps) == limits.FLOW_STEPS:
                raise InvalidOptionError("flow", "steps", f"at most {limits.FLOW_STEPS} steps")
            place = len(steps)
            steps.append(PlannedStep(str(place), node, None if node.at is None else before, after))
            return place, (place,)
        case Each(call):
            source, ends = _laid(call, before, after, steps)
            steps[-1] = replace(steps[-1], is_each=True)
            return source, ends
        case Chain():
            for part in node.parts:
                before, after = _laid(part, before, after, steps)
            assert before is not None
            return before, after
        case Gather():
            laid = [_laid(part, before, after, steps) for part in node.parts]
            return [source for source, _ in laid], tuple(end for _, ends in laid for end in ends)


def _shortened(mark: str, parts: tuple[Node, ...]) -> str:
    names = [part.name for part in parts[:4]]
    return mark.join(names if len(parts) <= 4 else [*names[:3], "…"])[:120]
