"""Flows: tasks that follow each other. A flow is a few keys in one slot; its steps are tasks in any queues.

What is to be enqueued is noted by the script that makes it so, and the note is taken away when it is. So
nothing is lost between the two; and as each step has a task ID of its own, nothing is enqueued twice.

All methods raise BrokerUnavailableError (see its `maybe_done`) and BrokerError.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Final, NamedTuple

from asynq_py.broker.lane import Argument, Command, Sender
from asynq_py.broker.scripts import load
from asynq_py.clock import Clock
from asynq_py.wire import keys, limits
from asynq_py.wire.keys import FlowKeys, QueueKeys

_FLOW_ADD: Final = load("flow_add")
_FLOW_BEGIN: Final = load("flow_begin")
_FLOW_DONE: Final = load("flow_done")
_FLOW_FAIL: Final = load("flow_fail")
_FLOW_SENT: Final = load("flow_sent")
_FLOW_EXPAND: Final = load("flow_expand")
_FLOW_CANCEL: Final = load("flow_cancel")
_FLOW_RESUME: Final = load("flow_resume")
_FLOW_TURN: Final = load("flow_turn")

FOLLOW_UP: Final = -1


class NewStep(NamedTuple):
    """A step to write down. `next`: who waits for it. `missing`: how many it waits for, or FOLLOW_UP."""

    id: str
    definition: bytes
    next: Sequence[str]
    missing: int


class Ready(NamedTuple):
    """A step, or a follow-up, that is to be enqueued."""

    id: str
    definition: bytes


class Outlook(NamedTuple):
    """What a look at a flow brings. `out`: steps that are enqueued; longest not looked at, first."""

    status: str | None
    changed_at: float
    cancels: bool
    keep: int
    is_written: bool
    is_ready: bool
    out: Sequence[str]


class Flows:
    """Flows on one lane."""

    def __init__(self, lane: Sender, clock: Clock) -> None:
        self._lane = lane
        self._clock = clock

    # -- a new one --------------------------------------------------------------------------------------

    async def add(self, flow: str, steps: Sequence[NewStep]) -> bool:
        """Write down steps of a flow that has not begun, limits.FLOW_BATCH of them at most."""
        k = FlowKeys(flow)
        items: Iterable[Argument] = chain.from_iterable(
            (step.id, step.definition, " ".join(step.next), step.missing) for step in steps
        )
        return bool(await self._lane.post(_FLOW_ADD([k.state, k.ready], (limits.FLOW_UNBORN, *items))))

    async def begin(self, flow: str, fields: Mapping[str, Argument]) -> bool | None:
        """Let a flow begin whose steps are written down. Returns False if it has begun before; None:
        steps are missing, by the `steps` and `follow_ups` of its fields, so nothing begins.
        """
        # listed first: a flow that runs is always found; one that is listed only is soon forgotten
        await self._lane.call("ZADD", keys.FLOWS, int(self._clock.time()) + 1, flow)
        now = self._now()
        head: Mapping[str, Argument] = {
            **fields, "status": "running", "done": 0, "created_at": now, "changed_at": now,
        }  # fmt: skip
        arguments = (limits.FLOW_LIFE, *chain.from_iterable(head.items()))
        answer = int(await self._lane.post(_FLOW_BEGIN(FlowKeys(flow).all, arguments)))
        return None if answer < 0 else answer == 1

    # -- its steps --------------------------------------------------------------------------------------

    async def standing(self, flow: str, step: str) -> tuple[str, str, bool]:
        """Say how a flow stands, how a step of it does ("": none), and whether a failure cancels others."""
        status, standing, on_error = await self._lane.call(
            "HMGET", FlowKeys(flow).state, "status", f"s:{step}", "on_error"
        )
        return _text(status), _text(standing), on_error == b"cancel"

    async def done(self, flow: str, step: str, result: bytes | None) -> str:
        """A step succeeded. Returns DONE, OLD, OVER or GONE; see the script."""
        arguments = (step, int(result is not None), result or b"", self._now(), limits.FLOW_LIFE)
        return _text(await self._lane.post(_FLOW_DONE(FlowKeys(flow).all, arguments)))

    async def fail(self, flow: str, step: str, how: str, error: str) -> str:
        """A step failed for good. Returns FAILED, OLD, OVER or GONE; see the script."""
        arguments = (step, how, error, self._now(), limits.FLOW_LIFE)
        return _text(await self._lane.post(_FLOW_FAIL(FlowKeys(flow).all, arguments)))

    async def ready(self, flow: str) -> list[Ready]:
        """What is to be enqueued now, at most limits.FLOW_BATCH."""
        k = FlowKeys(flow)
        # of a flow that failed only follow-ups
        looks = [
            Command(("HGET", k.state, "status")),
            Command(("ZRANGEBYSCORE", k.ready, 0, 1, "LIMIT", 0, limits.FLOW_BATCH)),
            Command(("ZRANGEBYSCORE", k.ready, 1, 1, "LIMIT", 0, limits.FLOW_BATCH)),
        ]
        status, steps, follow_ups = await self._lane.call_all(*looks)
        ids = [_text(one) for one in (steps if status == b"running" else follow_ups if status else [])]
        if not ids:
            return []
        definitions = await self._lane.call("HMGET", k.state, *(f"d:{one}" for one in ids))
        return [Ready(one, data) for one, data in zip(ids, definitions, strict=True) if data is not None]

    async def expand(self, flow: str, step: str, definitions: Sequence[bytes]) -> bool:
        """Make a step for each item of what a step takes; item_step names them. Returns False when somebody
        else has done so.
        """
        k, count = FlowKeys(flow), len(definitions)
        for first in range(0, count, limits.FLOW_BATCH):
            batch = definitions[first : first + limits.FLOW_BATCH]
            items: Iterable[Argument] = chain.from_iterable(
                (item_step(step, first + place), data) for place, data in enumerate(batch)
            )
            in_all = count if first + limits.FLOW_BATCH >= count else 0
            arguments = (step, in_all, self._now(), limits.FLOW_LIFE, *items)
            if not await self._lane.post(_FLOW_EXPAND(k.all, arguments)):
                return False
        return True

    async def sent(self, flow: str, ids: Sequence[str]) -> int:
        """What was to be enqueued is enqueued. Returns how many of these were not known to be."""
        arguments: tuple[Argument, ...] = (int(self._clock.time()), limits.FLOW_LIFE, *ids)
        return int(await self._lane.post(_FLOW_SENT(FlowKeys(flow).all, arguments)))

    async def fields(self, flow: str, names: Sequence[str]) -> list[bytes | None]:
        """Read fields of a flow, however many."""
        k = FlowKeys(flow)
        found: list[bytes | None] = []
        for first in range(0, len(names), limits.FLOW_BATCH):
            found += await self._lane.call("HMGET", k.state, *names[first : first + limits.FLOW_BATCH])
        return found

    async def result(self, queue: str, task_id: str) -> bytes | None:
        """What a step that just ended has written."""
        result: bytes | None = await self._lane.call("HGET", QueueKeys(queue).task(task_id), "result")
        return result

    # -- the whole --------------------------------------------------------------------------------------

    async def cancel(self, flow: str) -> bool | None:
        """End a flow that runs. Returns False when it had ended, None when there is none."""
        arguments = (int(self._clock.time()), limits.FLOW_LIFE)
        answer = int(await self._lane.post(_FLOW_CANCEL(FlowKeys(flow).all, arguments)))
        return None if answer < 0 else bool(answer)

    async def resume(self, flow: str, steps: Mapping[str, bool]) -> int:
        """Let a flow that failed go on. `steps`: those that failed, and whether their task is there; else it
        is enqueued anew. Returns how many of them had failed.
        """
        items: Iterable[Argument] = chain.from_iterable((step, int(there)) for step, there in steps.items())
        arguments: tuple[Argument, ...] = (int(self._clock.time()), limits.FLOW_LIFE, *items)
        return int(await self._lane.post(_FLOW_RESUME(FlowKeys(flow).all, arguments)))

    async def page(self, first: int, count: int) -> list[str]:
        """IDs of flows, those that are looked at next at the head."""
        return [_text(one) for one in await self._lane.call("ZRANGE", keys.FLOWS, first, first + count - 1)]

    # -- looking after them -----------------------------------------------------------------------------

    async def is_due(self) -> bool:
        """Look whether a flow is to be looked at: cheaper than a script that finds none."""
        now = int(self._clock.time())
        return bool(await self._lane.call("ZRANGEBYSCORE", keys.FLOWS, "-inf", now, "LIMIT", 0, 1))

    async def turn(self, *, again_at: int) -> list[str]:
        """Take flows that are to be looked at; the others of this moment are somebody else's."""
        arguments = (int(self._clock.time()), again_at, limits.FLOW_BATCH)
        return [_text(one) for one in await self._lane.post(_FLOW_TURN([keys.FLOWS], arguments))]

    async def look(self, flow: str) -> Outlook:
        k = FlowKeys(flow)
        looks = [
            Command(("HMGET", k.state, "status", "changed_at", "on_error", "keep")),
            Command(("EXISTS", k.state)),
            Command(("ZCARD", k.ready)),
            Command(("ZRANGE", k.out, 0, limits.FLOW_BATCH - 1)),
        ]
        (status, changed_at, on_error, kept), exists, ready, out = await self._lane.call_all(*looks)
        return Outlook(
            None if status is None else _text(status),
            float(changed_at or 0),
            on_error == b"cancel",
            int(kept or 0),
            bool(exists),
            bool(ready),
            [_text(one) for one in out],
        )

    async def looked(self, flow: str, steps: Sequence[str]) -> None:
        """These steps are under way; look at others first, the next time. What is under way lives on."""
        if steps:
            now = int(self._clock.time())
            scores: Iterable[Argument] = chain.from_iterable((now, one) for one in steps)
            await self._lane.call("ZADD", FlowKeys(flow).out, "XX", *scores)
        await self.sent(flow, ())

    async def look_again(self, flow: str, at: int) -> None:
        await self._lane.call("ZADD", keys.FLOWS, "XX", at, flow)

    async def forget(self, flow: str) -> None:
        """Take a flow that is gone off the list."""
        await self._lane.call("ZREM", keys.FLOWS, flow)

    def _now(self) -> str:
        return f"{self._clock.time():.3f}"


def item_step(step: str, place: int) -> str:
    """The ID of the step of an item."""
    return f"{step}.{place}"


def _text(data: bytes | None) -> str:
    return "" if data is None else data.decode("utf-8", "replace")
