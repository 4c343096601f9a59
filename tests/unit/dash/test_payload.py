from __future__ import annotations

import json

import pytest

from asynq_py.dash import payload
from asynq_py.dash.payload import Readable, readable


def test_json_is_spread_out_with_letters_of_all_languages() -> None:
    seen = readable(json.dumps({"name": "Zoë", "rows": [1]}).encode())
    assert seen.title == "JSON, 33 bytes"
    assert seen.text == '{\n  "name": "Zoë",\n  "rows": [\n    1\n  ]\n}'


@pytest.mark.parametrize("data", [b"plain words", b"{not json", b"two\nlines", "Zoë".encode()])
def test_other_text_is_shown_as_it_is(data: bytes) -> None:
    assert readable(data) == Readable("text", len(data), data.decode())


@pytest.mark.parametrize("data", [b"\xff\x00AB", b"AB\x1b[2J"])
def test_what_is_no_text_or_would_steer_the_terminal_is_a_hex_dump(data: bytes) -> None:
    seen = readable(data)
    assert seen.kind == "binary"
    assert seen.text.startswith(f"00000000  {data.hex(' ')} ")
    assert seen.text.endswith(("  ..AB", "  AB.[2J"))


@pytest.mark.parametrize("char", ["\x1b", "\x9b", "\u202e"])
def test_what_json_escapes_stays_escaped_where_it_would_steer_the_terminal(char: str) -> None:
    data = json.dumps({"name": char}).encode()
    shown = readable(data).text
    assert char not in shown
    assert f"\\u{ord(char):04x}" in shown


@pytest.mark.parametrize("data", [None, b""])
def test_nothing_is_nothing(data: bytes | None) -> None:
    assert readable(data).title == "nothing"


def test_a_hex_dump_has_an_end() -> None:
    seen = readable(b"\xff" * (payload.HEX_LIMIT + 1))
    assert len(seen.text.splitlines()) == payload.HEX_LIMIT // 16
    assert seen.is_cut
    assert seen.title == f"binary, {payload.HEX_LIMIT + 1:,} bytes, cut"


def test_text_has_an_end() -> None:
    seen = readable(b"x" * (payload.TEXT_LIMIT + 1))
    assert (len(seen.text), seen.is_cut) == (payload.TEXT_LIMIT, True)


def test_json_that_is_huge_is_not_parsed() -> None:
    data = json.dumps(["x" * 100] * (payload.JSON_LIMIT // 100)).encode()
    assert readable(data).kind == "text"


def test_json_that_is_nested_beyond_reason_is_text() -> None:
    assert readable(b"[" * 100_000 + b"]" * 100_000).kind == "text"
