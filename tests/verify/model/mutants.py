"""The test of the test: our scripts, each with a defect sown in, which the machine must find.

A defect is a change of the script's text. One that no longer applies, as the script has changed, is told, and
a test bears few of them, so that the list stays as sharp as it looks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Final, NamedTuple

from asynq_py.broker import broker, groups, inspection, removal, survey, ticks
from asynq_py.broker.scripts import Script

_MODULES: Final[tuple[ModuleType, ...]] = (broker, groups, inspection, removal, survey, ticks)


class Mutant(NamedTuple):
    """`before`: a part of the script, whose first occurrence becomes `after`."""

    script: str
    what: str
    before: str
    after: str

    @property
    def name(self) -> str:
        return f"{self.script}: {self.what}"


@contextmanager
def sown(mutant: Mutant | None) -> Iterator[None]:
    """Let the broker use the defective script; None sows nothing."""
    if mutant is None:
        yield
        return
    places = [
        (module, name, value)
        for module in _MODULES
        for name, value in vars(module).items()
        if isinstance(value, Script) and value.name == mutant.script
    ]
    if not places:
        raise LookupError(f"there is no script {mutant.script}")
    for module, name, script in places:
        setattr(module, name, mutated(script, mutant))
    try:
        yield
    finally:
        for module, name, script in places:
            setattr(module, name, script)


def mutated(script: Script, mutant: Mutant) -> Script:
    """Raises: LookupError: there is no such text in the script."""
    body = script.body.replace(mutant.before, mutant.after, 1)
    if body == script.body:
        raise LookupError(f"{mutant.name}: there is no {mutant.before!r} in it")
    return Script(script.name, body, hashlib.sha1(body.encode(), usedforsecurity=False).hexdigest())


def stale() -> list[Mutant]:
    """Those that no longer apply."""
    whole = scripts()
    sown = (*MUTANTS, *(mutant for mutant, _ in EQUIVALENT))
    return [m for m in sown if m.script not in whole or m.before not in whole[m.script].body]


def named(name: str) -> Mutant:
    """The defect of that name. Raises: LookupError."""
    found = [mutant for mutant in MUTANTS if mutant.name == name]
    if not found:
        raise LookupError(f"there is no defect {name!r}")
    return found[0]


def scripts() -> dict[str, Script]:
    """All scripts that the machine can reach."""
    found = (value for module in _MODULES for value in vars(module).values() if isinstance(value, Script))
    return {script.name: script for script in found}


_OWNS: Final = "return score and math.floor((tonumber(score) % 1) * 1000000 + 0.5) == tonumber(token)"
_UNLOCK: Final = "redis.call('DEL', lock)"

MUTANTS: Final = (
    # -- new tasks
    Mutant(
        "enqueue", "pushes at the wrong end", "redis.call('LPUSH', pending", "redis.call('RPUSH', pending"
    ),
    Mutant("enqueue", "forgets the lock in the hash", ", 'unique_key', lock)", ")"),
    Mutant("enqueue", "forgets since when", "'pending', 'pending_since', now)", "'pending')"),
    Mutant("enqueue", "takes a lock that is held", "'NX', 'PX'", "'PX'"),
    Mutant("enqueue", "does not look for the ID", "redis.call('EXISTS', key) == 1", "false"),
    Mutant("enqueue", "takes any task for its own", "redis.pcall('HGET', key, 'msg') == message", "true"),
    Mutant("enqueue", "never knows its own task", "if repeated and", "if false and"),
    Mutant("enqueue", "makes the lock last seconds", "'NX', 'PX'", "'NX', 'EX'"),
    Mutant("schedule", "forgets to schedule", "redis.call('ZADD', scheduled, process_at, id)", ""),
    Mutant("schedule", "forgets the group", "redis.call('HSET', key, 'group', group)", ""),
    Mutant("schedule", "forgets the lock in the hash", "redis.call('HSET', key, 'unique_key', lock)", ""),
    Mutant("add_to_group", "does not list the group", "redis.call('SADD', groups, group)", ""),
    Mutant("add_to_group", "names another state", "'state', 'aggregating'", "'state', 'pending'"),
    Mutant("enqueue_tick", "takes a time twice", "at < before + math.max(spacing, 1)", "at < before"),
    Mutant("enqueue_tick", "keeps a time too long", "at < before + math.max", "at <= before + math.max"),
    Mutant("enqueue_tick", "does not know its request", "claim[2] == token", "false"),
    Mutant("enqueue_tick", "remembers for ever", "redis.call('EXPIRE', last, ttl)", ""),
    Mutant("enqueue_tick", "ignores the spacing", "math.max(spacing, 1)", "1"),
    # -- running tasks
    Mutant("dequeue", "takes from a paused queue", "redis.call('EXISTS', paused) == 1", "false"),
    Mutant(
        "dequeue",
        "takes from the wrong end",
        "'LRANGE', pending, -wanted, -1",
        "'LRANGE', pending, 0, wanted - 1",
    ),
    Mutant("dequeue", "leaves the ID pending", "redis.call('LTRIM', pending, 0, -#ids - 1)", ""),
    Mutant(
        "dequeue", "leaves one ID pending", "'LTRIM', pending, 0, -#ids - 1", "'LTRIM', pending, 0, -#ids"
    ),
    Mutant("dequeue", "keeps what is left of a ghost", "redis.call('DEL', key)", ""),
    Mutant("dequeue", "gives the same task twice", "not seen[id] and", ""),
    Mutant("dequeue", "runs what runs already", "return redis.call('ZSCORE', lease, id)", "return false"),
    Mutant("dequeue", "runs what waits elsewhere", "redis.pcall('ZSCORE', prefix .. state, id)", "false"),
    Mutant("dequeue", "forgets what a lost answer took", "if repeated then", "if false then"),
    Mutant("dequeue", "forgets to say that it runs", "redis.call('HSET', key, 'state', 'active')", ""),
    Mutant("dequeue", "keeps since when", "redis.call('HDEL', key, 'pending_since')", ""),
    Mutant("dequeue", "writes active backwards", "'LPUSH', active", "'RPUSH', active"),
    Mutant("done", "asks for no fence", _OWNS, "return score"),
    Mutant("done", "keeps the lock", "unlock(ARGV[i + 2], id)", ""),
    Mutant("done", "frees any lock", "redis.pcall('GET', lock) == id", "true"),
    Mutant("done", "keeps the hash", "redis.call('DEL', unpack(finished))", ""),
    Mutant("done", "keeps the lease", "redis.call('ZREM', lease, unpack(released))", ""),
    Mutant("done", "keeps it active", "leave(active, ours, count)", ""),
    Mutant("done", "leaves one in active", "active, 0, last - #tail - 1", "active, 0, last - #tail"),
    Mutant(
        "done", "takes one too many off active", "active, 0, last - #tail - 1", "active, 0, last - #tail - 2"
    ),
    Mutant(
        "done", "counts nothing", "count_success(today, total, #finished", "count_success(today, total, 0"
    ),
    Mutant("done", "lets no counter end", "redis.call('EXPIREAT', counter, day_ends_at)", ""),
    Mutant("done", "rolls over too late", "count < tonumber(highest) - n", "count <= tonumber(highest) - n"),
    Mutant("complete", "asks for no fence", _OWNS, "return score"),
    Mutant("complete", "keeps the lock", "unlock(lock, id)\n", "\n"),
    Mutant("complete", "keeps crashes", "redis.call('HDEL', prefix .. id, 'crashes')", ""),
    Mutant(
        "complete", "keeps the old message", "'msg', message, 'state', 'completed'", "'state', 'completed'"
    ),
    Mutant("complete", "keeps the task nowhere", "redis.call('ZADD', completed, expires_at, id)", ""),
    Mutant("retry", "asks for no fence", _OWNS, "return score"),
    Mutant("retry", "keeps crashes", "redis.call('HDEL', prefix .. id, 'crashes')", ""),
    Mutant("retry", "counts the other way round", "counts == '1'", "counts ~= '1'"),
    Mutant("retry", "keeps the old state", "'msg', message, 'state', 'retry'", "'msg', message"),
    Mutant("retry", "keeps it active", "leave(active, ours, count)", ""),
    Mutant("retry", "forgets failures of the day", "add_today(failed_today, n, day_ends_at)", ""),
    Mutant("retry", "rolls over one counter only", "redis.call('SET', failed, n)", ""),
    Mutant("archive", "asks for no fence", _OWNS, "return score"),
    Mutant("archive", "forgets nothing", "trim(archived, prefix, cutoff, capacity, step)", ""),
    Mutant(
        "archive",
        "forgets one too many",
        "'ZCARD', archived) - capacity",
        "'ZCARD', archived) - capacity + 1",
    ),
    Mutant("archive", "forgets too late", "'-inf', cutoff", "'-inf', '(' .. cutoff"),
    Mutant("archive", "keeps locks of what it forgets", "unlock(lock, id)", ""),
    Mutant("archive", "keeps hashes of what it forgets", "redis.call('DEL', unpack(keys))", ""),
    Mutant("requeue", "asks for no fence", _OWNS, "return score"),
    Mutant(
        "requeue",
        "puts it last in line",
        "redis.call('RPUSH', pending, id)",
        "redis.call('LPUSH', pending, id)",
    ),
    Mutant("requeue", "turns the order round", "for i = #ARGV - 1, 3, -2 do", "for i = 3, #ARGV - 1, 2 do"),
    Mutant("requeue", "forgets since when", "'pending', 'pending_since', now)", "'pending')"),
    Mutant("requeue", "hands ghosts back", "and redis.call('HEXISTS', prefix .. id, 'msg') == 1", ""),
    Mutant("postpone", "asks for no fence", _OWNS, "return score"),
    Mutant("postpone", "keeps the old state", "redis.call('HSET', prefix .. id, 'state', 'scheduled')", ""),
    Mutant("extend", "asks for no fence", _OWNS, "return score"),
    Mutant(
        "extend",
        "loses the lease",
        "redis.call('ZADD', lease, string.format('%s.%06d', expiry, token), id)",
        "",
    ),
    Mutant("extend", "loses the token", "string.format('%s.%06d', expiry, token)", "expiry"),
    Mutant("write_result", "asks for no fence", _OWNS, "return score"),
    Mutant("write_result", "makes a hash (Q-14)", "or redis.call('HEXISTS', task, 'msg') == 0", ""),
    # -- upkeep
    Mutant(
        "forward",
        "is a second late",
        "'ZRANGEBYSCORE', set, '-inf', now",
        "'ZRANGEBYSCORE', set, '-inf', '(' .. now",
    ),
    Mutant("forward", "leaves the ID there", "redis.call('ZREM', set, id)", ""),
    Mutant(
        "forward", "forgets retries", "math.max(forward(scheduled), forward(retry))", "forward(scheduled)"
    ),
    Mutant("forward", "does not list the group (Q-05)", "redis.call('SADD', groups, group)", ""),
    Mutant("forward", "makes ghosts pending (Q-09)", "if not message then", "if false then"),
    Mutant(
        "forward",
        "puts it first in line",
        "redis.call('LPUSH', pending, id)",
        "redis.call('RPUSH', pending, id)",
    ),
    Mutant("forward", "moves one too many", "'LIMIT', 0, step", "'LIMIT', 0, step + 1"),
    Mutant("recover", "keeps it active", "redis.call('LREM', active, 0, id) > 0", "true"),
    Mutant("recover", "keeps the lease", "redis.call('ZREM', lease, id)", ""),
    Mutant(
        "recover",
        "puts it last in line",
        "redis.call('RPUSH', pending, id)",
        "redis.call('LPUSH', pending, id)",
    ),
    Mutant("recover", "counts no crash", "redis.call('HINCRBY', key, 'crashes', 1)", ""),
    Mutant(
        "recover",
        "takes leases that last",
        "'ZREVRANGEBYSCORE', lease, cutoff",
        "'ZREVRANGEBYSCORE', lease, '+inf'",
    ),
    Mutant(
        "recover",
        "begins with the longest lost",
        "'ZREVRANGEBYSCORE', lease, cutoff, '-inf'",
        "'ZRANGEBYSCORE', lease, '-inf', cutoff",
    ),
    Mutant("recover", "keeps what is left of a ghost", "redis.call('DEL', key)", ""),
    Mutant("recover", "runs what ran out of active", "or state == 'active'", ""),
    Mutant(
        "strays",
        "tells those with a lease",
        "if not redis.call('ZSCORE', lease, ids[i])",
        "if redis.call('ZSCORE', lease, ids[i])",
    ),
    Mutant("strays", "overlooks the oldest", "-last - 1, -first - 1", "-last - 1, -first - 2"),
    Mutant("reclaim", "takes what has a lease", "not redis.call('ZSCORE', lease, id) and", ""),
    Mutant(
        "reclaim",
        "puts it last in line",
        "redis.call('RPUSH', pending, id)",
        "redis.call('LPUSH', pending, id)",
    ),
    Mutant("reclaim", "turns the order round", "for i = #ARGV, 3, -1 do", "for i = 3, #ARGV do"),
    Mutant("expire", "is a second late", "'-inf', now", "'-inf', '(' .. now"),
    Mutant("expire", "keeps the hash", "redis.call('DEL', prefix .. id)", ""),
    # -- groups
    Mutant("take_set", "leaves them in the group", "redis.call('ZREMRANGEBYRANK', group, 0, n - 1)", ""),
    Mutant(
        "take_set",
        "leaves one in the group",
        "'ZREMRANGEBYRANK', group, 0, n - 1",
        "'ZREMRANGEBYRANK', group, 0, n - 2",
    ),
    Mutant("take_set", "does not list the set", "redis.call('ZADD', sets, ends_at, set)", ""),
    Mutant("take_set", "wants one too many", "n >= size", "n > size"),
    Mutant("take_set", "waits a second too long", "first <= oldest", "first < oldest"),
    Mutant("take_set", "is graceful for too long", "last <= newest", "last < newest"),
    Mutant("due_groups", "wants one too many", "n >= size", "n > size"),
    Mutant(
        "read_set",
        "reads what is elsewhere by now",
        "task[2] == 'aggregating' and task[1] or ''",
        "task[1] or ''",
    ),
    Mutant("set_aside", "leaves it in the set", "redis.call('ZREM', set, id) == 1", "true"),
    Mutant("set_aside", "keeps the old state", "'msg', message, 'state', 'archived'", "'msg', message"),
    Mutant("finish_set", "keeps the set listed", "redis.call('ZREM', sets, set)", ""),
    Mutant("finish_set", "keeps the locks", "unlock(locks[member], member)", ""),
    Mutant("finish_set", "ends a set that was given back", "#ids ~= count or", ""),
    Mutant("finish_set", "keeps an empty group listed", "redis.call('SREM', groups, name)", ""),
    Mutant("finish_set", "deletes what is elsewhere by now", "task[1] == 'aggregating'", "true"),
    Mutant("finish_set", "keeps the tasks", "redis.call('DEL', prefix .. member)", ""),
    Mutant("reclaim_set", "does not list the group (Q-04)", "redis.call('SADD', groups, name)", ""),
    Mutant("reclaim_set", "gives ghosts back", "redis.call('EXISTS', prefix .. members[i]) == 1", "true"),
    Mutant("reclaim_set", "ends at the first colon", "'^(.*):[^:]*$'", "'^([^:]*):.*$'"),
    # -- by hand
    Mutant(
        "run_task",
        "puts it first in line",
        "redis.call('LPUSH', pending, id)",
        "redis.call('RPUSH', pending, id)",
    ),
    Mutant("run_task", "forgets since when (Q-06)", "'pending', 'pending_since', now)", "'pending')"),
    Mutant(
        "run_task",
        "keeps an empty group listed",
        "if state == 'aggregating' and is_last then",
        "if false then",
    ),
    Mutant("run_task", "leaves the ID there", "redis.call('ZREM', source, id)", ""),
    Mutant("run_task", "runs what runs", "state == 'active' then", "false then"),
    Mutant(
        "archive_task", "keeps since when", "redis.call('HDEL', prefix .. 't:' .. id, 'pending_since')", ""
    ),
    Mutant("archive_task", "forgets nothing (Q-11)", "trim(archived, prefix", "tostring(archived, prefix"),
    Mutant("delete_task", "keeps the lock", "unlock(lock, id)\nredis", "redis"),
    Mutant("delete_task", "keeps the hash", "redis.call('DEL', key)", ""),
    Mutant(
        "run_all",
        "keeps the old state",
        "redis.call('HSET', prefix .. id, 'state', 'pending', 'pending_since', now)",
        "",
    ),
    Mutant(
        "run_all",
        "leaves one there",
        "'ZREMRANGEBYRANK', source, 0, count - 1",
        "'ZREMRANGEBYRANK', source, 0, count - 2",
    ),
    Mutant("archive_all", "leaves one there", "'LTRIM', source, 0, -count - 1", "'LTRIM', source, 0, -count"),
    Mutant("archive_all", "keeps since when", "redis.call('HDEL', prefix .. id, 'pending_since')", ""),
    Mutant(
        "archive_all",
        "archives what runs",
        "elseif redis.call('ZSCORE', lease, id) then",
        "elseif false then",
    ),
    Mutant(
        "delete_all",
        "keeps the locks",
        "unlock(redis.call('HGET', prefix .. id, 'unique_key') or named[id], id)",
        "",
    ),
    Mutant(
        "delete_all", "deletes what runs", "elseif redis.call('ZSCORE', lease, id) then", "elseif false then"
    ),
    Mutant("delete_all", "keeps an empty group listed", "if group ~= '' and are_all then", "if false then"),
    Mutant("update_payload", "overwrites a change (Q-18)", "task[1] ~= before", "false"),
    Mutant("update_payload", "changes what is no longer scheduled", "task[2] ~= 'scheduled'", "false"),
    Mutant("update_payload", "takes a lock that is held", "holder and holder ~= id", "false"),
    Mutant("update_payload", "moves the lock of another", "redis.call('GET', old_lock) == id and", ""),
    Mutant("update_payload", "makes the lock last for ever", ", 'PX', left)", ")"),
    Mutant("remove_queue", "removes what runs", "redis.call('LLEN', active) > 0", "false"),
    Mutant(
        "remove_queue",
        "removes what waits",
        "KEYS[5], KEYS[6], KEYS[7]) > 0",
        "KEYS[5], KEYS[6], KEYS[7]) > 9",
    ),
    # -- repairs
    Mutant("drop_ghosts", "keeps the ID", "taken = redis.call('LREM', source, 0, id)", "taken = 0"),
    Mutant("drop_ghosts", "drops the living", "has_message ~= 1 and", ""),
    Mutant("mend_leases", "loses the task", "redis.call('RPUSH', pending, id)", ""),
    Mutant("mend_leases", "keeps the lease", "redis.call('ZREM', lease, id)", ""),
    Mutant(
        "mend_states",
        "settles nothing",
        "if task[1] and task[2] ~= state and is_here(id) then",
        "if false then",
    ),
    Mutant("mend_lost", "finds nothing", "and is_lost(id, task[2], task[3])", "and false"),
    Mutant("mend_lost", "takes all for lost", "and is_lost(id, task[2], task[3])", ""),
    Mutant(
        "mend_lost", "lets all run", "if state == 'archived' or state == 'completed' then", "if false then"
    ),
    Mutant("mend_lost", "does not list the group", "redis.call('SADD', groups, group)", ""),
    Mutant("free_lock", "frees nothing", "if ARGV[2] == '1' then", "if false then"),
    Mutant(
        "free_lock",
        "frees any lock",
        "task[2] == lock or task[1] and string.find(",
        "false and string.find(",
    ),
    Mutant("free_lock", "takes any task for its holder", "task[2] == lock or", "task[1] or"),
    Mutant("list_group", "lists nothing", "if mend == '1' then", "if false then"),
    Mutant("list_group", "keeps what is gone", "redis.call('ZREM', group, id)", ""),
)

# Sown and never found, since nothing that anybody can see differs.
EQUIVALENT: Final = (
    (
        Mutant("reclaim_set", "keeps the set listed", "if is_all then", "if false then"),
        "the next step of the same call finds that nothing is left of the set, and takes it off",
    ),
    (
        Mutant("free_lock", "looks at the message alone", "task[2] == lock or", "false or"),
        "whatever stores a unique task writes the lock into its message, too",
    ),
    (
        Mutant("dequeue", "makes no index of many leases", "if #good > 64 then", "if false then"),
        "the same leases, only slower",
    ),
    (
        Mutant(
            "recover", "spares a lease that ends this microsecond", "lease, cutoff", "lease, '(' .. cutoff"
        ),
        "the lease ends a microsecond later; tokens make equal scores all but impossible",
    ),
    (
        Mutant("delete_task", "looks at the hash alone for a lock", "or ARGV[3]", "or ''"),
        "only tasks of Go in groups lack the field, and Go's groups are not part of the machine",
    ),
    (
        Mutant("done", "goes through active from its head", "active, -1, id) == 0", "active, 0, id) == 0"),
        "an ID is in active once; it costs time only",
    ),
)
