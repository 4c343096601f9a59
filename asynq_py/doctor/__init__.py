"""Doctor: what may be wrong with a Redis and with the queues in it; and whether it and a worker are alive.

Outside of `asynq_py` itself, since it is of use to operators rather than to programs.
"""

from asynq_py.doctor.doctor import Doctor, Examination
from asynq_py.doctor.finding import Finding, Level
from asynq_py.doctor.health import Health, look
from asynq_py.doctor.queue_checks import SAMPLE, Repair
from asynq_py.doctor.rights import Role

__all__ = ["SAMPLE", "Doctor", "Examination", "Finding", "Health", "Level", "Repair", "Role", "look"]
