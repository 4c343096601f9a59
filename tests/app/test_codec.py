"""Values of every kind become JSON that a program in any language reads, and come back as they were."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, NotRequired, TypedDict, TypeVar
from uuid import UUID

import msgspec
import pydantic
import pytest

from asynq_py.app.codec import Codec, UnknownTypeError
from asynq_py.app.shape import Misfit


class Size(Enum):
    SMALL = "s"
    LARGE = 2


class Level(IntEnum):
    LOW = 1


class Colour(StrEnum):
    RED = "red"


@dataclass
class Line:
    article: UUID
    count: int = 1


@dataclass(frozen=True)
class Order:
    lines: list[Line]
    at: datetime
    parent: Order | None = None
    tags: frozenset[str] = field(default_factory=frozenset)


class Address(TypedDict):
    street: str
    flat: NotRequired[int]


class Point(NamedTuple):
    x: int
    y: float


class Struct(msgspec.Struct):
    name: str
    at: datetime


class Socket:
    pass


class Sized(msgspec.Struct):
    size: Colour


class Model(pydantic.BaseModel):
    name: str = pydantic.Field(max_length=5)
    at: datetime


UserID = NewType("UserID", int)
ID = UUID("12345678-1234-5678-1234-567812345678")
AT = datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)


@pytest.mark.parametrize(
    ("annotation", "value", "told"),
    [
        (int, 2**70, 2**70),
        (float, 1.5, 1.5),
        (str, "ключ", "ключ"),
        (bool, True, True),
        (None, None, None),
        (bytes, b"\x00\xff", "AP8="),
        (datetime, AT, "2026-01-02T03:04:05.678000+00:00"),
        (datetime, AT.astimezone(timezone(timedelta(hours=2))), "2026-01-02T05:04:05.678000+02:00"),
        (date, date(2026, 1, 2), "2026-01-02"),
        (time, time(3, 4), "03:04:00"),
        (timedelta, timedelta(minutes=1), 60),
        (timedelta, timedelta(milliseconds=1500), 1.5),
        (UUID, ID, str(ID)),
        (Decimal, Decimal("1.10"), "1.10"),
        (Path, Path("/a/b"), "/a/b"),
        (Size, Size.SMALL, "s"),
        (Size, Size.LARGE, 2),
        (Level, Level.LOW, 1),
        (Colour, Colour.RED, "red"),
        (Literal["a", 1], 1, 1),
        (UserID, UserID(7), 7),
        (list[int], [1, 2], [1, 2]),
        (Sequence[UUID], [ID], [str(ID)]),
        (set[int], {1}, [1]),
        (tuple[int, str], (1, "a"), [1, "a"]),
        (tuple[int, ...], (1, 2, 3), [1, 2, 3]),
        (dict[str, datetime], {"a": AT}, {"a": AT.isoformat()}),
        (Mapping[int, bool], {1: True}, {"1": True}),
        (dict[UUID, list[Size]], {ID: [Size.LARGE]}, {str(ID): [2]}),
        (dict, {"a": [1, None]}, {"a": [1, None]}),
        (list, [1, "a"], [1, "a"]),
        (int | None, None, None),
        (datetime | str, "soon", "soon"),
        (datetime | str, AT, AT.isoformat()),
        (float | int, 3, 3),
        (Annotated[int, "a note"], 1, 1),
        (Line, Line(ID), {"article": str(ID), "count": 1}),
        (
            Order,
            Order([], AT, Order([Line(ID, 2)], AT)),
            {
                "lines": [],
                "at": AT.isoformat(),
                "parent": {
                    "lines": [{"article": str(ID), "count": 2}],
                    "at": AT.isoformat(),
                    "parent": None,
                    "tags": [],
                },
                "tags": [],
            },
        ),
        (Address, {"street": "a"}, {"street": "a"}),
        (Point, Point(1, 2.5), [1, 2.5]),
        (Struct, Struct("a", AT), {"name": "a", "at": "2026-01-02T03:04:05.678000Z"}),
        (list[Struct], [Struct("a", AT)], [{"name": "a", "at": "2026-01-02T03:04:05.678000Z"}]),
        (Model, Model(name="a", at=AT), {"name": "a", "at": "2026-01-02T03:04:05.678000Z"}),
        (Annotated[int, pydantic.Field(ge=1)], 1, 1),
        (Annotated[int, msgspec.Meta(ge=1)], 1, 1),
        (Any, {"a": [AT, ID, 1.5, Size.SMALL]}, {"a": [AT.isoformat(), str(ID), 1.5, "s"]}),
    ],
)
def test_a_value_is_told_as_plain_json_and_comes_back(annotation: Any, value: Any, told: Any) -> None:
    shape = Codec().shape(annotation)
    dumped = shape.dump(value, "it")
    assert json.loads(json.dumps(dumped)) == told
    loaded = shape.load(json.loads(json.dumps(dumped)), "it")
    if annotation is not Any:
        assert loaded == value
        assert type(loaded) is type(value)


@pytest.mark.parametrize(
    ("annotation", "data", "problem"),
    [
        (int, "1", "expected int, got str"),
        (int, True, "expected int, got bool"),
        (int, 1.0, "expected int, got float"),
        (float, "1", "expected float, got str"),
        (float, float("nan"), "expected a finite number, as JSON has no other"),
        (str, 1, "expected str, got int"),
        (bool, 1, "expected bool, got int"),
        (bytes, "?", "expected bytes as base64 text"),
        (datetime, "yesterday", "expected datetime as ISO 8601 text"),
        (datetime, 5, "expected datetime as ISO 8601 text, got int"),
        (date, "2026-13-01", "expected date as ISO 8601 text"),
        (timedelta, True, "expected timedelta as a number of seconds, got bool"),
        (timedelta, 1e300, "expected timedelta as a number of seconds"),
        (UUID, "12", "expected UUID as text"),
        (Decimal, "a", "expected Decimal as text or a number"),
        (Size, "m", "expected Size: one of 's', 2"),
        (Literal["a", 1], True, "expected one of 'a', 1"),
        (list[int], "12", "expected list[int] as an array, got str"),
        (int | None, "1", "expected int | None, got str"),
        (tuple[int, str], [1], "expected 2 values, got 1"),
        (dict[str, int], [], "expected dict[str, int] as an object, got list"),
        (Line, [], "expected Line as an object, got list"),
    ],
)
def test_what_does_not_fit_is_told_by_its_kind_and_never_quoted(
    annotation: Any, data: Any, problem: str
) -> None:
    with pytest.raises(Misfit) as refused:
        Codec().shape(annotation).load(data, "it")
    assert (refused.value.at, refused.value.problem) == ("it", problem)


@pytest.mark.parametrize(
    ("annotation", "data", "at", "problem"),
    [
        (list[int], [1, "a"], "it[1]", "expected int, got str"),
        (dict[str, int], {"a": None}, "it[a]", "expected int, got NoneType"),
        (dict[int, int], {"a": 1}, "it (a key)", "expected int, got str"),
        (Line, {}, "it.article", "missing"),
        (Line, {"article": str(ID), "colour": 1}, "it.colour", "Line has no such field"),
        (Order, {"lines": [{"article": "x"}], "at": "x"}, "it.lines[0].article", "expected UUID as text"),
        (Order | None, {"lines": [], "at": "x"}, "it.at", "expected datetime as ISO 8601 text"),
        (Address, {"flat": 1}, "it.street", "missing"),
        (Struct, {"name": 1, "at": AT.isoformat()}, "it.name", "Expected `str`, got `int`"),
        (Sized, {"size": "secret"}, "it.size", "Invalid enum value"),
        (Model, {"name": "a"}, "it.at", "Field required"),
        (Model, {"name": "secret", "at": "x"}, "it.name", "String should have at most 5 characters"),
        (Annotated[int, pydantic.Field(ge=1)], 0, "it", "Input should be greater than or equal to 1"),
        (Annotated[int, msgspec.Meta(ge=1)], 0, "it", "Expected `int` >= 1"),
    ],
)
def test_an_error_says_where(annotation: Any, data: Any, at: str, problem: str) -> None:
    with pytest.raises(Misfit) as refused:
        Codec().shape(annotation).load(data, "it")
    assert (refused.value.at, refused.value.problem) == (at, problem)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (int, "1"),
        (int, True),
        (float, float("inf")),
        (datetime, "2026-01-02"),
        (date, AT),
        (UUID, str(ID)),
        (Size, "s"),
        (list[int], (1,)),
        (list[int], [1, None]),
        (Sequence[str], "text"),
        (set[int], [1]),
        (tuple[int, str], [1, "a"]),
        (dict[str, int], {"a": "b"}),
        (Line, {"article": ID}),
        (Line, Line("no id")),  # type: ignore[arg-type]  # that is the point
        (Address, {"street": 1}),
        (Struct, Struct(1, AT)),  # type: ignore[arg-type]  # that is the point
        (Struct, {"name": "a", "at": AT}),
        (Model, Model.model_construct(name=1, at=AT)),
        (Model, Line(ID)),
        (Any, object()),
        (Any, {"a": [object()]}),
    ],
)
def test_a_wrong_value_is_refused_before_it_is_sent(annotation: Any, value: Any) -> None:
    with pytest.raises(Misfit):
        Codec().shape(annotation).dump(value, "it")


def test_moments_are_read_as_go_writes_them() -> None:
    shape = Codec().shape(datetime)
    assert shape.load("2026-01-02T03:04:05Z", "") == AT.replace(microsecond=0)
    assert shape.load("2026-01-02T03:04:05.678000999Z", "") == AT


def test_a_dataclass_may_refuse_what_it_is_made_of() -> None:
    @dataclass
    class Positive:
        n: int

        def __post_init__(self) -> None:
            if self.n < 0:
                raise ValueError(f"secret {self.n}")

    with pytest.raises(Misfit, match="Positive refuses it: ValueError"):
        Codec().shape(Positive).load({"n": -1}, "it")


@pytest.mark.parametrize("annotation", [Socket, list[Socket], complex])
def test_a_type_that_json_cannot_hold_is_unknown(annotation: Any) -> None:
    with pytest.raises(UnknownTypeError, match=r"Socket|complex"):
        Codec().shape(annotation)


@pytest.mark.parametrize("annotation", [datetime | date, date | datetime, date | None | datetime])
@pytest.mark.parametrize(
    "value", [date(2026, 1, 2), datetime(2026, 1, 2), datetime(2026, 1, 2, 3, tzinfo=UTC)]
)
def test_a_date_stays_one_beside_a_datetime(annotation: Any, value: date) -> None:
    shape = Codec().shape(annotation)
    assert (read := shape.load(shape.dump(value, "x"), "x")) == value
    assert type(read) is type(value)


@pytest.mark.parametrize("annotation", [bytes | str, str | bytes | None, Path | bytes])
def test_bytes_and_text_are_not_told_apart_so_that_they_are_no_union(annotation: Any) -> None:
    with pytest.raises(UnknownTypeError, match="both text in JSON"):
        Codec().shape(annotation)


T = TypeVar("T")
U = TypeVar("U")


@dataclass
class Page(Generic[T]):
    items: list[T]
    following: Page[T] | None = None


@dataclass
class Titled(Page[T], Generic[T, U]):
    title: U | None = None


@dataclass
class Days(Page[date]):
    count: int = 0


@dataclass
class Book(Generic[T]):
    page: Page[T]
    by_name: dict[str, T]


class Box(TypedDict, Generic[T]):
    inside: T


DAY = date(2026, 1, 2)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Page[date], Page([DAY], Page([DAY]))),
        (list[Page[date]], [Page([DAY])]),
        (Page[Page[date]], Page([Page([DAY])])),
        (Titled[date, UUID], Titled([DAY], None, ID)),
        (Days, Days([DAY], None, 1)),
        (Book[date], Book(Page([DAY]), {"a": DAY})),
        (Box[date], {"inside": DAY}),
        (Page, Page([1])),
    ],
)
def test_a_generic_class_holds_what_it_is_said_to_hold(annotation: Any, value: Any) -> None:
    shape = Codec().shape(annotation)
    assert shape.load(json.loads(json.dumps(shape.dump(value, ""))), "") == value


def test_a_generic_class_refuses_what_it_is_not_said_to_hold() -> None:
    codec, wrong = Codec(), Page[Any]([1], Page(["a"]))
    with pytest.raises(Misfit, match="expected int, got str") as refused:
        codec.shape(Page[int]).dump(wrong, "it")
    assert refused.value.at == "it.following.items[0]"
    assert codec.shape(Page[str]).load({"items": ["a"]}, "it") == Page(["a"])


@pytest.mark.parametrize("key", [tuple[int, int], None, list[int], Page[int], str | None])
def test_a_key_that_no_text_tells_is_refused(key: Any) -> None:
    with pytest.raises(UnknownTypeError, match="as a key"):
        Codec().shape(dict[key, int])


class Odd(Enum):
    PAIR = (1, 2)
    PLAIN = 1


def test_a_member_whose_value_json_has_not_is_refused() -> None:
    shape = Codec().shape(Odd)
    assert shape.load(shape.dump(Odd.PLAIN, "it"), "it") is Odd.PLAIN
    with pytest.raises(Misfit, match=r"JSON cannot tell Odd\.PAIR"):
        shape.dump(Odd.PAIR, "it")


@dataclass
class Fleeting:
    kept: int
    gone: InitVar[int]


def test_a_dataclass_that_does_not_keep_what_it_is_made_of_is_refused() -> None:
    with pytest.raises(UnknownTypeError, match="Fleeting, whose gone is gone once it is made"):
        Codec().shape(Fleeting)
