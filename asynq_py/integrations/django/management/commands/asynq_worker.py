"""`manage.py asynq_worker`: run the tasks of a backend until a signal ends it."""

from __future__ import annotations

import asyncio
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from asynq_py import InvalidOptionError, ServerOptions
from asynq_py.integrations.django.bands import queue_of
from asynq_py.integrations.django.worker import server_for


class Command(BaseCommand):  # type: ignore[misc]  # Django brings no types
    help = "Runs the tasks of an AsynqBackend, until it is told to end (TERM or INT)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--backend", default="default", metavar="ALIAS", help="One of TASKS.")
        parser.add_argument("-c", "--concurrency", type=int, metavar="N", help="Tasks handled at once.")
        parser.add_argument(
            "-q",
            "--queue",
            action="append",
            default=[],
            metavar="NAME[=WEIGHT]",
            help="A queue to serve; may be given again. Left out: those that TASKS names.",
        )
        parser.add_argument("--strict", action="store_true", help="Empty heavier queues first.")

    def handle(self, *args: Any, **options: Any) -> None:
        config: ServerOptions = {}
        if options["concurrency"] is not None:
            config["concurrency"] = options["concurrency"]
        if options["queue"]:
            config["queues"] = dict(_queue(text) for text in options["queue"])
        if options["strict"]:
            config["strict_priority"] = True
        try:
            server = server_for(options["backend"], **config)
        except InvalidOptionError as error:
            raise CommandError(str(error)) from error
        served = ", ".join(sorted({queue_of(name) for name in server.config.queues}))
        self.stdout.write(
            f"Working on {served} of {options['backend']!r}, {server.config.concurrency} tasks at once; "
            "Ctrl-C or TERM ends it."
        )
        self.stdout.flush()
        asyncio.run(server.serve())


def _queue(text: str) -> tuple[str, int]:
    name, _, weight = text.partition("=")
    try:
        return name, int(weight or 1)
    except ValueError:
        raise CommandError(f"--queue {text}: a name, or NAME=WEIGHT with a whole number") from None
