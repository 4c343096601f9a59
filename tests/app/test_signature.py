"""Arguments become one JSON object, and fit the function again, or are refused with a reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pydantic
import pytest

from asynq_py import InvalidOptionError, PayloadError
from asynq_py.app.signature import Signature


@dataclass
class Image:
    path: str
    width: int = 100


class Mail(pydantic.BaseModel):
    to: str
    subject: str = "hello"


def welcome(user_id: int, /, name: str = "you", *, template: str = "hello") -> None: ...
def places(a: int = 1, b: int = 2, /) -> None: ...
def resize(image: Image) -> None: ...
def crop(image: Image, by: int) -> None: ...
def send(mail: Mail) -> None: ...
def nothing() -> None: ...
def anything(x, y=None): ...  # type: ignore[no-untyped-def]  # that is the point
def implicit(n: int = None) -> None: ...  # type: ignore[assignment]  # noqa: RUF013  # that is the point
def marked(n: int | object = object()) -> None: ...  # its default is no JSON


def signature(function: Callable[..., Any]) -> Signature:
    return Signature.of(function, {})


@pytest.mark.parametrize(
    ("function", "args", "kwargs", "payload"),
    [
        (welcome, (42,), {}, {"user_id": 42, "name": "you", "template": "hello"}),
        (welcome, (42, "ada"), {"template": "hi"}, {"user_id": 42, "name": "ada", "template": "hi"}),
        (resize, (Image("a.png"),), {}, {"path": "a.png", "width": 100}),
        (resize, (), {"image": Image("a.png", 7)}, {"path": "a.png", "width": 7}),
        (crop, (Image("a.png"), 2), {}, {"image": {"path": "a.png", "width": 100}, "by": 2}),
        (send, (Mail(to="ada"),), {}, {"to": "ada", "subject": "hello"}),
        (nothing, (), {}, {}),
        (anything, ([1, "a"],), {}, {"x": [1, "a"], "y": None}),
        (implicit, (), {}, {"n": None}),
    ],
)
def test_a_call_becomes_the_object_of_its_arguments_and_is_made_again(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], payload: dict[str, Any]
) -> None:
    read = signature(function)
    data = read.dump("t", args, kwargs)
    assert json.loads(data) == payload
    positional, named = read.load("t", data)
    function(*positional, **named)
    assert read.dump("t", tuple(positional), named) == data


def test_a_default_that_json_cannot_hold_is_left_to_the_function() -> None:
    assert signature(marked).dump("t", (), {}) == b"{}"
    assert signature(marked).load("t", b"{}") == ([], {})


def test_the_payload_is_compact_utf_8() -> None:
    assert signature(resize).dump("t", (Image("ключ"),), {}) == '{"path":"ключ","width":100}'.encode()


def test_what_is_left_out_of_a_payload_is_up_to_the_default() -> None:
    assert signature(welcome).load("t", b'{"user_id":1}') == ([1], {})
    assert signature(places).load("t", b'{"b":2}') == ([1, 2], {})


def test_no_payload_is_that_of_no_arguments() -> None:
    assert signature(nothing).load("t", b"") == ([], {})
    assert signature(implicit).load("t", b"") == ([], {})


@pytest.mark.parametrize(
    ("args", "kwargs", "text"),
    [
        ((), {}, "t: missing a required argument: 'user_id'"),
        ((1, "a", "b"), {}, "t: too many positional arguments"),
        ((1,), {"colour": 1}, "t: got an unexpected keyword argument 'colour'"),
        (("secret",), {}, "t: user_id: expected int, got str"),
        ((1,), {"template": None}, "t: template: expected str, got NoneType"),
    ],
)
def test_a_call_that_does_not_fit_is_refused(
    args: tuple[Any, ...], kwargs: dict[str, Any], text: str
) -> None:
    with pytest.raises(PayloadError) as refused:
        signature(welcome).dump("t", args, kwargs)
    assert str(refused.value) == text
    assert isinstance(refused.value, InvalidOptionError)
    assert isinstance(refused.value, TypeError)
    assert isinstance(refused.value, ValueError)


@pytest.mark.parametrize(
    ("function", "payload", "text"),
    [
        (welcome, b"\xff", "t: the payload is no JSON"),
        (welcome, b"[" * 100_000, "t: the payload is no JSON"),
        (welcome, b"[1]", "t: the payload is no object, but array"),
        (welcome, b"{}", "t: user_id: missing"),
        (welcome, b"", "t: user_id: missing"),
        (crop, b'{"colour":2}', "t: colour: there is no such argument; it takes image, by"),
        (nothing, b'{"colour":2}', "t: colour: there is no such argument; it takes none"),
        (welcome, b'{"user_id":"secret"}', "t: user_id: expected int, got str"),
        (resize, b'{"image":{"path":"a"}}', "t: image: Image has no such field"),
        (resize, b"{}", "t: path: missing"),
        (resize, b"", "t: path: missing"),
        (crop, b'{"image":{"path":1},"by":1}', "t: image.path: expected str, got int"),
        (send, b'{"to":1}', "t: to: Input should be a valid string"),
    ],
)  # fmt: skip
def test_a_payload_that_does_not_fit_is_refused(
    function: Callable[..., Any], payload: bytes, text: str
) -> None:
    with pytest.raises(PayloadError) as refused:
        signature(function).load("t", payload)
    assert str(refused.value) == text


def test_what_holds_itself_is_refused() -> None:
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(PayloadError, match="t: it is nested too deeply"):
        signature(anything).dump("t", (endless,), {})


def test_text_that_utf_8_cannot_hold_is_refused() -> None:
    with pytest.raises(PayloadError, match="t: it has text that UTF-8 cannot hold"):
        signature(resize).dump("t", (Image("\ud800"),), {})


@pytest.mark.parametrize(
    ("function", "allowed"),
    [
        (lambda *args: None, "names of their own"),
        (lambda **kwargs: None, "names of their own"),
    ],
)
def test_parameters_without_names_are_refused(function: Callable[..., Any], allowed: str) -> None:
    with pytest.raises(InvalidOptionError, match=allowed):
        signature(function)


def test_a_parameter_that_json_cannot_hold_is_refused() -> None:
    def draw(canvas: memoryview) -> None: ...

    with pytest.raises(InvalidOptionError, match=r"canvas: memoryview.*memoryview is not known"):
        signature(draw)


def test_a_result_comes_back_as_it_was_returned() -> None:
    def paint() -> list[Image]: ...  # type: ignore[empty-body]  # only its annotation counts

    read = signature(paint)
    data = read.dump_result("t", [Image("a")])
    assert data == b'[{"path":"a","width":100}]'
    assert read.load_result("t", data) == [Image("a")]
    assert read.load_result("t", None) is None
    assert read.load_result("t", b"\xff no JSON") == b"\xff no JSON"
    with pytest.raises(PayloadError, match="t: return: expected"):
        read.dump_result("t", "a")
    with pytest.raises(PayloadError, match="t: return: expected"):
        read.load_result("t", b"1")
