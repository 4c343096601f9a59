"""The Lua scripts, with keys of other types and any arguments: an error must leave everything as it was."""

from __future__ import annotations

import random
from contextlib import ExitStack
from typing import Any, Final, NamedTuple

from redis.exceptions import ResponseError

from asynq_py.broker.scripts import Script, load
from asynq_py.wire.keys import FLOWS, FlowKeys, QueueKeys
from asynq_py.wire.messages import TaskMessage, encode
from tests.servers import blocking_client
from tests.verify.fuzz.noise import NUMBERS, TEXTS
from tests.verify.fuzz.target import Target

K: Final = QueueKeys("q")
FLOW: Final = FlowKeys("f")
NOW: Final = 1_800_000_000
DAY: Final = "2027-01-15"
IDS: Final = ("a", "b", "c", "d", "e", "odd \n\0 id")
GROUPS: Final = ("g", "h")
LOCKS: Final = (f"{K.prefix}unique:t:1", f"{K.prefix}unique:t:2")
SET: Final = K.aggregation_set("g", "1")
SETS: Final = ("scheduled", "retry", "archived", "completed")
STEPS: Final = ("0", "1", "2", "f")
STATES: Final = (*SETS, "pending", "active", "aggregating")
OTHERS: Final = {  # keys that no queue has
    "server": "asynq:servers:{s}", "workers": "asynq:workers:{s}", "entries": "asynq:schedulers:{s}",
    "history": "asynq:scheduler_history:e", "bucket": "asynq:limit:n:{*}:tokens",
    "turns": "asynq:limit:n:{*}:turns",
    "holds": "asynq:limit:n:{*}:holds",
    "line": "asynq:limit:n:{*}:tokens:line", "pace": "asynq:limit:n:{*}:pace",
    "flow": FLOW.state, "ready": FLOW.ready, "out": FLOW.out, "flows": FLOWS,
    "sema": "asynq:sema:s", "cron": K.cron("e"), "set": SET, "group": K.group("g"), "lock": LOCKS[0],
    "processed-today": f"{K.processed}:{DAY}", "failed-today": f"{K.failed}:{DAY}",
}  # fmt: skip


class Call(NamedTuple):
    """KEYS and ARGV, by the words of `_argument`; what stands behind the star comes once for each task."""

    keys: str
    arguments: str


