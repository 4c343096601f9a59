"""A flow as rows: its steps as a tree, those that wait for others further to the right. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rich.text import Text

from asynq_py import FlowInfo, FlowStepInfo, StepState, TaskInfo
from asynq_py.cli.wording import when
from asynq_py.dash.cells import COLOURS, cell
from asynq_py.dash.how_far import WIDTH, bar, short
from asynq_py.dash.task_rows import about

FLOW_COLUMNS: Final = ("id", "name", "state", "steps done", "began", "ended", "error")
STEP_COLUMNS: Final = ("step", "type", "state", "after", "queue", "about")
FLOW_COLOURS: Final[Mapping[str, str]] = {
    "running": "blue", "succeeded": "green", "failed": "red", "cancelled": "yellow",
}  # fmt: skip
STEP_COLOURS: Final[Mapping[str, str]] = {
    "waiting": "dim", "ready": "cyan", "sent": "cyan", "done": "green", "failed": "red",
    "cancelled": "yellow", "idle": "dim",
}  # fmt: skip
DEEPEST: Final = 8  # what is deeper stands as far to the right as that
AFTERS: Final = 6  # steps that are named of those a step waits for


@dataclass(frozen=True, slots=True)
class Branch:
    """A step in its place. `depth`: how many must end one after the other before it. `made`, `made_done`: of
    one that takes each item of a list, the steps of its items, and how many of them have succeeded.
    """

    step: FlowStepInfo
    depth: int
    made: int = 0
    made_done: int = 0

    @property
    def label(self) -> str:
        return f"{'  ' * (min(self.depth, DEEPEST) - 1)}└ {self.step.id}" if self.depth else self.step.id


def tree(steps: Sequence[FlowStepInfo]) -> list[Branch]:
    """Find out how the steps depend on each other."""
    depths: dict[str, int] = {}
    made: dict[str, list[FlowStepInfo]] = {}
    for step in steps:  # each comes after those that it waits for
        whole, dot, _ = step.id.partition(".")
        if dot:
            made.setdefault(whole, []).append(step)
            depths[step.id] = depths.get(whole, 0) + 1
        else:
            depths[step.id] = 1 + max((depths.get(other, 0) for other in step.after), default=-1)
    return [
        Branch(
            step, depths[step.id], len(made.get(step.id, ())),
            sum(item.state is StepState.DONE for item in made.get(step.id, ())),
        )
        for step in steps
    ]  # fmt: skip


def flow_row(info: FlowInfo, now: datetime) -> Sequence[Text]:
    return [
        cell(info.id, FLOW_COLOURS[info.state]),
        cell(info.name, "bold"),
        cell(info.state, FLOW_COLOURS[info.state]),
        done(info, WIDTH),
        cell(when(info.created_at, now)),
        cell(when(info.ended_at, now)),
        cell(info.error or "", "red"),
    ]


def done(info: FlowInfo, width: int) -> Text:
    """`███░░ 3/5`."""
    fraction = info.done / info.total if info.total else 1.0
    drawn = (bar(fraction, width), FLOW_COLOURS[info.state])
    return Text.assemble(drawn, f" {info.done:,}/{info.total:,}", no_wrap=True)


def step_row(branch: Branch, task: TaskInfo | None) -> Sequence[Text]:
    """`task`: that of the step, if it is there."""
    step = branch.step
    state, colour = str(step.state), STEP_COLOURS[step.state]
    if step.state is StepState.SENT and task is not None:
        state, colour = task.state, COLOURS[task.state]
    return [
        cell(branch.label, colour),
        cell(step.type, "bold"),
        cell(state, colour),
        cell(_after(step), "dim"),
        cell(step.queue),
        _about(branch, task),
    ]


def _after(step: FlowStepInfo) -> str:
    named = ", ".join(step.after[:AFTERS])
    return f"{named} and {len(step.after) - AFTERS:,} more" if len(step.after) > AFTERS else named


def _about(branch: Branch, task: TaskInfo | None) -> Text:
    if branch.made:
        fraction = branch.made_done / branch.made
        drawn = (bar(fraction, WIDTH), "blue")
        return Text.assemble(drawn, f" {branch.made_done:,} of {branch.made:,} items", no_wrap=True)
    if task is None or branch.step.state is StepState.DONE:
        return Text()
    return short(task.progress) if task.progress is not None and not task.last_error else about(task)
