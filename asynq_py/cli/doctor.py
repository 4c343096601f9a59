"""`asynq-py doctor`: what may be wrong with Redis and with the queues in it, and its repair."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, TypeVar

import click

import asynq_py.doctor as examining  # its names come when they are used
from asynq_py.cli.commands import Command
from asynq_py.cli.consent import Consent, asking
from asynq_py.cli.output import Block, Table, print_blocks, print_json
from asynq_py.cli.settings import Settings, readable
from asynq_py.doctor.finding import Level
from asynq_py.doctor.scope import SAMPLE, Role

T = TypeVar("T")

CODES: Final[Mapping[Level, int]] = {Level.OK: 0, Level.SKIPPED: 0, Level.WARNING: 1, Level.ERROR: 2}


@click.command(cls=Command)
@click.option(
    "--as", "role", type=click.Choice(list(Role), case_sensitive=False), default="worker", show_default=True,
    help="Whom the user that logs in is for: what rights it needs.",
)  # fmt: skip
@click.option(
    "--sample", type=click.IntRange(1, 100_000), metavar="N", default=SAMPLE, show_default=True,
    help="Tasks of each state of each queue to look at, and ten times as many keys.",
)  # fmt: skip
@click.option("--repair", is_flag=True, help="Mend what is out of order in the data of queues.")
@asking
@readable
@click.pass_context
def doctor(context: click.Context, role: Role, sample: int, repair: bool, yes: bool, dry_run: bool) -> None:
    """Examine Redis and a sample of the queues: how it is set up, and what is out of order.

    Exit code: 0 all is well, 1 there are warnings, 2 there are errors, 3 Redis is away. After a repair it is
    that of another look.
    """
    settings = context.find_root().ensure_object(Settings)

    def treat(work: Callable[[examining.Doctor], Awaitable[T]]) -> T:
        async def main() -> T:
            async with examining.Doctor(settings.redis, role=role, sample=sample) as one:
                return await work(one)

        return asyncio.run(main())

    before = treat(lambda one: one.examine())
    after, repaired = before, list[examining.Repair]()
    consent = Consent(yes, dry_run or not repair)
    if not settings.is_json:
        print_blocks([_findings(before), *_plan(before, repair)])
    if before.damages and not consent.is_dry_run:
        consent.ask(f"Do this: {', '.join(map(_in_words, before.repairs))}")
        repaired = treat(lambda one: one.repair(before.damages))
        after = treat(lambda one: one.examine())
        if not settings.is_json:
            print_blocks(["", *(f"done: {_in_words(step)}" for step in repaired), "", _findings(after)])
    if settings.is_json:
        print_json(
            {
                "level": after.level,
                "findings": after.findings,
                "planned": before.repairs,
                "repaired": repaired,
            }
        )
    context.exit(CODES[after.level])


def _findings(examination: examining.Examination) -> Table:
    rows = [(found.level, found.check, found.what, found.advice) for found in examination.findings]
    return Table(("level", "check", "found", "advice"), rows)


def _plan(examination: examining.Examination, is_wanted: bool) -> Sequence[Block]:
    if not is_wanted:
        return []
    if not examination.damages:
        return ["there is nothing to repair"]
    return [f"would do: {_in_words(step)}" for step in examination.repairs]


def _in_words(step: examining.Repair) -> str:
    return f"{step.count} {step.what}" + (f" in {step.queue}" if step.queue else "")