# As the headers of the scripts have it. `source`, `task`: chosen together with kind, and ID.
CALLS: Final = {
    "enqueue": Call("pending", "T ns flag * id msg lock ms"),
    "schedule": Call("scheduled", "T flag * id msg lock ms s group?"),
    "add_to_group": Call("groups", "T G s flag * id msg lock ms group"),
    "dequeue": Call("pending paused active lease", "score Q n flag"),
    "done": Call("active lease processed-today processed", "T s max * id token lock"),
    "complete": Call("active lease completed processed-today processed", "T s max * id token lock msg s"),
    "retry": Call(
        "active lease retry processed-today failed-today processed failed", "T s max * id token msg s flag"
    ),
    "archive": Call(
        "active lease archived processed-today failed-today processed failed",
        "T s max s s n n * id token msg",
    ),
    "requeue": Call("active lease pending", "T ns * id token"),
    "postpone": Call("active lease scheduled", "T * id token s"),
    "extend": Call("lease", "s * id token"),
    "forward": Call("scheduled retry pending groups", "T G s ns n"),
    "recover": Call("lease active pending", "T s ns n"),
    "recover_owned": Call("active lease pending", "T ns * id token"),
    "strays": Call("active lease", "n n"),
    "reclaim": Call("active lease pending", "T ns * id"),
    "expire": Call("completed", "T s n"),
    "write_result": Call("task lease", "this token text"),
    "write_progress": Call("task lease", "this token text"),
    "ask_to_cancel": Call("task lease", "this"),
    "asked_to_cancel": Call("lease", "T * id token"),
    "renew_locks": Call("lease", "T * id token lock"),
    "enqueue_unique": Call(
        "lock pending scheduled groups", "Q ns flag waiting-state s group id msg ms until flag"
    ),
    "task_info": Call("task", "this Q"),
    "update_payload": Call("task", "this stored msg lock lock"),
    "list_tasks": Call("source lease", "T kind n n * id"),
    "queue_counts": Call(
        "pending active scheduled retry archived completed processed-today failed-today processed failed "
        "groups paused",
        "T",
    ),
    "memory": Call("source", "T kind n"),
    "run_task": Call("pending groups", "id Q ns"),
    "archive_task": Call("archived groups", "id Q s s n n"),
    "delete_task": Call("groups", "id Q lock"),
    "run_all": Call("waiting pending lease groups", "T n group? ns"),
    "archive_all": Call("source archived lease groups", "T n group? kind s s n n"),
    "delete_all": Call("source lease groups", "T n group? kind * id lock"),
    "remove_queue": Call(
        "active pending scheduled retry archived completed aggregation_sets groups lease paused processed "
        "failed",
        "G * group",
    ),
    "write_server": Call("server workers", "n text * id text"),
    "write_entries": Call("entries", "n * text"),
    "record_enqueue": Call("history", "s text n"),
    "survey": Call("source lease", "T kind state n n s"),
    "drop_ghosts": Call("source lease", "T kind state s * id"),
    "mend_states": Call("source lease", "Q kind state group ns n * id"),
    "mend_leases": Call("lease active pending", "T s ns n n * id"),
    "mend_lost": Call("pending groups", "Q s ns n flag * id"),
    "free_lock": Call("lock", "T flag"),
    "list_group": Call("group groups aggregation_sets", "group T flag"),
    "due_groups": Call("groups", "G n s s * group"),
    "take_set": Call("group set aggregation_sets", "n s s n s"),
    "read_set": Call("set", "T n n"),
    "set_aside": Call("set archived", "T s * id msg"),
    "finish_set": Call(
        "set aggregation_sets group groups pending scheduled",
        "T G group n ns state s group? id msg lock ms * id lock",
    ),
    "reclaim_set": Call("aggregation_sets groups", "G T s n s"),
    "enqueue_tick": Call(
        "cron pending scheduled groups", "T G ns s n n text state id msg lock ms s group?"
    ),
    "take_token": Call("bucket line", "us who count us count"),
    "take_turn": Call("turns line", "us who count us text"),
    "take_hold": Call("holds line pace", "us who count text us"),
    "renew_hold": Call("holds pace", "us text us us"),
    "free_hold": Call("holds pace", "text us"),
    "acquire_token": Call("sema", "s count s id"),
    "flow_add": Call("flow ready", "n * step text nexts missing"),
    "flow_begin": Call("flow ready out", "n head running * field id"),
    "flow_done": Call("flow ready out", "step flag text s n"),
    "flow_fail": Call("flow ready out", "step how text s n"),
    "flow_sent": Call("flow ready out", "s n * step"),
    "flow_expand": Call("flow ready out", "step few s n * step text"),
    "flow_cancel": Call("flow ready out", "s n"),
    "flow_resume": Call("flow ready out", "s n * step flag"),
    "flow_turn": Call("flows", "s s count"),
}  # fmt: skip


STORING: Final = frozenset({"enqueue", "enqueue_unique", "schedule", "add_to_group", "enqueue_tick"})


