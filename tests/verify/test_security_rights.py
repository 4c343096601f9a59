"""The smallest rights: the same wherever they are told, and what they must not allow is refused.

That they allow what they must is tried in tests/integration/test_acl.py.
"""

from __future__ import annotations

from typing import Any, cast

import pytest
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, ResponseError

from asynq_py.doctor.rights import NEEDS
from asynq_py.doctor.scope import Role
from tests.integration.test_acl import SECURITY, rules

REFUSED = r"(?i)can't|acl|permission|not allowed"
USERS = [f"asynq-{role}" for role in Role]
# Of a Sentinel or a Cluster only, so the doctor asks for them nowhere else.
ELSEWHERE = {"role", "cluster|slots", "cluster|info", "asking"}

# What nobody who works with queues needs: for each command, how it would be called.
FORBIDDEN = """
FLUSHALL; FLUSHDB; KEYS *; SCAN 0; CONFIG GET *; CONFIG SET maxmemory 1; ACL LIST; ACL SETUSER x; ACL WHOAMI
SCRIPT FLUSH; SCRIPT KILL; FUNCTION LIST; CLIENT LIST; CLIENT KILL ID 1; CLIENT NO-EVICT on; DEBUG SLEEP 0
MONITOR; SHUTDOWN NOSAVE; SAVE; BGSAVE; REPLICAOF NO ONE; MIGRATE h 1 k 0 1; MODULE LIST; SLOWLOG GET
LATENCY DOCTOR; SWAPDB 0 1; SELECT 1; RESTORE asynq:x 0 x; DUMP asynq:x; RENAME asynq:x asynq:y
COPY asynq:x asynq:y; OBJECT HELP; SORT asynq:x; GETDEL asynq:x; PSUBSCRIBE *; SUBSCRIBE other
PUBLISH other x; GET other; SET other x; HGET other x; HSET other x x; LPUSH other x
"""
ALSO = {
    "asynq-client": """
DEL asynq:x; LRANGE asynq:x 0 1; SMEMBERS asynq:x; ZRANGE asynq:x 0 1; LTRIM asynq:x 0 0; GET asynq:x
HGETALL asynq:x; SUBSCRIBE asynq:cancel; PUBLISH asynq:cancel x; INFO
""",
    "asynq-scheduler": "LRANGE asynq:x 0 1; LTRIM asynq:x 0 0; PUBLISH asynq:cancel x; INFO",
    "asynq-worker": "PUBLISH asynq:cancel x; SMEMBERS asynq:x; INFO",
    "asynq-viewer": """
SET asynq:x x; HSET asynq:x x x; DEL asynq:x; ZADD asynq:x 1 x; LPUSH asynq:x x; EXPIRE asynq:x 1
PUBLISH asynq:cancel x
""",
    "asynq-inspector": "SUBSCRIBE asynq:cancel; BLMOVE asynq:x asynq:x LEFT LEFT 1",
}


def commands(text: str) -> list[list[str]]:
    return [command.split() for command in text.strip().replace("\n", ";").split(";")]


def shown(user: str) -> list[str]:
    """What the page on security gives a user."""
    text = SECURITY.read_text("utf-8").partition(f"redis-cli ACL SETUSER {user} reset ")[2]
    command = text.partition("\nredis-cli")[0].partition("\n```")[0]
    return [word.strip("'") for word in command.replace("\\\n", " ").split()]


@pytest.mark.parametrize("user", USERS)
def test_the_pages_on_security_and_on_connecting_give_a_user_the_same_rights(user: str) -> None:
    assert [word for word in shown(user) if not word.startswith(">")] == rules(user)


@pytest.mark.parametrize("role", Role)
def test_the_doctor_asks_for_the_rights_that_are_given(role: Role) -> None:
    given = {rule[1:] for rule in rules(f"asynq-{role}") if rule.startswith("+")}
    assert set(NEEDS[role]) == given - ELSEWHERE


@pytest.mark.parametrize("user", USERS)
async def test_what_a_user_must_not_do_is_refused(one_server: str, redis: Redis, user: str) -> None:
    admin = cast(Any, redis)
    await admin.execute_command("ACL", "SETUSER", user, *(["reset", *shown(user)]))
    try:
        allowed = [
            command
            for command in (*commands(FORBIDDEN), *commands(ALSO[user]))
            if await admin.execute_command("ACL", "DRYRUN", user, *command) == b"OK"
        ]
        assert allowed == []
        await _try_in_a_script(one_server, user)
    finally:
        await admin.execute_command("ACL", "DELUSER", user)
        await admin.execute_command("ACL", "LOG", "RESET")


async def _try_in_a_script(url: str, user: str) -> None:
    """A script may do no more than who calls it."""
    for call in (
        "'FLUSHALL'",
        "'GET', 'other'",
        "'SET', 'other', 'x'",
        "'CONFIG', 'GET', '*'",
        "'KEYS', '*'",
    ):
        async with Redis.from_url(url, username=user, password="PASSWORD") as client:
            with pytest.raises((ResponseError, NoPermissionError), match=REFUSED):
                await cast(Any, client).eval(f"return redis.call({call})", 0)
