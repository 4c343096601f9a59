"""Which changes break: old payloads must be right for new workers, and new results for old readers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Literal, NotRequired, TypedDict
from uuid import UUID

import msgspec
import pydantic
import pytest

from asynq_py import App
from asynq_py.schema import Document, breaking_changes, describe, read
from tests.schema.shop import app as shop


def of(**annotations: Any) -> Document:
    """The document of a task `t` with such parameters; of a pair the second is the default."""
    app = App()
    result = annotations.pop("returns", None)
    parts = {name: said if isinstance(said, tuple) else (said,) for name, said in annotations.items()}
    names = ", ".join(f"{name}=_{name}" if len(said) == 2 else name for name, said in parts.items())
    space: dict[str, Any] = {f"_{name}": said[1] for name, said in parts.items() if len(said) == 2}
    exec(f"async def t(*, {names}): ..." if parts else "async def t(): ...", space)
    space["t"].__annotations__ = {name: said[0] for name, said in parts.items()} | {"return": result}
    app.task(space["t"])
    return read(describe(app).text())


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class MoreColor(Enum):
    RED = "red"
    BLUE = "blue"
    GREEN = "green"


@dataclass
class Image:
    path: str


@dataclass
class WiderImage:
    path: str
    width: int = 100


@dataclass
class StricterImage:
    path: str
    width: int


@dataclass
class Tree:
    below: list[Tree] = field(default_factory=list)


@dataclass
class NamedTree:
    name: str = ""
    below: list[NamedTree] = field(default_factory=list)


class Options(TypedDict):
    a: int
    b: NotRequired[int]


class StricterOptions(TypedDict):
    a: int
    b: int


class Least(msgspec.Struct):
    n: Annotated[int, msgspec.Meta(ge=3)]


class Less(msgspec.Struct):
    n: Annotated[int, msgspec.Meta(ge=1)]


class Unbound(msgspec.Struct):
    n: int


class Short(pydantic.BaseModel):
    text: Annotated[str, pydantic.Field(max_length=5)]


class Long(pydantic.BaseModel):
    text: Annotated[str, pydantic.Field(max_length=50)]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"a": int}, {"a": int}),
        ({"a": int}, {"a": int, "b": (int, 1)}),
        ({"a": int}, {"a": (int, 1)}),
        ({"a": int}, {"a": float}),
        ({"a": int}, {"a": Any}),
        ({"a": int}, {"a": int | str}),
        ({"a": int}, {"a": int | None}),
        ({"a": int | None}, {"a": int | str | None}),
        ({"a": UUID}, {"a": str}),
        ({"a": Literal["x"]}, {"a": Literal["x", "y"]}),
        ({"a": Literal["x"]}, {"a": str}),
        ({"a": Literal[1]}, {"a": float}),
        ({"a": Color}, {"a": MoreColor}),
        ({"a": Color}, {"a": str}),
        ({"a": Literal["red"]}, {"a": Color}),
        ({"a": list[int]}, {"a": list[float]}),
        ({"a": tuple[int, int]}, {"a": list[int]}),
        ({"a": tuple[int, int]}, {"a": tuple[int, float]}),
        ({"a": dict[str, int]}, {"a": dict[str, float]}),
        ({"a": Image}, {"a": WiderImage}),
        ({"a": StricterImage}, {"a": WiderImage}),
        ({"a": Image, "b": int}, {"a": Image | None, "b": int}),
        ({"a": Tree, "b": int}, {"a": NamedTree, "b": int}),
        ({"a": StricterOptions}, {"a": Options}),
        ({"a": Least}, {"a": Less}),
        ({"a": Least}, {"a": Unbound}),
        ({"a": Short}, {"a": Long}),
        ({"a": Any}, {"a": Any}),
        ({"a": int, "returns": int}, {"a": int, "returns": int}),
        ({"a": int, "returns": int | str}, {"a": int, "returns": int}),
        ({"a": int, "returns": float}, {"a": int, "returns": int}),
        ({"a": int, "returns": MoreColor}, {"a": int, "returns": Color}),
        ({"a": int}, {"a": int, "returns": int}),
    ],
)
def test_this_change_breaks_nothing(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert breaking_changes(of(**old), of(**new)) == []


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ({"a": int}, {"a": int, "b": int}, "b: is new and required; give it a default"),
        ({"a": (int, 1)}, {"a": int}, "a: had a default, and is required now"),
        ({"a": int, "b": int}, {"a": int}, "b: is gone, but payloads that wait have it"),
        ({"a": int}, {"a": str}, "a: was integer, is now string"),
        ({"a": float}, {"a": int}, "a: was number, is now integer"),
        ({"a": str}, {"a": UUID}, "a: was string, is now format uuid"),
        ({"a": datetime}, {"a": UUID}, "a: was format date-time, is now format uuid"),
        ({"a": Any}, {"a": int}, "a: was anything, is now integer"),
        ({"a": int | None}, {"a": int}, "a: was null, is now integer"),
        ({"a": int | str}, {"a": int | None}, "a: was string, is now integer | null"),
        ({"a": Literal["x", "y"]}, {"a": Literal["x"]}, "a: no longer takes 'y'"),
        ({"a": MoreColor}, {"a": Color}, "a: no longer takes 'green'"),
        ({"a": str}, {"a": Color}, "a: was string, is now one of 'red', 'blue'"),
        ({"a": Literal[1]}, {"a": Literal[True]}, "a: no longer takes 1"),
        ({"a": list[float]}, {"a": list[int]}, "a[…]: was number, is now integer"),
        ({"a": list[int]}, {"a": tuple[int, int]}, "a: was array of integer, is now array of 2 values"),
        (
            {"a": tuple[int, int]},
            {"a": tuple[int, int, int]},
            "a: was array of 2 values, is now array of 3 values",
        ),
        ({"a": tuple[int, str]}, {"a": tuple[int, int]}, "a[1]: was string, is now integer"),
        ({"a": tuple[int, str]}, {"a": list[int]}, "a[…]: was string, is now integer"),
        ({"a": dict[str, float]}, {"a": dict[str, int]}, "a[…]: was number, is now integer"),
        ({"a": Image}, {"a": StricterImage}, "width: is new and required; give it a default"),
        ({"a": WiderImage}, {"a": Image}, "width: is gone, but payloads that wait have it"),
        (
            {"a": Image, "b": int},
            {"a": StricterImage | None, "b": int},
            "a.width: is new and required; give it a default",
        ),
        ({"a": Options}, {"a": StricterOptions}, "b: had a default, and is required now"),
        (
            {"a": NamedTree, "b": int},
            {"a": Tree, "b": int},
            "a.name: is gone, but payloads that wait have it",
        ),
        ({"a": Less}, {"a": Least}, "n: was minimum 1, is now minimum 3"),
        ({"a": Unbound}, {"a": Least}, "n: was integer, is now minimum 3"),
        ({"a": Long}, {"a": Short}, "text: was maxLength 50, is now maxLength 5"),
        ({"a": int, "returns": int}, {"a": int, "returns": str}, "result: was integer, is now string"),
        ({"a": int, "returns": int}, {"a": int, "returns": int | None}, "result: was integer, is now null"),
        ({"a": int, "returns": Color}, {"a": int, "returns": MoreColor}, "result: may now be 'green'"),
        (
            {"a": int, "returns": Image},
            {"a": int, "returns": WiderImage},
            "result.width: is new, and unknown",
        ),
        (
            {"a": int, "returns": StricterImage},
            {"a": int, "returns": Image},
            "result.width: may now be missing",
        ),
        (
            {"a": int, "returns": int},
            {"a": int},
            "the result is gone, or nothing is known of it any more",
        ),
    ],
)
def test_this_change_breaks(old: dict[str, Any], new: dict[str, Any], told: str) -> None:
    assert breaking_changes(of(**old), of(**new)) == [f"t: {told}"]


def test_all_that_breaks_is_told_at_once() -> None:
    assert breaking_changes(of(a=int, b=int, c=int), of(a=str, c=int, d=int)) == [
        "t: a: was integer, is now string",
        "t: b: is gone, but payloads that wait have it",
        "t: d: is new and required; give it a default",
    ]


def named(name: str, *aliases: str) -> Document:
    app = App()

    async def work(a: int) -> None: ...

    app.task(name=name, aliases=aliases)(work)
    return describe(app)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (lambda: named("a"), lambda: named("b", "a"), []),
        (lambda: named("b", "a"), lambda: named("c", "a", "b"), []),
        (
            lambda: named("a"),
            lambda: named("b"),
            ["a: nobody takes it any more; a task of another name may have it in `aliases`"],
        ),
        (lambda: named("b", "a"), lambda: named("b"), ["b: nobody takes its alias 'a' any more"]),
    ],
)
def test_a_type_may_go_if_another_has_it_as_an_alias(
    old: Callable[[], Document], new: Callable[[], Document], told: list[str]
) -> None:
    assert breaking_changes(old(), new()) == told


def test_an_alias_must_take_what_the_type_took() -> None:
    app = App()

    @app.task(name="new", aliases=["t"])
    async def work(b: int) -> None: ...

    assert breaking_changes(of(a=int), describe(app)) == [
        "t: a: is gone, but payloads that wait have it",
        "t: b: is new and required; give it a default",
    ]


def test_a_new_task_breaks_nothing_and_the_same_app_neither() -> None:
    assert breaking_changes(Document({}, {}), describe(shop)) == []
    assert breaking_changes(read(describe(shop).text()), describe(shop)) == []


def test_a_model_is_compared_wherever_it_stands() -> None:
    for one, other in ((Image, StricterImage), (Image | int, StricterImage | int)):
        assert breaking_changes(of(a=one, b=one), of(a=other, b=other)) == [
            "t: a.width: is new and required; give it a default",
            "t: b.width: is new and required; give it a default",
        ]


def test_unions_of_models_are_compared_with_the_one_that_is_meant() -> None:
    old = of(a=Image | int, b=int)
    assert breaking_changes(old, of(a=WiderImage | int, b=int)) == []
    assert breaking_changes(old, of(a=StricterImage | int, b=int)) == [
        "t: a.width: is new and required; give it a default"
    ]


def remote(payload: Any, result: Any = Any) -> Document:
    app = App()
    app.remote("go:t", payload=payload, result=result)
    return read(describe(app).text())


def test_of_a_task_of_another_program_it_is_the_other_way_round() -> None:
    assert breaking_changes(remote(int, int), remote(int, float)) == []
    assert breaking_changes(remote(float), remote(int)) == []
    assert breaking_changes(remote(int), remote(float)) == ["go:t: the payload: was integer, is now number"]
    assert breaking_changes(remote(int, float), remote(int, int)) == [
        "go:t: result: was number, is now integer"
    ]
    assert breaking_changes(remote(int), read(describe(App()).text())) == []


def test_a_task_is_not_taken_by_a_program_that_only_names_it() -> None:
    app = App()

    @app.task(name="go:t")
    async def task(n: int) -> None: ...

    assert breaking_changes(describe(app), remote(int))[0].startswith("go:t: nobody takes it any more")
