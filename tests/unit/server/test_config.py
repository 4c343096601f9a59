"""What a server can be told. Behaviour 4 and the public contract."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest

from asynq_py import InvalidOptionError, ServerOptions
from asynq_py.retry import default_is_failure, default_retry_delay
from asynq_py.server.config import ServerConfig

INF, NAN = float("inf"), float("nan")


def test_the_defaults() -> None:
    config = ServerConfig.of({})
    values = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    assert values.pop("clock").time() > 0
    assert 1 < values.pop("thread_limit") <= 32
    assert values == {
        "concurrency": 10,
        "queues": {"default": 1},
        "strict_priority": False,
        "retry_delay": default_retry_delay,
        "is_failure": default_is_failure,
        "error_handler": None,
        "shutdown_timeout": 8.0,
        "cancel_grace": 2.0,
        "on_stuck": "keep",
        "poll_interval": 1.0,
        "forward_interval": 1.0,
        "recover_interval": 5.0,
        "max_loop_block": None,
        "lease": 30.0,
        "result_limit": 1 << 20,
        "janitor_interval": 8.0,
        "janitor_batch_size": 100,
        "health_check": None,
        "health_check_interval": 15.0,
        "group_aggregator": None,
        "group_grace_period": 60.0,
        "group_max_delay": None,
        "group_max_size": None,
        "lifespan": None,
        "report_leaks": False,
        "require_noeviction": False,
        "handle_signals": True,
    }


def test_every_option_has_a_place_in_the_config() -> None:
    fields = [field.name for field in dataclasses.fields(ServerConfig)]
    assert fields == list(ServerOptions.__annotations__)


@pytest.mark.parametrize(
    ("name", "given", "kept"),
    [
        ("concurrency", 1, 1),
        ("queues", {"critical": 6, "low": 1}, {"critical": 6, "low": 1}),
        ("queues", ["b", "a", "b"], {"b": 1, "a": 1}),
        ("queues", ("a",), {"a": 1}),
        ("strict_priority", True, True),
        ("retry_delay", max, max),
        ("error_handler", print, print),
        ("shutdown_timeout", 0, 0.0),
        ("shutdown_timeout", timedelta(minutes=1), 60.0),
        ("poll_interval", 0.5, 0.5),
        ("lease", 2, 2.0),
        ("on_stuck", "release", "release"),
        ("max_loop_block", None, None),
        ("max_loop_block", timedelta(seconds=3), 3.0),
        ("janitor_batch_size", 500, 500),
        ("group_aggregator", max, max),
        ("group_grace_period", 1, 1.0),
        ("group_max_delay", None, None),
        ("group_max_delay", 0, None),
        ("group_max_delay", timedelta(minutes=2), 120.0),
        ("group_max_size", None, None),
        ("group_max_size", 0, None),
        ("group_max_size", 5000, 5000),
        ("handle_signals", False, False),
    ],
)
def test_an_option_is_kept_spans_in_seconds(name: str, given: object, kept: object) -> None:
    assert getattr(ServerConfig.of({name: given}), name) == kept


COUNTS: list[Any] = [0, -1, 1.0, "10", True, None, 2**31]
SPANS: list[Any] = [-1, INF, NAN, "1", True, None, timedelta(seconds=-1)]
BAD: list[tuple[str, list[Any], str]] = [
    ("concurrency", COUNTS, "whole number, one or more"),
    ("thread_limit", COUNTS, "whole number, one or more"),
    ("janitor_batch_size", COUNTS, "whole number, one or more"),
    ("shutdown_timeout", SPANS, "0 or more seconds"),
    ("cancel_grace", SPANS, "0 or more seconds"),
    ("poll_interval", SPANS, "0 or more seconds"),
    ("forward_interval", [*SPANS, 0], "0.05 or more seconds"),
    ("recover_interval", [*SPANS, 0], "0.05 or more seconds"),
    ("janitor_interval", [*SPANS, 0], "0.05 or more seconds"),
    ("health_check_interval", [*SPANS, 0], "0.05 or more seconds"),
    ("lease", [*SPANS, 1.9], "2 or more seconds"),
    ("on_stuck", ["Keep", "", None, 1, []], "'keep' or 'release' or 'exit'"),
    ("max_loop_block", [-1, "1"], "0 or more seconds"),
    (
        "queues",
        [{}, [], "default", b"default", 1, None, {"": 1}, ["a", " "], [["a"]], {"a{b": 1}],
        "name|not blank",
    ),
    ("strict_priority", [1, None, "yes"], "True or False"),
    ("handle_signals", [0, None], "True or False"),
    ("retry_delay", [5, None], "a function"),
    ("is_failure", [True], "a function"),
    ("error_handler", ["print"], "a function"),
    ("health_check", [1], "a function"),
    ("group_aggregator", [1, None], "a function"),
    ("group_grace_period", [*SPANS, 0.9], "1 or more seconds"),
    ("group_max_delay", [-1, "1"], "0 or more seconds"),
    ("group_max_size", [-1, 1.0, "10", True, False], "whole number, one or more"),
    ("group_max_size", [5001], "at most 5000"),
    ("colour", ["red"], "the options of a server are concurrency"),
]


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [pytest.param(name, value, allowed, id=name) for name, values, allowed in BAD for value in values],
)
def test_a_bad_value_is_named_with_its_option_and_what_is_allowed(
    name: str, value: object, allowed: str
) -> None:
    with pytest.raises(InvalidOptionError, match=allowed) as caught:
        ServerConfig.of({name: value})
    assert caught.value.option == name


@pytest.mark.parametrize("weight", [0, -1, 1.5, True, "1"])
def test_a_bad_weight_is_named_with_its_queue(weight: object) -> None:
    with pytest.raises(InvalidOptionError, match=r"^queues\['low'\]="):
        ServerConfig.of({"queues": {"default": 1, "low": weight}})


@pytest.mark.parametrize(("lease", "heartbeat"), [(30, 5.0), (20, 5.0), (4, 1.0)])
def test_a_lease_is_renewed_several_times_before_it_ends(lease: float, heartbeat: float) -> None:
    assert ServerConfig.of({"lease": lease}).heartbeat == heartbeat
