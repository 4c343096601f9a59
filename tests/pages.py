"""Pages of docs/ whose tables name the tests that show what they say."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text("utf-8")


def rows(text: str, *, begin: str) -> list[tuple[str, ...]]:
    """The cells of all rows whose first cell begins so."""
    return [
        tuple(cell.strip() for cell in line.strip("|").split("|"))
        for line in text.splitlines()
        if line.startswith(f"| {begin}")
    ]


def cited(text: str) -> list[tuple[str, str]]:
    """Path and name of each test that is named, in order."""
    return re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", text)


def is_defined(path: str, name: str) -> bool:
    file = ROOT / path
    return file.is_file() and bool(
        re.search(rf"^(async )?def {name}\(", file.read_text("utf-8"), re.MULTILINE)
    )
