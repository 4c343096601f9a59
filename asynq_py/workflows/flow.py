"""Flow: tasks that follow each other, as a value. Nothing is sent before it is enqueued."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, Self, TypeVar, cast, overload

from asynq_py.app.connections import Connections, Outlet
from asynq_py.app.home import Home
from asynq_py.app.signature import Signature
from asynq_py.client import Client
from asynq_py.connection import RedisSource
from asynq_py.errors import AsynqError, InvalidOptionError
from asynq_py.options import Duration
from asynq_py.task import Task
from asynq_py.workflows.handle import FlowHandle
from asynq_py.workflows.plan import Call, Chain, Each, FollowUps, Gather, Node, Plan
from asynq_py.workflows.start import Manner, OnError, start

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")
F = TypeVar("F")
G = TypeVar("G")
A_contra = TypeVar("A_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)


class Flow(Generic[A_contra, R_co]):
    """Tasks that follow each other. Takes the result of what is before it; its own is that of its last step.

    Made by `chain`, `gather`, `then`, and `step` of a typed task. Values: each method makes another one.
    """

    def __init__(self, node: Node, follow_ups: FollowUps = FollowUps()) -> None:  # noqa: B008  # frozen
        self._node = node
        self._follow_ups = follow_ups

    def then(self, following: Flow[R_co, B]) -> Flow[A_contra, B]:
        """Let a step, or another flow, follow; it gets the result of this one."""
        return chain(self, following)

    def on_success(self, *steps: Flow[R_co, Any]) -> Self:
        """Enqueue these steps when the whole flow has succeeded. One may take its result."""
        return self._with(success=_calls("on_success", steps))

    def on_failure(self, *steps: Flow[Any, Any]) -> Self:
        """Enqueue these steps when the flow has failed, whatever the reason. One may take a FlowFailure."""
        return self._with(failure=_calls("on_failure", steps))

    def on_archive(self, *steps: Flow[Any, Any]) -> Self:
        """Enqueue these steps when the flow has failed because a step of it is archived. One may take a
        FlowFailure.
        """
        return self._with(archive=_calls("on_archive", steps))

    async def enqueue(
        self: Flow[object, B],
        *,
        name: str | None = None,
        flow_id: str | None = None,
        on_error: OnError = "finish",
        retention: Duration | None = None,
    ) -> FlowHandle[B]:
        """Store the flow, and let it begin. When this returns, Redis has it.

        `name`: for people. `flow_id`: if a flow of this ID is there already, that is the one, and nothing is
        stored: so a handler which is tried again enqueues a flow once. `on_error`: what becomes of steps that
        are enqueued when another fails for good: "finish": they run; "cancel": they are cancelled. Those that
        are not enqueued never are, in either case. `retention`: how long the flow is kept after its end, a
        day if not said.

        It goes out through the app of its first typed task; `App.enqueue` is for flows that have none.

        Raises: InvalidOptionError: nothing was sent. AsynqError: no app is known. BrokerUnavailableError: if
        `maybe_done` is set it may have begun all the same.
        """
        home = self._home()
        if home is None:
            raise AsynqError("no step of this flow belongs to an app: `app.enqueue(flow)`")
        return await self.enqueue_through(
            home.connections(),
            home.outlet,
            name=name,
            flow_id=flow_id,
            on_error=on_error,
            retention=retention,
        )

    async def enqueue_through(
        self: Flow[object, B],
        connections: Connections,
        outlet: Outlet | None,
        *,
        name: str | None = None,
        flow_id: str | None = None,
        on_error: OnError = "finish",
        retention: Duration | None = None,
    ) -> FlowHandle[B]:
        """For the app, whose `outlet` it is. See `enqueue`."""
        manner = Manner.of(self._node.name if name is None else name, flow_id, on_error, retention)
        plan = self.plan()
        if outlet is not None:
            _check_steps(plan, outlet)
        return await start(connections, plan, manner)

    async def enqueue_by(
        self: Flow[object, B],
        client: Client,
        redis: RedisSource,
        *,
        name: str | None = None,
        flow_id: str | None = None,
        on_error: OnError = "finish",
        retention: Duration | None = None,
    ) -> str:
        """For a SyncClient: by way of its client. Returns the ID. See `enqueue`."""
        home = self._home()
        outlet = None if home is None else home.outlet
        connections = Connections(redis, client=client)
        if outlet is not None:
            connections.flow_headers = outlet.flow_headers
        try:
            handle = await self.enqueue_through(
                connections, None, name=name, flow_id=flow_id, on_error=on_error, retention=retention
            )
        finally:
            await connections.aclose()
        return handle.id

    def plan(self) -> Plan:
        """Number the steps. Raises: InvalidOptionError: it cannot be enqueued."""
        return Plan.of(self._node, self._follow_ups)

    def _home(self) -> Home | None:
        """Where its first typed task is at home."""
        return next((call.home for call in self.plan().calls() if call.home is not None), None)

    def _with(
        self,
        *,
        success: tuple[Call, ...] = (),
        failure: tuple[Call, ...] = (),
        archive: tuple[Call, ...] = (),
    ) -> Self:
        before = self._follow_ups
        more = FollowUps(before.success + success, before.failure + failure, before.archive + archive)
        return cast(Self, Flow(self._node, more))

    def __repr__(self) -> str:
        return f"<Flow {self._node.name}>"


class Step(Flow[A_contra, R_co]):
    """One task of a flow. Made by `step` of a typed task; `Step.of` takes any other task."""

    def __init__(
        self,
        task: Task,
        at: str | None,
        *,
        signature: Signature | None = None,
        home: Home | None = None,
    ) -> None:
        options = task.options
        for name, value in (("task_id", options.task_id), ("group", options.group)):
            if value is not None:
                raise InvalidOptionError(name, value, "of steps of a flow, which has IDs for its tasks")
        super().__init__(Call(task, at, signature, home))

    @staticmethod
    def of(task: Task) -> Step[object, Any]:
        """Make a step of a task that is complete. It takes no result. Raises: InvalidOptionError."""
        if not isinstance(task, Task):
            raise InvalidOptionError("task", type(task), "a Task")
        return Step(task, None)


@overload
def chain(a: Flow[A, B], /) -> Flow[A, B]: ...
@overload
def chain(a: Flow[A, B], b: Flow[B, C], /) -> Flow[A, C]: ...
@overload
def chain(a: Flow[A, B], b: Flow[B, C], c: Flow[C, D], /) -> Flow[A, D]: ...
@overload
def chain(a: Flow[A, B], b: Flow[B, C], c: Flow[C, D], d: Flow[D, E], /) -> Flow[A, E]: ...
@overload
def chain(a: Flow[A, B], b: Flow[B, C], c: Flow[C, D], d: Flow[D, E], e: Flow[E, F], /) -> Flow[A, F]: ...
@overload
def chain(
    a: Flow[A, B], b: Flow[B, C], c: Flow[C, D], d: Flow[D, E], e: Flow[E, F], f: Flow[F, G], /
) -> Flow[A, G]: ...
def chain(*flows: Flow[Any, Any]) -> Flow[Any, Any]:
    """Do one after the other; each gets the result of the one before. More than six: `chain(…).then(…)`.

    Raises: InvalidOptionError.
    """
    # a chain of chains is a chain: what `then` makes step by step is no deeper than what is made at once
    parts = [
        part
        for node in _nodes("chain", flows)
        for part in (node.parts if isinstance(node, Chain) else (node,))
    ]
    return Flow(parts[0] if len(parts) == 1 else Chain(tuple(parts)))


def gather(*flows: Flow[A, B]) -> Flow[A, list[B]]:
    """Do all at once; each gets the result before. The result is the list of theirs, in this order.

    Raises: InvalidOptionError.
    """
    return Flow(Gather(_nodes("gather", flows)))


def each(step: Flow[A, B]) -> Flow[Sequence[A], list[B]]:
    """Do a step for each item of the list that is the result before, all at once. The result is the list of
    theirs, in the order of the items.

    Raises: InvalidOptionError: it is no single step, or takes no item.
    """
    node = _node("each", step)
    if not isinstance(node, Call):
        raise InvalidOptionError("each", step, "a single step")
    if node.at is None:
        raise InvalidOptionError("each", step, "a step that takes an item: leave an argument out")
    return Flow(Each(node))


def _check_steps(plan: Plan, outlet: Outlet) -> None:
    """Raises: InvalidOptionError: a step is of an app with another Redis, where no server would see it."""
    for call in plan.calls():
        other = None if call.home is None else call.home.outlet
        if other is not None and not other.leads_to(outlet):
            raise InvalidOptionError(
                "step",
                call.name,
                f"of an app with the Redis of this flow, {outlet}; that of its own is {other}",
            )


def _nodes(name: str, flows: Sequence[Flow[Any, Any]]) -> tuple[Node, ...]:
    if not flows:
        raise InvalidOptionError(name, "()", "one step at least")
    return tuple(_node(name, flow) for flow in flows)


def _node(name: str, flow: object) -> Node:
    if not isinstance(flow, Flow):
        raise InvalidOptionError(
            name, type(flow), "flows and steps: `task.step(…)` of a typed task, or `Step.of(task)`"
        )
    if flow._follow_ups.any():
        raise InvalidOptionError(name, flow, "what follows its end said of the whole flow, not of a part")
    return flow._node


def _calls(name: str, steps: Sequence[Flow[Any, Any]]) -> tuple[Call, ...]:
    calls = []
    for step in steps:
        node = _node(name, step)
        if not isinstance(node, Call):
            raise InvalidOptionError(name, step, "single steps")
        calls.append(node)
    return tuple(calls)