class Scripts(Target):
    """`spoilt`: with arguments that no caller of ours makes; else only keys are not as they should be."""

    def __init__(self, url: str, *, spoilt: bool) -> None:
        self.name = "Lua scripts, any arguments" if spoilt else "Lua scripts, keys of other types"
        self._spoilt = spoilt
        self._stack = ExitStack()
        self._redis: Any = self._stack.enter_context(blocking_client(url))
        self._scripts: dict[str, Script] = {name: load(name) for name in CALLS}
        for script in self._scripts.values():
            self._redis.script_load(script.body)

    def close(self) -> None:
        self._stack.close()

    def try_one(self, random: random.Random) -> None:
        name = random.choice(list(self._scripts))
        keys, arguments = _call(random, CALLS[name])
        wrong = random.choices([*keys, *keys, *_all_keys()], k=random.randint(0, 3))
        if self._spoilt:
            _spoil(random, arguments)
        self._seed(random, wrong)
        before = self._dump()
        try:
            self._redis.evalsha(self._scripts[name].sha, len(keys), *keys, *arguments)
        except ResponseError as error:
            told = f"{name} failed: {error}; {wrong=} {arguments=}"
        else:
            return
        if name == "forward" and K.retry in wrong:
            return  # whole steps: what is due in `scheduled` is not kept waiting by another key
        after = self._dump()
        changed = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
        if name in STORING and not self._spoilt:
            changed = self._half_stored(changed)
        assert not changed, f"{changed} changed, though {told}"

    def _half_stored(self, changed: list[bytes]) -> list[bytes]:
        """Of what changed, that which is no whole task.

        A client has no right to ask for the type of a key, so tasks before the one that is refused stay; so
        does its lock, which ends by itself, and the name of its group.
        """
        listed = {
            name: set(self._members(key))
            for name, key in (("pending", K.pending), ("scheduled", K.scheduled))
        }
        listed["aggregating"] = {one for group in GROUPS for one in self._members(K.group(group))}
        known = {key.encode() for key in (*LOCKS, K.groups, K.pending, K.scheduled, *map(K.group, GROUPS))}
        prefix = K.task_prefix.encode()
        return [
            key
            for key in changed
            if key not in known
            and not (
                key.startswith(prefix)
                and self._redis.hget(key, "msg")
                and key.removeprefix(prefix) in listed.get(self._redis.hget(key, "state").decode(), ())
            )
        ]

    def _members(self, key: str) -> list[bytes]:
        match self._redis.type(key):
            case b"list":
                return list(self._redis.lrange(key, 0, -1))
            case b"zset":
                return list(self._redis.zrange(key, 0, -1))
            case _:
                return []

    def _seed(self, random: random.Random, wrong: list[str]) -> None:
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.flushall()
            for task_id in IDS:
                if random.random() < 0.8:
                    _put_task(pipe, random, task_id)
            if random.random() < 0.5:
                pipe.set(random.choice(LOCKS), random.choice(IDS), px=10**6)
            for key in (K.processed, K.failed, OTHERS["processed-today"]):
                pipe.set(key, random.choice((0, 5, 2**63 - 1)))
            _put_flow(pipe, random)
            pipe.zadd(OTHERS["line"], {"w": NOW * 10**6})
            pipe.zadd(OTHERS["holds"], {"text": NOW * 10**6})
            if random.random() < 0.5:
                pipe.hset(OTHERS["bucket"], mapping={"credit": 5, "at": NOW * 10**6, "period": 1})
            for key in wrong:
                pipe.delete(key)
                _put_wrong(pipe, random, key)
            pipe.execute()

    def _dump(self) -> dict[bytes, tuple[bytes, int]]:
        keys = self._redis.keys()
        with self._redis.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.dump(key)
            for key in keys:
                pipe.expiretime(key)
            found = pipe.execute()
        return {key: (found[at], found[at + len(keys)]) for at, key in enumerate(keys)}


def _put_task(pipe: Any, random: random.Random, task_id: str) -> None:
    state = random.choice(STATES)
    fields = {"msg": _message(task_id), "state": state if random.random() < 0.9 else random.choice(STATES)}
    if random.random() < 0.2:
        fields["unique_key"] = random.choice(LOCKS)
    match state:
        case "pending":
            pipe.lpush(K.pending, task_id)
        case "active":
            pipe.lpush(K.active, task_id)
            if random.random() < 0.9:
                pipe.zadd(K.lease, {task_id: float(f"{NOW + random.choice((-60, 30))}.000007")})
        case "aggregating":
            fields["group"] = random.choice(GROUPS)
            pipe.sadd(K.groups, fields["group"])
            if random.random() < 0.5:
                pipe.zadd(SET, {task_id: NOW})
                pipe.zadd(K.aggregation_sets, {SET: NOW - 1})
            else:
                pipe.zadd(K.group(str(fields["group"])), {task_id: NOW})
        case _:
            pipe.zadd(K.prefix + state, {task_id: NOW + random.choice((-60, 60))})
    if random.random() < 0.9:
        pipe.hset(K.task(task_id), mapping=fields)


def _put_flow(pipe: Any, random: random.Random) -> None:
    """Two steps, one that waits for both, and a follow-up; begun or not, and some way on."""
    status = random.choice((None, "running", "running", "failed", "cancelled", "succeeded"))
    fields: dict[str, Any] = {"x:0": "2", "x:1": "2", "w:2": 2, "s:f": "idle"}
    for step in STEPS[:-1]:
        fields[f"s:{step}"] = random.choice(("waiting", "ready", "sent", "done", "failed"))
        fields[f"d:{step}"] = "text"
    if status is not None:
        fields |= {"status": status, "total": 3, "done": random.choice((0, 2)), "keep": 60}
        fields |= {name: "f" for name in ("on_success", "on_failure", "on_archive") if random.random() < 0.5}
    pipe.hset(FLOW.state, mapping=fields)
    pipe.zadd(FLOW.ready, {random.choice(STEPS): random.choice((0, 1)) for _ in range(2)})
    pipe.zadd(FLOW.out, {random.choice(STEPS): NOW})
    pipe.zadd(FLOWS, {"f": NOW + random.choice((-60, 60))})


