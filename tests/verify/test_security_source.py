"""A payload is data: nothing in the package makes code of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.verify.security.source import (
    ALLOWED,
    FOUND_BY_RULES,
    ROOT,
    RULES_LEFT_OUT,
    Use,
    unknown,
    uses,
    uses_in,
)


def test_each_place_that_could_run_code_of_others_has_its_reason() -> None:
    assert unknown() == []


def test_no_reason_is_kept_for_what_is_gone() -> None:
    found = set(uses())
    assert [
        (module, what) for module, given in ALLOWED.items() for what in given if (module, what) not in found
    ] == []


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("import pickle", "pickle"), ("from marshal import loads", "marshal"), ("x = eval(payload)", "eval"),
        ("yaml.load(text)", "yaml.load"),
        ("import importlib\nimportlib.import_module(n)", "importlib.import_module"),
        ("def f():\n  import subprocess as s", "subprocess"), ("async def f(x): exec(x)", "exec"),
    ],
)  # fmt: skip
def test_such_a_place_is_seen(text: str, what: str) -> None:
    assert list(uses_in("m", text)) == [Use("m", what)]


def test_the_security_rules_of_the_linter_find_nothing_that_has_no_reason() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "S", "--ignore", RULES_LEFT_OUT,
         "--output-format", "json", str(ROOT)],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    found = {
        (Path(one["filename"]).relative_to(ROOT).as_posix(), one["code"]) for one in json.loads(ended.stdout)
    }
    assert found - set(FOUND_BY_RULES) == set()
