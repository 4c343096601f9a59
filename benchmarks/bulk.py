"""`python -m benchmarks.bulk`: how long do operations on all tasks of a state hold Redis up?

Each is done on a Redis of its own, with 100 000 tasks. What Redis itself says of its commands is reported:
the longest single one, of any kind, and how many scripts there were.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
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
THRESHOLD: Final = 200  # microseconds: what takes less is not in Redis' slow log
KEPT: Final = 100_000  # entries of the slow log
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
class Measured:
    """`longest`, `mean`: milliseconds of one command. `seconds`: of the whole operation."""

    operation: str
    tasks: int
    longest: float
    command: str
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


async def measure(server: redis.Redis, operation: Operation, tasks: int) -> Measured:
    """Do it once, and ask Redis what it did."""
    seed(server, operation, tasks)
    names = {load(path.stem).sha: path.stem for path in SCRIPTS.glob("*.lua")}
    async with Inspector(redis_process.url_of(server)) as inspector:
        await inspector.queues()  # connects
        server.config_set("slowlog-max-len", KEPT)
        server.config_set("slowlog-log-slower-than", THRESHOLD)
        server.config_resetstat()
        server.slowlog_reset()
        began = time.perf_counter()
        await operation.run(inspector)
        seconds = time.perf_counter() - began
    server.config_set("slowlog-log-slower-than", -1)
    slow = server.slowlog_get(KEPT)
    longest = max(slow, key=lambda entry: int(entry["duration"]), default=None)
    calls, spent = _scripts(server.info("commandstats"))
    return Measured(
        operation=operation.name,
        tasks=tasks * len(operation.states),
        longest=THRESHOLD / 1000 if longest is None else longest["duration"] / 1000,
        command="" if longest is None else _named(longest["command"], names),
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
        f"Wanted: at most {GOAL:g} ms.",
        "",
        "| operation | tasks | longest command, ms | which | mean script, ms | scripts | all of it, s |",
        "|---|--:|--:|---|--:|--:|--:|",
    ]
    for one in measured:
        longest = f"{one.longest:.2f}" if one.command else f"below {one.longest:.2f}"
        shown = f"**{longest}**" if one.longest > GOAL else longest
        lines.append(
            f"| {one.operation} | {one.tasks:,} | {shown} | {one.command} | {one.mean:.2f} | {one.calls:,} | "
            f"{one.seconds:.2f} |"
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
        default=1,
        help="of each operation the turn counts whose longest command is shortest",
    )
    parser.add_argument("--out", type=Path, default=RESULT, help="the report (benchmarks/results/bulk.md)")
    given = parser.parse_args(arguments)
    measured: list[Measured] = []
    with redis_process.running() as server:
        about = (
            f"Measured {datetime.now(UTC):%Y-%m-%d} on {os.cpu_count()} processors, "
            f"Redis {server.info('server')['redis_version']}. Of {given.turns} turns the one whose longest "
            "command is the shortest: what is longer in one turn only is a pause of the machine."
        )
        for operation in operations():
            if not re.search(given.only, operation.name):
                continue
            turns = [asyncio.run(measure(server, operation, given.tasks)) for _ in range(given.turns)]
            measured.append(min(turns, key=lambda one: one.longest))
            print(f"{operation.name}: {measured[-1].longest:.2f} ms ({measured[-1].command})", flush=True)
    text = report(measured, tasks=given.tasks, about=about)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(text, "utf-8")
    print(f"\n{text}\nwritten to {given.out}")


if __name__ == "__main__":
    main()
