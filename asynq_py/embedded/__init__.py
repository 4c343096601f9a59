"""A real Valkey server for development, demos and tests, from the `embedded` extra."""

from asynq_py.embedded.server import EmbeddedServer

__all__ = ["EmbeddedServer"]
