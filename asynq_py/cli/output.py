"""Printing: facts as JSON, or as tables for people. What a table says is decided elsewhere."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, TextIO, TypeAlias

from asynq_py.cli.layout import widths
from asynq_py.cli.plain import plain
from asynq_py.cli.wording import NOTHING, printable

if TYPE_CHECKING:
    from rich.console import Console, JustifyMethod, RenderableType

Cell: TypeAlias = "str | int | None"
GAP: Final = 2  # blanks between columns
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

    @classmethod
    def known(cls, pairs: Iterable[tuple[str, Cell]], *, title: str) -> Facts:
        """Leave out what has no value."""
        return cls([pair for pair in pairs if pair[1] not in (None, NOTHING)], title)


Block: TypeAlias = "Table | Facts | str"


def print_json(document: object) -> None:
    """One JSON document on one line if nobody looks, else indented."""
    indent = 2 if sys.stdout.isatty() else None
    is_ascii = not sys.stdout.encoding.lower().startswith("utf")  # then each escape is one of JSON's
    sys.stdout.write(_visible(json.dumps(plain(document), indent=indent, ensure_ascii=is_ascii)) + "\n")
    sys.stdout.flush()


def _visible(document: str) -> str:
    """Escape what JSON may hold as it is, but would steer a terminal, or turn text around."""
    if document.isprintable():
        return document
    return "".join(
        char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in document
    )


def print_blocks(blocks: Sequence[Block]) -> None:
    screen = console(sys.stdout, width=WIDE)  # what is still too long, the terminal itself wraps
    before: Block | None = None
    for block in blocks:
        if before is not None and not (isinstance(before, str) and isinstance(block, str)):
            screen.print()
        screen.print(_drawn(block, _room(sys.stdout)))
        before = block
    sys.stdout.flush()


def _room(stream: TextIO) -> int:
    is_limited = stream.isatty() or "COLUMNS" in os.environ
    return shutil.get_terminal_size().columns if is_limited else WIDE


def console(stream: TextIO, *, width: int | None = None) -> Console:
    """Where to print. Neither colours nor cursor movements without a terminal, or with `NO_COLOR`."""
    from rich.console import Console

    is_plain = bool(os.environ.get("NO_COLOR")) or not stream.isatty()
    width = width or _room(stream)
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
                spaced += [_drawn(block, _room(sys.stdout)), ""]
            picture.update(Group(*spaced), refresh=True)

    class _Lines:
        def show(self, blocks: Sequence[Block]) -> None:
            print_blocks([*blocks, ""])

    if not sys.stdout.isatty():
        yield _Lines()
        return
    with Live(console=console(sys.stdout), auto_refresh=False, screen=True) as picture:
        yield _Live()


def _drawn(block: Block, room: int) -> RenderableType:
    from rich.text import Text

    match block:
        case str():
            return Text(printable(block))
        case Facts():
            return _drawn_facts(block, room)
        case Table(rows=rows, title=title, empty=empty) if not rows:
            return Text(f"{printable(title)}: {empty}" if title else empty)
        case Table():
            return _drawn_table(block, room)


def _drawn_facts(facts: Facts, room: int) -> RenderableType:
    from rich.console import Group
    from rich.table import Table as Grid
    from rich.text import Text

    grid = Grid.grid(padding=(0, GAP, 0, 0))
    names = max((len(name) for name, _ in facts.pairs), default=0)
    grid.add_column(no_wrap=True, style="bold")
    grid.add_column(overflow="fold", max_width=max(20, room - names - 2 * GAP))
    for name, value in facts.pairs:
        grid.add_row(name, Text(_cell(value)))
    return Group(Text(printable(facts.title), style="bold underline"), grid) if facts.title else grid


def _drawn_table(table: Table, room: int) -> RenderableType:
    from rich import box
    from rich.cells import cell_len
    from rich.table import Table as Drawn
    from rich.text import Text

    drawn = Drawn(
        box=box.SIMPLE_HEAD,
        title=printable(table.title) or None,
        title_justify="left",
        title_style="bold underline",
        header_style="bold",
        pad_edge=False,
        show_edge=False,
        padding=(0, GAP - 1, 0, 0),
    )
    rows = [[_cell(value) for value in row] for row in table.rows]
    headers = [cell_len(name) for name in table.columns]
    natural = [max(header, *(cell_len(row[at]) for row in rows)) for at, header in enumerate(headers)]
    numbers = [all(isinstance(row[at], int) for row in table.rows) for at in range(len(headers))]
    given = widths(natural, headers, numbers, room, GAP)
    for name, width, is_number in zip(table.columns, given, numbers, strict=True):
        justify: JustifyMethod = "right" if is_number else "left"
        drawn.add_column(name, justify=justify, overflow="fold", width=width)
    for row in rows:
        drawn.add_row(*map(Text, row))
    return drawn


def _cell(value: Cell) -> str:
    return NOTHING if value is None else printable(str(value))
