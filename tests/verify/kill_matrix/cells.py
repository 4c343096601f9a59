"""The cells of the matrix: where a fault strikes, and how often the task then runs.

A fault strikes at one call of one script, at one of three points. What must be true in the end is the same in
all cells of an operation: the books, as if nothing had been. How often the task ran on the way is written in
the cell: an exact number, as the point says exactly what Redis knows.
"""

from __future__ import annotations

from enum import StrEnum
from itertools import product
from typing import Final, NamedTuple

from tests.books import Books


class Point(StrEnum):
    """Where a call is when the fault strikes."""

    BEFORE_SEND = "before send"  # Redis never saw it, or sees it only when the fault is over
    AFTER_SEND = "after send"  # Redis has carried it out, and nobody knows
    AFTER_REPLY = "after reply"  # the caller knows, and has done nothing with it


class Fault(StrEnum):
    """What strikes. A silent connection stays open, but nothing comes through it any more: a lost reply."""

    KILL = "kill"
    FREEZE = "freeze"
    RESET = "reset"
    SILENCE = "silence"


class Operation(StrEnum):
    """`script`: by which it is told in the traffic."""

    ENQUEUE = "enqueue"
    DEQUEUE = "dequeue"
    EXTEND = "extend"
    DONE = "done"
    COMPLETE = "complete"
    RETRY = "retry"
    ARCHIVE = "archive"
    REQUEUE = "requeue"
    FORWARD = "forward"
    RECOVER = "recover"
    AGGREGATE = "aggregate"
    CRON = "cron"

    @property
    def script(self) -> str:
        return {Operation.AGGREGATE: "finish_set", Operation.CRON: "enqueue_tick"}.get(self, self.value)


class Cell(NamedTuple):
    operation: Operation
    point: Point
    fault: Fault
    runs: int
    why: str

    @property
    def name(self) -> str:
        return f"{self.operation} / {self.point} / {self.fault}"

    @property
    def is_stale(self) -> bool:
        """The call reaches Redis when the task is already somebody else's, who still runs it."""
        is_late = (self.point, self.fault) == (Point.BEFORE_SEND, Fault.FREEZE)
        return is_late and self.operation in _OF_A_RUN

    @property
    def is_asked_twice(self) -> bool:
        """The producer gives up on a request that reaches Redis all the same, and repeats it."""
        return (self.operation, self.point, self.fault) == (
            Operation.ENQUEUE, Point.BEFORE_SEND, Fault.FREEZE,
        )  # fmt: skip

    @property
    def books(self) -> Books:
        """What is in Redis when all is over."""
        if self.operation is Operation.ENQUEUE:
            return Books(processed=self.runs)
        return _BOOKS.get(self.operation, Books(processed=1))


_OF_A_RUN: Final = (
    Operation.EXTEND, Operation.DONE, Operation.COMPLETE, Operation.RETRY, Operation.ARCHIVE,
    Operation.REQUEUE,
)  # fmt: skip

_BOOKS: Final = {
    Operation.COMPLETE: Books(processed=1, completed={"t"}),
    Operation.RETRY: Books(processed=2, failed=1),
    Operation.ARCHIVE: Books(processed=1, failed=1, archived={"t"}),
}

# Times that the task runs when nothing strikes.
_UNDISTURBED: Final = {Operation.RETRY: 2, Operation.REQUEUE: 2}

# Where a fault makes a difference: (operation, point, fault) → runs, and why. The worker is gone, so
# another one takes over when the lease has ended.
_GONE: Final = (Fault.KILL, Fault.FREEZE)
_UNTOLD: Final = "the handler had ended, but Redis never heard of it"
_RAN: Final = "the handler had begun when its worker was lost"
_DIFFERENT: Final[dict[tuple[Operation, Point, Fault], tuple[int, str]]] = {
    (Operation.ENQUEUE, Point.BEFORE_SEND, Fault.KILL): (0, "the producer died before it sent anything"),
    # a client that slept past its patience asks again; its task has run, and left nothing to know it by
    (Operation.ENQUEUE, Point.AFTER_SEND, Fault.FREEZE): (2, "the producer asked again for what had run"),
    **{(Operation.DEQUEUE, Point.AFTER_REPLY, fault): (2, _RAN) for fault in _GONE},
    **{(Operation.EXTEND, point, fault): (2, _RAN) for point, fault in product(Point, _GONE)},
    **{
        (operation, Point.BEFORE_SEND, fault): (2, _UNTOLD)
        for operation, fault in product((Operation.DONE, Operation.COMPLETE, Operation.ARCHIVE), _GONE)
    },
    **{(Operation.RETRY, Point.BEFORE_SEND, fault): (3, _UNTOLD) for fault in _GONE},
}


def _cell(operation: Operation, point: Point, fault: Fault) -> Cell:
    runs = _UNDISTURBED.get(operation, 1)
    different = _DIFFERENT.get((operation, point, fault), (runs, "as if nothing had been"))
    return Cell(operation, point, fault, *different)


CELLS: Final = tuple(_cell(*place) for place in product(Operation, Point, Fault))

# The test of the test: defects, sown into the process that is struck, each with a cell that must find it.
FINDS: Final = {
    "enqueue: never knows its own task": (Operation.ENQUEUE, Point.AFTER_SEND, Fault.RESET),
    "dequeue: forgets what a lost answer took": (Operation.DEQUEUE, Point.AFTER_SEND, Fault.SILENCE),
    "done: asks for no fence": (Operation.DONE, Point.BEFORE_SEND, Fault.FREEZE),
    "retry: asks for no fence": (Operation.RETRY, Point.BEFORE_SEND, Fault.FREEZE),
    "archive: asks for no fence": (Operation.ARCHIVE, Point.BEFORE_SEND, Fault.FREEZE),
    "complete: asks for no fence": (Operation.COMPLETE, Point.BEFORE_SEND, Fault.FREEZE),
    "requeue: asks for no fence": (Operation.REQUEUE, Point.BEFORE_SEND, Fault.FREEZE),
    "extend: asks for no fence": (Operation.EXTEND, Point.BEFORE_SEND, Fault.FREEZE),
    "done: keeps the lease": (Operation.DONE, Point.AFTER_SEND, Fault.RESET),
    "retry: keeps it active": (Operation.RETRY, Point.AFTER_SEND, Fault.RESET),
    "finish_set: keeps the tasks": (Operation.AGGREGATE, Point.AFTER_SEND, Fault.RESET),
}


def cell(place: tuple[Operation, Point, Fault]) -> Cell:
    return next(cell for cell in CELLS if cell[:3] == place)
