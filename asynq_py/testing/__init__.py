"""For tests: a whole engine whose time moves when it is told to. Imports nothing before it is asked for."""

from typing import TYPE_CHECKING, Final

from asynq_py.late import late

if TYPE_CHECKING:
    from asynq_py.testing.book import Enqueued
    from asynq_py.testing.ran import Ran
    from asynq_py.testing.rehearsal import Rehearsal
    from asynq_py.testing.shared_server import SharedServer
    from asynq_py.testing.virtual_clock import VirtualClock

__all__ = ["Enqueued", "Ran", "Rehearsal", "SharedServer", "VirtualClock"]

_HOMES: Final = {
    "Enqueued": "book", "Ran": "ran", "Rehearsal": "rehearsal", "SharedServer": "shared_server",
    "VirtualClock": "virtual_clock",
}  # fmt: skip

if not TYPE_CHECKING:  # a type checker would take it as a promise that every name exists
    # the plugin stands in this package, and pytest loads it in every run
    __getattr__ = late(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
