"""The test of the test: a product broken on purpose, in the processes of the load only, must be reported."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from types import ModuleType
from typing import Final, NamedTuple

from asynq_py.broker import broker, flows, groups, ticks
from asynq_py.broker.scripts import Script

HASTY: Final = "hasty-ack"  # a producer that believes in a task before Redis has it
GO_SWALLOWS: Final = "go-swallows"  # workers in Go acknowledge some tasks that they have not done


class Breakage(NamedTuple):
    """In the script this text becomes that."""

    script: str
    text: str
    instead: str


SCRIPTS: Final[Mapping[str, Breakage]] = {
    "recover-forgets": Breakage("recover", "redis.call('RPUSH', pending, id)", ""),
    "forward-forgets": Breakage("forward", "redis.call('LPUSH', pending, id)", ""),
    "extend-lies": Breakage(
        "extend",
        "if owns(lease, id, token) then",
        "if owns(lease, id, token) then answer = 1 end if false then",
    ),
    "done-counts-twice": Breakage("done", "total, #finished", "total, 2 * #finished"),
    "done-keeps-hashes": Breakage("done", "redis.call('DEL', unpack(finished))", ""),
    "locks-are-ignored": Breakage(
        "enqueue", "not redis.call('SET', lock, id, 'NX', 'PX', lock_ms)", "redis.call('GET', lock) == ''"
    ),
    "rules-are-ignored": Breakage("enqueue_unique", "if not over then", "if false then"),
    "digests-are-forgotten": Breakage("finish_set", "if state ~= '' then", "if false then"),
    "members-stay": Breakage(
        "finish_set", "redis.call('DEL', prefix .. member)", "redis.call('ZADD', group, 1, member)"
    ),
    "joins-do-not-wait": Breakage("flow_done", "'w:' .. next, -1) == 0", "'w:' .. next, -1) >= 0"),
    "joins-are-forgotten": Breakage("flow_done", "redis.call('ZADD', ready, 0, next)", ""),
    "nothing-follows": Breakage("flow_done", "follow(flow, ready, 'on_success')", ""),
    "ticks-are-free": Breakage("enqueue_tick", "if at < before + math.max(spacing, 1) then", "if false then"),
}
MODULES: Final = (broker, flows, groups, ticks)
NAMES: Final = (HASTY, GO_SWALLOWS, *SCRIPTS)
STUCK: Final = "stuck: tasks in no final state, leases, ghosts, strays"
# the promise, by its label in the verdict, that each must be found to break
PROMISES: Final[Mapping[str, str]] = {
    HASTY: "acknowledged tasks lost",
    GO_SWALLOWS: "acknowledged tasks lost",
    "recover-forgets": STUCK,
    "forward-forgets": STUCK,
    "extend-lies": "duplicates unexplained",
    "done-counts-twice": "final transitions made twice",
    "done-keeps-hashes": STUCK,
    "locks-are-ignored": "unique tasks beside each other",
    "rules-are-ignored": "unique tasks beside each other",
    "digests-are-forgotten": "group members lost",
    "members-stay": "group members aggregated twice",
    "joins-do-not-wait": "joins before their parts",
    "joins-are-forgotten": "flows that do not end",
    "nothing-follows": "flows that ended, but steps of them, or what follows, did not run",
    "ticks-are-free": "ticks twice",
}


def places_of(name: str) -> list[tuple[ModuleType, str, Script]]:
    """Where the product keeps the script that this breakage is about: module, attribute, script."""
    return [
        (module, attribute, value)
        for module in MODULES
        for attribute, value in vars(module).items()
        if isinstance(value, Script) and value.name == SCRIPTS[name].script
    ]


def break_scripts(name: str) -> None:
    """Break what goes by that name, if it is a script, in this process."""
    if name not in SCRIPTS:
        return
    _, text, instead = SCRIPTS[name]
    places = places_of(name)
    assert places, f"there is no script for {name}"
    for module, attribute, script in places:
        assert text in script.body, f"{script.name} has changed: {name} breaks nothing any more"
        body = script.body.replace(text, instead)
        sha = hashlib.sha1(body.encode(), usedforsecurity=False).hexdigest()
        setattr(module, attribute, Script(script.name, body, sha))
