"""An app with one of everything that a payload may hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, TypedDict
from uuid import UUID

import msgspec
import pydantic

from asynq_py import App

app = App(queue="shop")


class Color(Enum):
    RED = "red"
    DARK_BLUE = "dark blue"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Point(NamedTuple):
    x: float
    y: float


@dataclass
class Category:
    name: str
    below: list[Category] = field(default_factory=list)


@dataclass
class Order:
    id: UUID
    lines: list[Category]
    placed_at: datetime
    note: str | None = None


class Options(TypedDict):
    color: Color
    size: NotRequired[int]


class Struct(msgspec.Struct):
    x: int
    y: Annotated[int, msgspec.Meta(ge=3)] = 4


class Inner(pydantic.BaseModel):
    z: float


class Model(pydantic.BaseModel):
    at: datetime
    inner: Inner | None = None
    parts: list[Inner] = []


@app.task
async def scalars(
    user_id: int,
    price: float,
    is_gift: bool,
    name: str,
    at: datetime,
    day: date,
    hour: time,
    span: timedelta,
    key: UUID,
    sum: Decimal,
    path: Path,
    data: bytes,
    nothing: None,
) -> str:
    """Take one of each.

    More is not told.
    """
    return name


@app.task
async def containers(
    tags: list[str],
    seen: set[int],
    frozen: frozenset[str],
    many: tuple[int, ...],
    pair: tuple[int, str],
    point: Point,
    counts: dict[str, int],
    by_id: Mapping[int, Sequence[str]],
    options: Options,
) -> dict[str, list[Category]]:
    return {}


@app.task
async def choices(
    color: Color,
    level: Level,
    word: Literal["a", "b"],
    mixed: Literal["a", 1],
    either: int | str,
    maybe: str | None,
    anything: Any,
    later: str | None = None,
    flag: bool = False,
    shade: Color = Color.RED,
) -> Color | None:
    return color


@app.task(name="order:ship", aliases=["ship_order"], queue="ships")
async def ship(order: Order) -> Order:
    return order


@app.task
async def structs(one: Struct, model: Model, inner: Inner | None = None) -> Model:
    return model


@app.task
async def struct(one: Struct) -> None: ...


@app.task
async def no_arguments(): ...  # type: ignore[no-untyped-def]
