"""`manage.py asynq …`: the program asynq-py, on the Redis that TASKS names."""

from __future__ import annotations

import os
import subprocess
import sys
from argparse import REMAINDER, ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from asynq_py.integrations.django.backend import AsynqBackend
from asynq_py.integrations.django.framework import task_backends


class Command(BaseCommand):  # type: ignore[misc]  # Django brings no types
    help = "Runs asynq-py (stats, queue, task, dash, doctor …) on the Redis of a backend."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--backend", default="default", metavar="ALIAS", help="One of TASKS.")
        parser.add_argument("command", nargs=REMAINDER, help="As for asynq-py.")

    def handle(self, *args: Any, **options: Any) -> None:
        backend = task_backends[options["backend"]]
        if not isinstance(backend, AsynqBackend):
            raise CommandError(f"{options['backend']!r} is not the alias of an AsynqBackend in TASKS")
        env = dict(os.environ)
        if backend.redis:
            env["ASYNQ_REDIS_URL"] = backend.redis
        ended = subprocess.run([sys.executable, "-m", "asynq_py", *options["command"]], env=env)
        if ended.returncode:
            sys.exit(ended.returncode)
