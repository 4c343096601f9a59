"""Doctor: what may be wrong with a Redis and with the queues in it; and whether it and a worker are alive.

Outside of `asynq_py` itself, since it is of use to operators rather than to programs. Names are imported when
they are first asked for: the command line shows its help without the driver.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from asynq_py.late import late

if TYPE_CHECKING:
    from asynq_py.doctor.doctor import Doctor, Examination
    from asynq_py.doctor.finding import Finding, Level
    from asynq_py.doctor.health import Health, look
    from asynq_py.doctor.queue_checks import Repair
    from asynq_py.doctor.scope import SAMPLE, Role

__all__ = ["SAMPLE", "Doctor", "Examination", "Finding", "Health", "Level", "Repair", "Role", "look"]

_HOMES: Final = {
    "Doctor": "doctor",
    "Examination": "doctor",
    "Finding": "finding",
    "Health": "health",
    "Level": "finding",
    "Repair": "queue_checks",
    "Role": "scope",
    "SAMPLE": "scope",
    "look": "health",
}

if not TYPE_CHECKING:  # a type checker would take it as a promise that every name exists
    __getattr__ = late(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
