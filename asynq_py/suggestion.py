"""Suggestion: what was meant by a name that nobody knows."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from typing import Final

from asynq_py.errors import InvalidOptionError

# What others call it: Celery, RQ, arq, taskiq, dramatiq, Huey, procrastinate, and asynq in Go.
_ELSEWHERE: Final = {
    "queue": "queue_name routing_key routing queues",
    "task_id": "id job_id uid uuid",
    "max_retry": "max_retries retries retry max_tries tries attempts max_attempts retry_count",
    "timeout": "time_limit soft_time_limit job_timeout max_time timelimit",
    "deadline": "expires expiration expire expires_at expires_in",
    "unique": "lock unique_for unique_ttl unique_time queueing_lock",
    "unique_key": "key lock_key unique_by unique_args",
    "process_at": "eta at schedule_at run_at scheduled_at schedule defer_until when time",
    "process_in": "countdown delay defer defer_by delay_seconds schedule_in run_in wait_for",
    "retention": "ttl result_ttl result_expires keep_result result_retention keep",
    "headers": "meta labels tags",
    "name": "type task_name job_name",
    "redis": "broker broker_url url redis_url redis_settings connection conn backend",
    "lifespan": "on_startup on_shutdown startup shutdown",
    "executor": "pool",
    "concurrency": "workers max_jobs worker_concurrency threads max_workers",
    "shutdown_timeout": "grace grace_period graceful_timeout",
    "retry_delay": "backoff retry_backoff retry_delay_func default_retry_delay retry_policy",
}
# What no option does here, and what does.
_INSTEAD: Final = {
    "bind pass_context with_context": "a task finds itself by `current_task()`",
    "priority": "queues have priorities: `server(queues={'high': 6, 'low': 1})`",
    "rate_limit throttle": "rates are a middleware: `app.use(RateLimit(…))`",
    "autoretry_for dont_autoretry_for retry_on": "every error is tried again but SkipRetry",
    "acks_late reject_on_worker_lost": "every task is acknowledged after it has run",
    "ignore_result store_results": "results are kept where `retention` is given",
    "serializer compression": "payloads are JSON",
}
_TOLD: Final = {name: text for names, text in _INSTEAD.items() for name in names.split()}
_MEANT: Final = {theirs: ours for ours, names in _ELSEWHERE.items() for theirs in names.split()}


def unknown_option(name: str, value: object, known: Collection[str], *, of: str) -> InvalidOptionError:
    """Make the error for an option that is none of `known`. `of`: whose these are."""
    meant = meant_by(name, known)
    hint = f"{_TOLD[name]}; " if name in _TOLD else "" if meant is None else f"did you mean {meant}? "
    return InvalidOptionError(name, value, f"{hint}the options of {of} are {', '.join(known)}")


def meant_by(name: str, known: Collection[str]) -> str | None:
    """The one that was meant, perhaps: another library calls it so, or it is spelt nearly so."""
    asked = name.strip("_").lower()
    for ours in (asked, _MEANT.get(asked)):
        if ours in known:
            return ours
    near = difflib.get_close_matches(asked, known, n=1, cutoff=0.75)
    return near[0] if near else None
