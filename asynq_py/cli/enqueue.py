"""`asynq-py task enqueue`: one task, or many from a file."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import IO, Any, Final

import click

import asynq_py
from asynq_py.cli.arguments import INSTANT, SPAN, queue_names
from asynq_py.cli.commands import Command
from asynq_py.cli.failure import Code, CommandError, text_of
from asynq_py.cli.output import print_blocks, print_json
from asynq_py.cli.progress import progress
from asynq_py.cli.settings import readable, settings_of

AT_ONCE: Final = 1000
_INSTANTS: Final = ("deadline", "process_at")
_SPANS: Final = ("timeout", "unique", "process_in", "retention")


@click.command(cls=Command)
@click.argument("type_name", metavar="[TYPE]", required=False)
@click.argument("payload", metavar="[PAYLOAD]", required=False)
@click.option("--file", type=click.File("rb"), help="The payload is what this file holds; -: standard input.")
@click.option(
    "--from", "source", type=click.File("r", encoding="utf-8"),
    help="Many tasks: one a line, as JSON with type, payload and options; -: standard input.",
)  # fmt: skip
@click.option("-q", "--queue", metavar="NAME", shell_complete=queue_names, help="Default: default.")
@click.option("--id", "task_id", metavar="ID", help="Refused while the queue has a task of this ID.")
@click.option("--max-retry", "--retry", type=click.IntRange(min=0), metavar="N", help="Default: 25.")
@click.option("--timeout", type=SPAN, help="Longest duration of one try. Default: 30m.")
@click.option("--deadline", type=INSTANT, help="No try runs past this moment.")
@click.option("--unique", type=SPAN, help="Refused while the same task holds a lock; how long this one does.")
@click.option("--process-at", type=INSTANT, help="Not before this moment.")
@click.option("--process-in", type=SPAN, help="Not before this has passed.")
@click.option("--retention", type=SPAN, help="Keep the task for so long after it succeeded.")
@click.option("-g", "--group", metavar="NAME", help="Wait in this group to be made one task with others.")
@click.option("-H", "--header", "headers", metavar="NAME=VALUE", multiple=True, help="May be repeated.")
@readable
@click.pass_context
def enqueue(
    context: click.Context,
    /,
    type_name: str | None,
    payload: str | None,
    file: IO[bytes] | None,
    source: IO[str] | None,
    headers: Sequence[str],
    **options: Any,
) -> None:
    """Enqueue a task: its type and its payload, which is sent as it stands.

    A duration is as in 90, 90s, 1h30m or 250ms, a time as in 2026-01-31T12:00:00Z.
    With --from, the options given here count where a line says nothing else.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if (type_name is None) == (source is None):
        raise click.UsageError("say either TYPE and PAYLOAD, or --from", context)
    if payload is not None and file is not None:
        raise click.UsageError("say either PAYLOAD or --file", context)
    named = dict(_header(context, text) for text in headers)
    if source is not None:
        _many(context, source, named, given)
        return
    task = asynq_py.Task(type_name or "", file.read() if file else payload, headers=named or None, **given)
    settings = settings_of(context)
    info = asyncio.run(_one(settings.redis, task))
    if settings.is_json:
        print_json({"task": info})
    else:
        print_blocks([f"enqueued {info.id} in queue {info.queue}: {info.state}"])


def _header(context: click.Context, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.UsageError(f"{text!r} is no header such as trace=1", context)
    return name, value


async def _one(redis: str | None, task: asynq_py.Task) -> asynq_py.TaskInfo:
    async with asynq_py.Client(redis) as client:
        return await client.enqueue(task)


# -- many --------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Enqueued:
    """`failed`: what was refused and why, by the number of its line."""

    count: int
    failed: dict[str, str]


def _many(
    context: click.Context, source: IO[str], headers: Mapping[str, str], options: Mapping[str, Any]
) -> None:
    settings = settings_of(context)
    tasks = list(_read(source, headers, options))  # all of them, so that a wrong line costs none
    done = asyncio.run(_enqueue(settings.redis, tasks))
    if settings.is_json:
        print_json(done)
    else:
        print_blocks([f"enqueued {done.count} of {len(tasks)} tasks"])
    for line, text in done.failed.items():
        click.echo(f"{context.command_path}: line {line}: {text}", err=True)
    if done.failed:
        context.exit(Code.FAILED)


def _read(
    source: IO[str], headers: Mapping[str, str], options: Mapping[str, Any]
) -> Iterator[tuple[int, asynq_py.Task]]:
    """Yield tasks with the numbers of their lines. Raises: CommandError: a line is no task."""
    number = 0
    try:
        for number, line in enumerate(source, start=1):
            if line.strip():
                yield number, _task(json.loads(line), headers, options)
    except UnicodeDecodeError as error:
        raise CommandError(f"{source.name} is no text in UTF-8: {text_of(error)}") from error
    except (ValueError, TypeError, RecursionError, click.BadParameter) as error:
        raise CommandError(f"line {number} of {source.name} is no task: {text_of(error)}") from error


def _task(told: Any, headers: Mapping[str, str], options: Mapping[str, Any]) -> asynq_py.Task:
    if not isinstance(told, dict) or not isinstance(told.get("type"), str):
        raise ValueError('it is no object such as {"type": "email:welcome", "payload": {"user": 1}}')
    own = {name: value for name, value in told.items() if name not in ("type", "payload", "headers")}
    for name in _INSTANTS:
        if isinstance(own.get(name), str):
            own[name] = datetime.fromisoformat(own[name])
    for name in _SPANS:
        if isinstance(own.get(name), str):
            own[name] = SPAN.convert(own[name], None, None)
    both = {**headers, **told.get("headers", {})}
    return asynq_py.Task(told["type"], told.get("payload"), headers=both or None, **{**options, **own})


async def _enqueue(redis: str | None, tasks: Sequence[tuple[int, asynq_py.Task]]) -> Enqueued:
    done, waiting = Enqueued(0, {}), iter(tasks)
    async with asynq_py.Client(redis) as client:
        with progress("enqueue", len(tasks)) as show:
            while some := list(islice(waiting, AT_ONCE)):
                answers = await client.enqueue_many([task for _, task in some])
                for (line, _), answer in zip(some, answers, strict=True):
                    if isinstance(answer, asynq_py.EnqueueError):
                        done.failed[str(line)] = text_of(answer)
                    else:
                        done.count += 1
                show(done.count + len(done.failed))
    return done
