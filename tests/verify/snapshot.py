"""All that one Redis holds, read in one step: for what must look often."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from redis.asyncio import Redis

from asynq_py.broker.scripts import Script

_BODY: Final = """
local found = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  local kind, value = redis.call('TYPE', key).ok, nil
  if kind == 'string' then
    value = redis.call('GET', key)
  elseif kind == 'list' then
    value = redis.call('LRANGE', key, 0, -1)
  elseif kind == 'set' then
    value = redis.call('SMEMBERS', key)
  elseif kind == 'zset' then
    value = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  else
    value = redis.call('HGETALL', key)
  end
  found[#found + 1] = {key, kind, value, redis.call('PTTL', key)}
end
return found
"""
SNAPSHOT: Final = Script("snapshot", _BODY, hashlib.sha1(_BODY.encode(), usedforsecurity=False).hexdigest())


class Entry(NamedTuple):
    """One key. `value`: bytes, list, set, dict of scores or dict of fields, by `kind`. `ttl`: ms, or -1."""

    kind: str
    value: Any
    ttl: int


Snapshot: TypeAlias = dict[str, Entry]


async def snapshot(redis: Redis) -> Snapshot:
    """Read one server, no Cluster."""
    return parsed(await redis.eval(_BODY, 0))


def parsed(reply: Sequence[Any]) -> Snapshot:
    """Make a snapshot of what the script `SNAPSHOT` returned."""
    return {key.decode(): _entry(kind.decode(), value, ttl) for key, kind, value, ttl in reply}


def _entry(kind: str, value: Any, ttl: int) -> Entry:
    match kind:
        case "set":
            value = set(value)
        case "zset":
            value = dict(zip(value[::2], map(float, value[1::2]), strict=True))
        case "hash":
            value = dict(zip(value[::2], value[1::2], strict=True))
    return Entry(kind, value, ttl)
