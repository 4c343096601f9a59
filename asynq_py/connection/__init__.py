"""What every constructor accepts as `redis`, turned into connections: the only place that makes any.

`docs/internals/redis-py.md` says why each setting is as it is, `docs/internals/routing.md` how the right
server is found.
"""

from asynq_py.connection.cluster import Cluster
from asynq_py.connection.config import RedisConfig
from asynq_py.connection.connector import Connector
from asynq_py.connection.node import Address, Node, Place
from asynq_py.connection.source import RedisSource

__all__ = ["Address", "Cluster", "Connector", "Node", "Place", "RedisConfig", "RedisSource"]
