"""What the user of a connection may do, tried without doing it (`ACL DRYRUN`), against what each role needs.

The same rights as in docs/guide/connecting.md, which is tested.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from asynq_py.broker.lane import Argument
from asynq_py.doctor.finding import Finding, ok, warning
from asynq_py.doctor.scope import Role
from asynq_py.wire.keys import CANCEL_CHANNEL, QueueKeys

_KEY: Final = QueueKeys("default").pending
_COMMON: Final = "ping client|setname eval evalsha"
_VIEWER: Final = (
    f"{_COMMON} exists get hget hmget hvals lindex llen lrange memory|usage mget scard sismember "
    "smembers sscan zcard zrange zrangebyscore zrevrange zscore info"
)
NEEDS: Final[Mapping[Role, Sequence[str]]] = {
    Role.CLIENT: f"{_COMMON} exists hget hset lpush sadd set zadd".split(),
    Role.SCHEDULER: (
        f"{_COMMON} del exists expire hget hmget hset lpush sadd set time zadd zrem zremrangebyrank "
        "zremrangebyscore"
    ).split(),
    Role.WORKER: (
        f"{_COMMON} blmove del exists expire expireat get hdel hexists hget hincrby hlen hmget hset incrby "
        "llen lpush lrange lrem ltrim rpush sadd scard set setex srem sscan subscribe time type zadd zcard "
        "zrange zrangebyscore zrem zremrangebyrank zremrangebyscore zrevrangebyscore "
        "zscore"
    ).split(),
    Role.VIEWER: _VIEWER.split(),
    Role.INSPECTOR: (
        f"{_VIEWER} del hdel hexists hset lpush lrem ltrim pttl publish set srem zadd zrem zremrangebyrank"
    ).split(),
}

# Arguments with which a command is well-formed; one key where nothing else is said.
_ARGUMENTS: Final[Mapping[str, tuple[Argument, ...]]] = {
    "ping": (), "info": (), "time": (), "client|setname": ("x",),
    "eval": ("return 1", 0), "evalsha": ("0" * 40, 0),
    "subscribe": (CANCEL_CHANNEL,), "publish": (CANCEL_CHANNEL, "x"),
    "blmove": (_KEY, _KEY, "LEFT", "LEFT", 1),
    "hget": (_KEY, "x"), "hmget": (_KEY, "x"), "hdel": (_KEY, "x"), "hexists": (_KEY, "x"),
    "hset": (_KEY, "x", "x"), "hincrby": (_KEY, "x", 1), "incrby": (_KEY, 1), "lpush": (_KEY, "x"),
    "rpush": (_KEY, "x"), "lrange": (_KEY, 0, 0), "lindex": (_KEY, 0), "lrem": (_KEY, 0, "x"),
    "ltrim": (_KEY, 0, 0), "sadd": (_KEY, "x"), "srem": (_KEY, "x"), "sismember": (_KEY, "x"),
    "sscan": (_KEY, 0), "set": (_KEY, "x"), "setex": (_KEY, 1, "x"), "expire": (_KEY, 1),
    "expireat": (_KEY, 1),
    "zadd": (_KEY, 1, "x"), "zrem": (_KEY, "x"), "zscore": (_KEY, "x"), "zrange": (_KEY, 0, 0),
    "zrevrange": (_KEY, 0, 0), "zrangebyscore": (_KEY, 0, 0), "zrevrangebyscore": (_KEY, 0, 0),
    "zremrangebyrank": (_KEY, 0, 0),
    "zremrangebyscore": (_KEY, 0, 0), "memory|usage": (_KEY,),
}  # fmt: skip


def trial(user: str, right: str) -> tuple[Argument, ...]:
    """The command that asks Redis whether a user may do something with our keys or channel."""
    return ("ACL", "DRYRUN", user, *right.split("|"), *_ARGUMENTS.get(right, (_KEY,)))


def rights(user: str, role: Role, answers: Mapping[str, bytes]) -> Finding:
    """`answers`: what Redis said to each trial."""
    missing = [right for right, answer in answers.items() if answer != b"OK"]
    if not missing:
        return ok("rights", f"user {user!r} may do all that a {role} must")
    what = f"user {user!r} lacks rights of a {role}: {' '.join(f'+{right}' for right in missing)}"
    advice = f"grant them, and ~asynq:*, &{CANCEL_CHANNEL}; or examine it for another role"
    return warning("rights", what, advice)
