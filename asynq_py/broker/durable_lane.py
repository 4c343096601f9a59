"""A lane that also asks how many replicas have what was written."""

from __future__ import annotations

from typing import Final, NamedTuple, cast

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import NoScriptError, RedisError

from asynq_py.broker.faults import translated
from asynq_py.broker.lane import Command, Lane, Reply, packed
from asynq_py.connection import Place
from asynq_py.errors import BrokerUnavailableError

_NO_MASTER: Final = "WAIT cannot be used with replica"


class Durability(NamedTuple):
    """`replicas` that must have a write, and the seconds they are given to say so."""

    replicas: int
    timeout: float


class Confirmed(NamedTuple):
    """A reply, and how many replicas have all that was written before it; `wanted` were asked for."""

    reply: Reply
    replicas: int
    wanted: int


class DurableLane(Lane):
    """Sends WAIT with each round trip, in the same write: it counts for its own connection only.

    Every reply is Confirmed. Without an answer to WAIT nothing else counts as answered.
    """

    def __init__(self, place: Place, durability: Durability, *, role: str, timeout: float | None) -> None:
        super().__init__(place, role=role, timeout=timeout)
        self._wanted = durability.replicas
        self._wait = packed(("WAIT", durability.replicas, round(durability.timeout * 1000)))

    async def _converse(
        self,
        connection: AbstractConnection,
        batch: list[tuple[bytes, Command]],
        replies: list[Reply | Exception],
    ) -> None:
        answers: list[Reply | Exception] = []
        await self._send_and_read(connection, [*(command for command, _ in batch), self._wait], answers)
        told = answers.pop()
        if any(isinstance(answer, NoScriptError) for answer in answers):
            await self._send_bodies(connection, batch, answers)
            again: list[Reply | Exception] = []
            await self._send_and_read(connection, [self._wait], again)
            (told,) = again
        replies += [self._confirmed(answer, told) for answer in answers]

    def _confirmed(self, answer: Reply | Exception, told: Reply | Exception) -> Reply | Exception:
        if isinstance(answer, Exception):
            return answer
        if isinstance(told, RedisError):
            error = translated(told)
            if isinstance(error, BrokerUnavailableError) or _NO_MASTER in str(told):
                return BrokerUnavailableError(f"Redis cannot say who has it: {told}", maybe_done=True)
            return error
        return Confirmed(answer, cast(int, told), self._wanted)
