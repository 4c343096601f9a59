"""What the server shares with the scheduler; it lives in the layer of both."""

from asynq_py.outage import Backoff, Outage, every

__all__ = ["Backoff", "Outage", "every"]
