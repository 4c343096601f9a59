"""`asynq-py task cancel|run|archive|delete`: one task, many, all of a state, or those of a type."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar

import click

import asynq_py
from asynq_py.cli import states
from asynq_py.cli.arguments import GROUP, QUEUE, TYPE
from asynq_py.cli.commands import Command
from asynq_py.cli.consent import Consent, asking
from asynq_py.cli.failure import Code, text_of
from asynq_py.cli.output import print_blocks, print_json
from asynq_py.cli.progress import progress
from asynq_py.cli.settings import readable, settings_of

AT_ONCE: Final = 200  # tasks whose moves share round trips
LOOK: Final = 0.2  # seconds between two looks at how far Redis is

One: TypeAlias = "Callable[[asynq_py.Inspector, str, str], Awaitable[object]]"
All: TypeAlias = "Callable[[asynq_py.Inspector, str, str, str | None], Awaitable[int]]"
Decorated = TypeVar("Decorated", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Verb:
    """What is done to tasks. `states`: of which all can be taken at once; `all`: None: there is no such call.
    `asks`: even about a single task. `needs_queue`: to find a task by its ID.
    """

    name: str
    past: str
    help: str
    states: Sequence[str]
    one: One
    all: All | None
    asks: bool = False
    needs_queue: bool = True


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which tasks. Either `ids`, or all of `state`, or those of `kind` among them. Of any `queue`: ""."""

    queue: str
    ids: Sequence[str]
    state: str
    group: str | None
    kind: str | None

    def described(self, count: int) -> str:
        if self.ids:
            return f"{count} {_tasks(count)}{f' of queue {self.queue}' if self.queue else ''}"
        group = f" in group {self.group}" if self.group is not None else ""
        kind = f" of type {self.kind}" if self.kind is not None else ""
        return f"{count} {self.state} {_tasks(count)}{kind}{group} of queue {self.queue}"


@dataclass(frozen=True, slots=True)
class Done:
    """What came of it. `failed`: what could not be done and why, by task ID."""

    verb: str
    queue: str | None
    is_dry_run: bool
    count: int
    failed: dict[str, str]


def _tasks(count: int) -> str:
    return "task" if count == 1 else "tasks"


# -- doing it ----------------------------------------------------------------------------------------------


async def find(inspector: asynq_py.Inspector, chosen: Chosen) -> list[str] | int:
    """Look which tasks are meant: their IDs, or only how many, when all of a state are."""
    if chosen.ids:
        return list(dict.fromkeys(chosen.ids))
    if chosen.kind is None and chosen.state != "active":
        return await states.count(inspector, chosen.queue, chosen.state, chosen.group)
    walk = states.walk(inspector, chosen.queue, chosen.state, chosen.group)
    return [info.id async for info in walk if states.is_of_type(info, chosen.kind)]


async def look(inspector: asynq_py.Inspector, chosen: Chosen, found: Sequence[str]) -> dict[str, str]:
    """Look for tasks that were named. Returns why they cannot be had, of those which cannot."""
    missing: dict[str, str] = {}
    for task_id in found if chosen.queue else ():
        try:
            await inspector.task_info(chosen.queue, task_id)
        except (asynq_py.TaskNotFoundError, asynq_py.QueueNotFoundError) as error:
            missing[task_id] = text_of(error)
    return missing


async def do(inspector: asynq_py.Inspector, verb: Verb, chosen: Chosen, found: list[str] | int) -> Done:
    """Do it to what was found."""
    if isinstance(found, list):
        count, failed = await _one_by_one(inspector, verb, chosen.queue, found)
    else:
        count, failed = await _all_at_once(inspector, verb, chosen, found), {}
    return Done(verb.name, chosen.queue or None, False, count, failed)


async def _one_by_one(
    inspector: asynq_py.Inspector, verb: Verb, queue: str, ids: Sequence[str]
) -> tuple[int, dict[str, str]]:
    failed: dict[str, str] = {}

    async def one(task_id: str) -> None:
        try:
            await verb.one(inspector, queue, task_id)
        except (asynq_py.BrokerUnavailableError, asynq_py.BrokerError):
            raise
        except asynq_py.AsynqError as error:
            failed[task_id] = text_of(error)

    with progress(verb.name, len(ids)) as show:
        for start in range(0, len(ids), AT_ONCE):
            await asyncio.gather(*map(one, ids[start : start + AT_ONCE]))
            show(min(start + AT_ONCE, len(ids)))
    return len(ids) - len(failed), failed


async def _all_at_once(inspector: asynq_py.Inspector, verb: Verb, chosen: Chosen, before: int) -> int:
    """The Inspector takes all of a state in steps; how far it is, Redis knows."""
    assert verb.all is not None
    groups = await states.groups_of(inspector, chosen.queue, chosen.state, chosen.group)
    count = 0
    with progress(verb.name, before) as show:
        watching = asyncio.create_task(_watch(inspector, chosen, before, show))
        try:
            for group in groups:
                count += await verb.all(inspector, chosen.queue, chosen.state, group)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
    return count


