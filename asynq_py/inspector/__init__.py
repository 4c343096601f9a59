"""What operators see and do, cut by what it concerns; users know it as one class."""

from asynq_py.inspector.inspector import Inspector

__all__ = ["Inspector"]
