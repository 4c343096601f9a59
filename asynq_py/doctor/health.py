"""Health: is Redis there, and does the worker of this host live? For the probes of containers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from asynq_py.broker.lanes import open_lane
from asynq_py.broker.roster import Roster
from asynq_py.connection import Connector, RedisSource
from asynq_py.errors import AsynqError, BrokerUnavailableError
from asynq_py.process import host_name
from asynq_py.wire.messages import ServerInfo, decode_records, instant

TIMEOUT: Final = 3.0


@dataclass(frozen=True, slots=True)
class Health:
    """`redis`, `worker`: is it there? None: not asked, or not known. `why`: in words."""

    is_healthy: bool
    redis: bool
    worker: bool | None
    why: str


async def look(
    redis: RedisSource = None,
    *,
    worker: bool = False,
    needs_redis: bool = True,
    host: str | None = None,
    pid: int | None = None,
    timeout: float = TIMEOUT,
) -> Health:
    """Ask Redis, once.

    `worker`: a server of this host must have given a sign of life in time; `host`, `pid`: of that host and
    process instead, else the one that began last. `needs_redis=False`: when Redis is away nothing is known of
    the worker, and that counts as healthy, as a restart would be no help. `timeout`: seconds for all.

    Raises: InvalidOptionError.
    """
    connector = Connector(redis)
    lane = open_lane(connector, role="health")
    try:
        async with asyncio.timeout(timeout):
            await lane.call("PING")
            if not worker:
                return Health(True, True, None, "Redis answers")
            # not by an Inspector, which also looks at what they run: a worker's own user may not
            found = await Roster(lane).servers(now=time.time())
    except (BrokerUnavailableError, TimeoutError, OSError) as away:
        why = str(away) or f"no answer within {timeout:g} s"
        return Health(not needs_redis, False, None, f"Redis does not answer: {why}")
    except AsynqError as refusal:
        return Health(False, True, None, str(refusal))
    finally:
        await lane.aclose()
        await connector.aclose()
    return _of_worker(decode_records(ServerInfo, found), host or host_name(), pid)


def _of_worker(servers: Sequence[ServerInfo], host: str, pid: int | None) -> Health:
    of_host = [info for info in servers if info.host == host and pid in (None, info.pid)]
    which = host if pid is None else f"{host}:{pid}"
    if not of_host:
        return Health(False, True, False, f"no server of {which} gives a sign of life")
    newest = max(of_host, key=lambda info: instant(info.start_time))
    return Health(True, True, True, f"the server {newest.host}:{newest.pid} is {newest.status}")