async def _watch(
    inspector: asynq_py.Inspector, chosen: Chosen, before: int, show: Callable[[int], None]
) -> None:
    while True:
        await asyncio.sleep(LOOK)
        left = await states.count(inspector, chosen.queue, chosen.state, chosen.group)
        show(max(0, before - left))


# -- the commands ------------------------------------------------------------------------------------------


def _perform(context: click.Context, verb: Verb, chosen: Chosen, consent: Consent) -> None:
    settings = settings_of(context)
    found = settings.inspect(lambda inspector: find(inspector, chosen))
    count = len(found) if isinstance(found, list) else found
    if consent.is_dry_run:
        named = found if chosen.ids and isinstance(found, list) else []
        missing = settings.inspect(lambda inspector: look(inspector, chosen, named))
        done = Done(verb.name, chosen.queue or None, True, count - len(missing), missing)
    elif count:
        if verb.asks or not chosen.ids:
            consent.ask(f"{verb.name.capitalize()} {chosen.described(count)}")
        done = settings.inspect(lambda inspector: do(inspector, verb, chosen, found))
    else:
        done = Done(verb.name, chosen.queue or None, False, 0, {})
    if settings.is_json:
        print_json(done)
    else:
        lead = f"would {verb.name}" if consent.is_dry_run else verb.past
        print_blocks([f"{lead} {chosen.described(done.count)}"])
    for text in done.failed.values():
        click.echo(f"{context.command_path}: {text}", err=True)
    if done.failed:
        context.exit(Code.FAILED)


def _choosing(verb_states: Sequence[str]) -> Callable[[Decorated], Decorated]:
    """Give a command what chooses tasks. With a single state, `--all` stands for it."""
    ids = click.argument("ids", metavar="[ID]...", nargs=-1)
    if len(verb_states) == 1:
        (only,) = verb_states
        all_of = click.option(
            "--all", "state", flag_value=only, help=f"All {only} tasks instead of some IDs."
        )
        return lambda command: ids(QUEUE(all_of(TYPE(asking(readable(command))))))
    state = click.option(
        "-s", "--state", type=click.Choice(verb_states), help="All tasks of a state instead of some IDs."
    )
    return lambda command: ids(QUEUE(state(GROUP(TYPE(asking(readable(command)))))))


def _chosen(
    context: click.Context,
    ids: Sequence[str],
    queue: str,
    state: str | None,
    group: str | None,
    kind: str | None,
    only: str | None,
) -> Chosen:
    """Raises: UsageError: it is not said which tasks are meant, or said twice."""
    if kind is not None and state is None:
        state = only
    way = "--state" if only is None else "--all, or --type"
    if bool(ids) == (state is not None):
        raise click.UsageError(f"say which tasks: either by IDs, or by {way}", context)
    if group is not None and state != "aggregating":
        raise click.UsageError("--group needs --state aggregating: only those tasks are in groups", context)
    return Chosen(queue, ids, state or "", group, kind)


CANCEL: Final = Verb(
    "cancel",
    "asked to cancel",
    "Ask the workers that run tasks to end them.\n\nNothing tells whether one does. IDs may be of any queue.",
    ("active",),
    lambda inspector, queue, task_id: inspector.cancel_processing(task_id),
    None,
    needs_queue=False,
)
RUN: Final = Verb(
    "run",
    "made pending",
    "Make tasks pending, so that they run next.",
    ("scheduled", "retry", "archived", "aggregating"),
    lambda inspector, queue, task_id: inspector.run_task(queue, task_id),
    states.run_all,
)
ARCHIVE: Final = Verb(
    "archive",
    "archived",
    "Put tasks aside, so that they do not run.",
    ("pending", "scheduled", "retry", "aggregating"),
    lambda inspector, queue, task_id: inspector.archive_task(queue, task_id),
    states.archive_all,
)
DELETE: Final = Verb(
    "delete",
    "deleted",
    "Forget tasks. Also: remove, rm.",
    ("pending", "scheduled", "retry", "archived", "completed", "aggregating"),
    lambda inspector, queue, task_id: inspector.delete_task(queue, task_id),
    states.delete_all,
    asks=True,
)


def _command(verb: Verb) -> click.Command:
    """The command of a verb. Where all can only be of one state, `--type` alone means that state, too."""
    only = verb.states[0] if len(verb.states) == 1 else None

    @click.command(verb.name, cls=Command, help=verb.help)
    @_choosing(verb.states)
    @click.pass_context
    def command(
        context: click.Context,
        ids: Sequence[str],
        queue: str,
        state: str | None,
        kind: str | None,
        yes: bool,
        dry_run: bool,
        group: str | None = None,
    ) -> None:
        named = "" if ids and not verb.needs_queue else queue
        chosen = _chosen(context, ids, named, state, group, kind, only)
        _perform(context, verb, chosen, Consent(yes, dry_run))

    return command


cancel = _command(CANCEL)
run = _command(RUN)
archive = _command(ARCHIVE)
delete = _command(DELETE)