def _put_wrong(pipe: Any, random: random.Random, key: str) -> None:
    match random.randrange(5):
        case 0:
            pipe.set(key, random.choice(("text", "a", "7", "")))
        case 1:
            pipe.rpush(key, "a", "b")
        case 2:
            pipe.sadd(key, "a", "g")
        case 3:
            pipe.zadd(key, {"a": NOW, "b": 1})
        case _:
            pipe.hset(key, mapping={"a": "1", "at": "x"})


def _all_keys() -> list[str]:
    names = (*STATES[:-1], "lease", "groups", "paused", "processed", "failed", "aggregation_sets")
    tasks = [K.task(task_id) for task_id in IDS] + [*FLOW.all, FLOWS]
    return [*(K.prefix + name for name in names), *tasks, *LOCKS, *map(K.group, GROUPS), SET]


def _call(random: random.Random, call: Call) -> tuple[list[str], list[Any]]:
    source = random.choice(("pending", "active", "scheduled", "retry", "archived", "completed", "group"))
    task_id = random.choice(IDS)
    chosen = {
        "source": OTHERS["group"] if source == "group" else K.prefix + source,
        "waiting": OTHERS["group"] if source in ("group", "pending", "active") else K.prefix + source,
        "task": K.task(task_id),
    }
    keys = [chosen.get(word) or OTHERS.get(word) or K.prefix + word for word in call.keys.split()]
    kind = "list" if source in ("pending", "active") else "set"
    fixed, _, repeated = call.arguments.partition(" *")
    words = fixed.split() + repeated.split() * random.randint(0, 4)
    return keys, [_argument(random, word, kind, task_id, source) for word in words]


def _argument(random: random.Random, word: str, kind: str, task_id: str, source: str) -> Any:
    match word:
        case "T" | "G" | "Q":
            return {"T": K.task_prefix, "G": K.group_prefix, "Q": K.prefix}[word]
        case "this":
            return task_id
        case "kind":
            return kind
        case "waiting-state":
            return random.choice(("pending", "scheduled", "aggregating"))
        case "until":
            return random.choice(("start", "success", "end", "ttl"))
        case "state":
            return source if source in STATES else "aggregating"
        case "id" | "who":
            return random.choice(IDS)
        case "msg":
            return _message(random.choice(IDS))
        case "stored":
            return _message(task_id)
        case "lock":
            return random.choice(("", *LOCKS))
        case "group":
            return random.choice(GROUPS)
        case "group?":
            return random.choice(("", *GROUPS))
        case "token":
            return random.choice((7, 7, 0))
        case "score":
            return f"{NOW + 30}.000007"
        case "flag":
            return random.choice((0, 1))
        case "step":
            return random.choice(STEPS)
        case "nexts":
            return random.choice(("", "2", "1 2"))
        case "missing":
            return random.choice((-1, 0, 2))
        case "head":
            return "status"
        case "running":
            return "running"
        case "field":
            return random.choice(("total", "keep", "on_success"))
        case "how":
            return random.choice(("archived", "gone", "refused"))
        case "few":
            return random.choice((0, 1, 2))
        case "count":
            return random.choice((1, 2, 1000))
        case "n":
            return random.choice((0, 1, 2, 10, 1000))
        case "ms":
            return 60_000
        case "max":
            return random.choice((2**63 - 1, 3))
        case "ns":
            return NOW * 10**9
        case "us":
            return random.choice((NOW * 10**6, 1000))
        case "s":
            return random.choice((NOW, NOW + 90, NOW - 90))
        case _:
            return "text"


def _message(task_id: str) -> bytes:
    return encode(TaskMessage(type="t", id=task_id, queue="q"))


def _spoil(random: random.Random, arguments: list[Any]) -> None:
    for _ in range(random.randint(1, 2)):
        if not arguments:
            return
        at = random.randrange(len(arguments))
        if random.random() < 0.2:
            del arguments[at:]
        else:
            noise = random.choice((*NUMBERS, *TEXTS))
            arguments[at] = noise.encode("utf-8", "surrogatepass")
