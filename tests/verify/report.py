"""What a verification reached, as a table to read and as a file to quote.

A report is `reports/NAME.json`: {"name": …, "figures": {label: value, …}, "failed": true or false}.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeAlias

Figure: TypeAlias = int | float | str

REPORTS: Final = Path(__file__).parents[2] / "reports"


def write_report(name: str, figures: Mapping[str, Figure], failed: bool) -> Path:
    """Write the report of that name, in place of an older one. Returns its path."""
    REPORTS.mkdir(exist_ok=True)
    path = REPORTS / f"{name}.json"
    report = {"name": name, "figures": dict(figures), "failed": failed}
    path.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return path


def print_table(name: str, figures: Mapping[str, Figure], failed: bool) -> None:
    """Print a report: its name and how it ended, then a figure a line."""
    width = max(map(len, figures), default=0)
    lines = [f"{name}: {'FAILED' if failed else 'passed'}"]
    lines += [f"  {label:<{width}}  {_shown(value)}" for label, value in figures.items()]
    sys.stdout.write("\n".join(lines) + "\n")


def _shown(value: Figure) -> str:
    match value:
        case int():
            return f"{value:,}".replace(",", " ")
        case float():
            return f"{value:,.2f}".replace(",", " ")
        case str():
            return value
