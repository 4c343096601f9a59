"""`python -m benchmarks.bulk`: how long do operations on all tasks of a state hold Redis up?

Each is done on a Redis of its own, with 100 000 tasks, several turns. What Redis itself says of its commands
is reported: the longest single one, of any kind, and how many scripts there were. Every turn has the same
commands, so of each command the turn counts in which it was shortest: a machine that pauses now and then does
not pause at the same command again, what is long because of its work is long every time.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any, Final

import redis

from asynq_py import Inspector
from asynq_py.broker.scripts import load
from asynq_py.wire.keys import QUEUES, QueueKeys
from asynq_py.wire.messages import TaskMessage, encode
from benchmarks import redis_process

RESULT: Final = Path(__file__).parent / "results" / "bulk.md"
QUEUE: Final = "q"
GROUP: Final = "g"
GOAL: Final = 5.0  # milliseconds for the longest single command
KEPT: Final = 1_000_000  # entries of the slow log, which keeps every command here
SEED_BATCH: Final = 2000
DAY: Final = 24 * 3600
SCRIPTS: Final = Path(load.__code__.co_filename).with_name("lua")

STATES: Final = ("pending", "scheduled", "retry", "archived", "completed", "aggregating")


@dataclass(frozen=True, slots=True)
class Operation:
    """`states`: those that are filled before. `groups`: for the tasks of groups; 0: one for each task."""

    name: str
    states: Sequence[str]
    run: Callable[[Inspector], Awaitable[object]]
    groups: int = 1


@dataclass(frozen=True, slots=True)
class Turn:
    """`commands`: each command with its microseconds, in order. `seconds`: of the whole operation."""

    commands: Sequence[tuple[str, int]]
    mean: float
    calls: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Measured:
    """`longest`, `paused`, `mean`: milliseconds of one command. `seconds`: of the whole operation.

    `paused`: the longest of any turn, pauses of the machine included.
    """

    operation: str
    tasks: int
    longest: float
    command: str
    paused: float
    mean: float
    calls: int
    seconds: float


def operations() -> list[Operation]:
    """Every operation on all tasks of a state, the removal of a queue, and the looks that cost most."""
    aggregating = ("aggregating",)
    found = [
        Operation(f"run_all_{state}", (state,), _call("run_all", state))
        for state in ("scheduled", "retry", "archived")
    ]
    found.append(Operation("run_all_aggregating", aggregating, _call("run_all", "aggregating")))
    found += [
        Operation(f"archive_all_{state}", (state,), _call("archive_all", state))
        for state in ("pending", "scheduled", "retry", "aggregating")
    ]
    found.append(
        Operation(
            "archive_all_pending, archive full", ("pending", "archived"), _call("archive_all", "pending")
        )
    )
    found += [Operation(f"delete_all_{state}", (state,), _call("delete_all", state)) for state in STATES]
    found += [
        Operation(
            "delete_queue(force), all states", STATES, lambda i: i.delete_queue(QUEUE, force=True), groups=10
        ),
        Operation(
            "delete_queue(force), a group a task",
            aggregating,
            lambda i: i.delete_queue(QUEUE, force=True),
            groups=0,
        ),
        Operation("queue_info, all states", STATES, lambda i: i.queue_info(QUEUE), groups=10),
        Operation("queue_info, a group a task", aggregating, lambda i: i.queue_info(QUEUE), groups=0),
        Operation("groups, a group a task", aggregating, lambda i: i.groups(QUEUE), groups=0),
        Operation(
            "list_scheduled, size 10 000", ("scheduled",), lambda i: i.list_scheduled(QUEUE, 1, 10_000)
        ),
    ]
    return found


def _call(verb: str, state: str) -> Callable[[Inspector], Awaitable[object]]:
    arguments = (QUEUE, GROUP + "0") if state == "aggregating" else (QUEUE,)

    def run(inspector: Inspector) -> Awaitable[object]:
        found: Awaitable[object] = getattr(inspector, f"{verb}_{state}")(*arguments)
        return found

    return run


# -- seeding ------------------------------------------------------------------------------------------------


def seed(server: redis.Redis, operation: Operation, tasks: int) -> None:
    """Fill each state with so many tasks: unique ones, as their locks make the most work."""
    server.flushall()
    server.script_flush()  # so that every turn begins with the same commands: scripts are sent anew
    server.sadd(QUEUES, QUEUE)
    for state in operation.states:
        writes = _writes(state, tasks, operation.groups or tasks)
        while batch := list(islice(writes, SEED_BATCH)):
            with server.pipeline(transaction=False) as pipe:
                for write in batch:
                    pipe.execute_command(*write)  # type: ignore[no-untyped-call]  # theirs
                pipe.execute()


def _writes(state: str, tasks: int, groups: int) -> Iterator[tuple[Any, ...]]:
    keys, now = QueueKeys(QUEUE), int(time.time())
    for n in range(tasks):
        task_id, payload = f"{state}-{n:07}", f'{{"number":{n}}}'.encode()
        lock, group = keys.unique(state, payload), f"{GROUP}{n % groups}" if state == "aggregating" else ""
        message = TaskMessage(
            type=state, payload=payload, id=task_id, queue=QUEUE, retry=25, timeout=1800, unique_key=lock,
            group_key=group,
        )  # fmt: skip
        fields: dict[str, Any] = {"msg": encode(message), "state": state, "unique_key": lock}
        if state == "pending":
            fields["pending_since"] = time.time_ns()
        yield ("HSET", keys.task(task_id), *(part for pair in fields.items() for part in pair))
        yield ("SET", lock, task_id, "EX", DAY)
        if state == "pending":
            yield ("LPUSH", keys.pending, task_id)
        elif state == "aggregating":
            yield ("SADD", keys.groups, group)
            yield ("ZADD", keys.group(group), now, task_id)
        else:
            yield ("ZADD", keys.prefix + state, now + (0 if state == "archived" else DAY), task_id)


# -- measuring ----------------------------------------------------------------------------------------------


def measure(server: redis.Redis, operation: Operation, tasks: int, turns: int) -> Measured:
    """Do it so many times, and ask Redis what it did."""
    done = [asyncio.run(_turn(server, operation, tasks)) for _ in range(turns)]
    longest, command = repeatable([turn.commands for turn in done])
    return Measured(
        operation=operation.name,
        tasks=tasks * len(operation.states),
        longest=longest / 1000,
        command=command,
        paused=max(took for turn in done for _, took in turn.commands) / 1000,
        mean=min(turn.mean for turn in done),
        calls=done[0].calls,
        seconds=min(turn.seconds for turn in done),
    )


def repeatable(turns: Sequence[Sequence[tuple[str, int]]]) -> tuple[int, str]:
    """The longest command, each as short as in its shortest turn.

    The nth of a kind in one turn is compared with the nth of that kind in the others: groups come in another
    order each time, but the work is the same. Counted from the end: a full slow log has lost its beginning.
    """
    kinds: list[dict[str, list[int]]] = []
    for turn in turns:
        found: dict[str, list[int]] = defaultdict(list)
        kinds.append(found)
        for name, took in reversed(turn):
            found[name].append(took)
    names = {name for found in kinds for name in found}
    return max(
        (min(took for took in same if took is not None), name)
        for name in names
        for same in zip_longest(*(found.get(name, []) for found in kinds))
    )


async def _turn(server: redis.Redis, operation: Operation, tasks: int) -> Turn:
    seed(server, operation, tasks)
    names = {load(path.stem).sha: path.stem for path in SCRIPTS.glob("*.lua")}
    async with Inspector(redis_process.url_of(server)) as inspector:
        await inspector.queues()  # connects
        server.config_set("slowlog-max-len", KEPT)
        server.config_set("slowlog-log-slower-than", 0)
        server.config_resetstat()
        server.slowlog_reset()
        began = time.perf_counter()
        await operation.run(inspector)
        seconds = time.perf_counter() - began
        calls, spent = _scripts(server.info("commandstats"))
        server.config_set("slowlog-log-slower-than", -1)
        logged = sorted(server.slowlog_get(KEPT), key=lambda entry: int(entry["id"]))
        server.slowlog_reset()
    return Turn(
        commands=[(_named(entry["command"], names), int(entry["duration"])) for entry in logged],
        mean=spent / calls / 1000 if calls else 0.0,
        calls=calls,
        seconds=seconds,
    )


def _scripts(stats: Mapping[str, Mapping[str, Any]]) -> tuple[int, float]:
    """How many scripts ran, and their microseconds."""
    found = [stats[name] for name in ("cmdstat_eval", "cmdstat_evalsha") if name in stats]
    return sum(int(one["calls"]) for one in found), sum(float(one["usec"]) for one in found)


def _named(command: bytes, names: Mapping[str, str]) -> str:
    """`EVALSHA <sha> …` → the name of the script; else the command."""
    name, _, rest = command.decode("utf-8", "replace").partition(" ")
    if name.upper() == "EVALSHA":
        return names.get(rest.partition(" ")[0], "another script")
    if name.upper() == "EVAL":
        return "a script, sent whole"
    return name.upper()


# -- telling ------------------------------------------------------------------------------------------------


def report(measured: Sequence[Measured], *, tasks: int, about: str) -> str:
    """The table as Markdown."""
    lines = [
        "# Operations on all tasks",
        "",
        f"{tasks:,} tasks in each state that an operation needs, all of them unique. {about}",
        "",
        "Redis does one thing at a time: the longest single command is how long others waited. "
        f"Wanted: at most {GOAL:g} ms. All times but the last are milliseconds.",
        "",
        "| operation | tasks | longest command, ms | which | with pauses | mean script | scripts | all, s |",
        "|---|--:|--:|---|--:|--:|--:|--:|",
    ]
    for one in measured:
        shown = f"**{one.longest:.2f}**" if one.longest > GOAL else f"{one.longest:.2f}"
        lines.append(
            f"| {one.operation} | {one.tasks:,} | {shown} | {one.command} | {one.paused:.2f} "
            f"| {one.mean:.2f} | {one.calls:,} | {one.seconds:.2f} |"
        )
    missed = [one.operation for one in measured if one.longest > GOAL]
    lines += ["", f"Above {GOAL:g} ms: {', '.join(missed)}." if missed else "All are within it."]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bulk", description=__doc__)
    parser.add_argument("--tasks", type=int, default=100_000, help="in each state (100 000)")
    parser.add_argument(
        "--only", metavar="PATTERN", default="", help="operations whose name this regular expression finds"
    )
    parser.add_argument(
        "--turns",
        type=int,
        default=3,
        help="of each command the turn counts in which it was shortest (3)",
    )
    parser.add_argument("--out", type=Path, default=RESULT, help="the report (benchmarks/results/bulk.md)")
    given = parser.parse_args(arguments)
    measured: list[Measured] = []
    text = ""
    with redis_process.running() as server:
        about = (
            f"Measured {datetime.now(UTC):%Y-%m-%d} on {os.cpu_count()} processors, "
            f"Redis {server.info('server')['redis_version']}. Of each command the shortest of "
            f"{given.turns} turns counts; beside it the longest of all, pauses of the machine included."
        )
        for operation in operations():
            if not re.search(given.only, operation.name):
                continue
            measured.append(measure(server, operation, given.tasks, given.turns))
            print(f"{operation.name}: {measured[-1].longest:.2f} ms ({measured[-1].command})", flush=True)
            text = report(measured, tasks=given.tasks, about=about)
            given.out.parent.mkdir(parents=True, exist_ok=True)
            given.out.write_text(text, "utf-8")  # a run that is broken off leaves what it has
    print(f"\n{text}\nwritten to {given.out}")


if __name__ == "__main__":
    main()
