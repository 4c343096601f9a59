"""Printing: facts as JSON, or as tables for people. What a table says is decided elsewhere."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, TextIO, TypeAlias

from asynq_py.cli.plain import plain
from asynq_py.cli.wording import NOTHING, printable

if TYPE_CHECKING:
    from rich.console import Console, JustifyMethod, RenderableType

Cell: TypeAlias = "str | int | None"
LEAST: Final = 36  # columns that an ID takes
WIDE: Final = 100_000  # columns of what is no terminal: there nothing is wrapped or cut


@dataclass(frozen=True, slots=True)
class Table:
    """`empty`: what is said when there are no rows."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    title: str = ""
    empty: str = "nothing"


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and values, one a line."""

    pairs: Sequence[tuple[str, Cell]]
    title: str = ""


Block: TypeAlias = "Table | Facts | str"


def print_json(document: object) -> None:
    """One JSON document on one line if nobody looks, else indented."""
    indent = 2 if sys.stdout.isatty() else None
    sys.stdout.write(json.dumps(plain(document), indent=indent, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def print_blocks(blocks: Sequence[Block]) -> None:
    screen = console(sys.stdout)
    before: Block | None = None
    for block in blocks:
        if before is not None and not (isinstance(before, str) and isinstance(block, str)):
            screen.print()
        screen.print(_drawn(block))
        before = block
    sys.stdout.flush()


def console(stream: TextIO) -> Console:
    """Where to print. Neither colours nor cursor movements without a terminal, or with `NO_COLOR`."""
    from rich.console import Console

    is_plain = bool(os.environ.get("NO_COLOR")) or not stream.isatty()
    width = None if stream.isatty() or "COLUMNS" in os.environ else WIDE
    return Console(
        file=stream,
        width=width,
        color_system=None if is_plain else "auto",
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=False,
    )


class Screen(Protocol):
    def show(self, blocks: Sequence[Block]) -> None: ...


@contextmanager
def live() -> Iterator[Screen]:
    """A picture that is drawn again and again; where there is no terminal, one after the other."""
    from rich.console import Group
    from rich.live import Live

    class _Live:
        def show(self, blocks: Sequence[Block]) -> None:
            spaced: list[RenderableType] = []
            for block in blocks:
                spaced += [_drawn(block), ""]
            picture.update(Group(*spaced), refresh=True)

    class _Lines:
        def show(self, blocks: Sequence[Block]) -> None:
            print_blocks([*blocks, ""])

    if not sys.stdout.isatty():
        yield _Lines()
        return
    with Live(console=console(sys.stdout), auto_refresh=False, screen=True) as picture:
        yield _Live()


def _drawn(block: Block) -> RenderableType:
    from rich import box
    from rich.console import Group
    from rich.table import Table as RichTable
    from rich.text import Text

    match block:
        case str():
            return Text(printable(block))
        case Facts(pairs, title):
            grid = RichTable.grid(padding=(0, 2, 0, 0))
            grid.add_column(no_wrap=True, style="bold")
            grid.add_column(overflow="fold")
            for name, value in pairs:
                grid.add_row(name, Text(_cell(value)))
            return Group(Text(title, style="bold underline"), grid) if title else grid
        case Table(columns, rows, title, empty):
            if not rows:
                return Text(f"{title}: {empty}" if title else empty)
            drawn = RichTable(
                box=box.SIMPLE_HEAD, title=title or None, title_justify="left", title_style="bold underline",
                header_style="bold", pad_edge=False,
                show_edge=False, padding=(0, 1, 0, 0),
            )  # fmt: skip
            for at, name in enumerate(columns):
                is_number = all(isinstance(row[at], int) for row in rows)
                # where a terminal is too narrow, neither numbers nor what leads a row are broken
                least = len(name) if is_number else 0
                if at == 0:
                    least = min(LEAST, max(len(_cell(row[0])) for row in rows))
                justify: JustifyMethod = "right" if is_number else "left"
                drawn.add_column(name, justify=justify, overflow="fold", min_width=least)
            for row in rows:
                drawn.add_row(*(Text(_cell(value)) for value in row))
            return drawn


def _cell(value: Cell) -> str:
    return NOTHING if value is None else printable(str(value))
