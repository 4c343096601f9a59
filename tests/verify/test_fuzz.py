"""A few inputs of each kind, always the same; `make verify-fuzz` tries others, for as long as one likes."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from asynq_py.broker import scripts
from tests.verify.fuzz.command_line import CommandLine
from tests.verify.fuzz.contents import Contents
from tests.verify.fuzz.scripts import CALLS, Scripts
from tests.verify.fuzz.target import Tally, Target, try_numbers
from tests.verify.fuzz.texts import Texts
from tests.verify.fuzz.wire import Wire


def tried(target: Target, count: int) -> Tally:
    tally = Tally()
    try:
        try_numbers(target, iter(range(count)), tally, until=time.monotonic() + 3600)
    finally:
        target.close()
    return tally


@pytest.mark.parametrize(
    ("make", "count"),
    [
        pytest.param(lambda url: Wire(), 3000, id="messages of the wire"),
        pytest.param(lambda url: Texts(), 600, id="texts of users"),
        pytest.param(CommandLine, 60, id="command lines"),
        pytest.param(lambda url: Scripts(url, spoilt=False), 400, id="scripts"),
        pytest.param(Contents, 15, id="contents of queues"),
    ],
)
@pytest.mark.timeout(300)
def test_what_nobody_should_send_does_no_harm(
    one_server: str, make: Callable[[str], Target], count: int
) -> None:
    tally = tried(make(one_server), count)

    assert tally.inputs == count
    assert not tally.finds, tally.finds[0].trace


class Bad(Target):
    name = "bad"

    def try_one(self, random: random.Random) -> None:
        kind = random.randrange(3)
        if kind == 1:
            raise KeyError("a crash")
        while kind == 2:
            pass


def test_a_crash_and_a_hang_are_found_by_the_number_of_their_input() -> None:
    first = tried(Bad(), 12).finds
    assert {find.is_hang for find in first} == {True, False}

    again = Tally()
    try_numbers(Bad(), itertools.count(first[0].number), again, until=0.0)
    assert [find.trace.splitlines()[-1] for find in again.finds] == [first[0].trace.splitlines()[-1]]


def test_the_scripts_that_are_described_exist_and_get_as_many_keys_as_their_headers_name() -> None:
    folder = Path(scripts.__file__).parent / "lua"
    for name, call in CALLS.items():
        header = (folder / f"{name}.lua").read_text("utf-8").partition("\nlocal ")[0]
        assert f"  {len(call.keys.split())} " in header.partition("-- ARGV")[0] or name == "remove_queue", (
            name
        )
