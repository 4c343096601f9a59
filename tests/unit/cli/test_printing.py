"""What is printed steers no terminal, whatever stands in Redis or among the arguments."""

from __future__ import annotations

import json

import click
import pytest

from asynq_py.cli.failure import text_of
from asynq_py.cli.output import print_json

ODD = "é\x1b[2J\x7f\x9b\u202e\U000e0001"


def test_json_is_printed_with_letters_as_they_are_and_what_would_steer_escaped(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_json({"type": ODD})

    shown = capsys.readouterr().out
    assert shown == '{"type": "é\\u001b[2J\\u007f\\u009b\\u202e\\udb40\\udc01"}\n'
    assert json.loads(shown) == {"type": ODD}


def test_an_error_is_one_line_that_steers_no_terminal() -> None:
    text = text_of(click.UsageError(f"unexpected\nargument {ODD}"))
    assert text == "unexpected argument é\\x1b[2J\\x7f\\x9b\\u202e\\U000e0001"
