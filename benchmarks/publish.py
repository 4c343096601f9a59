"""Shows the goals and pictures of a kept run in the documentation."""

from __future__ import annotations

from pathlib import Path

from benchmarks.record import read
from benchmarks.report import summary

PAGE = Path(__file__).parent.parent / "docs" / "guide" / "benchmarks.md"
BEGIN, END = "<!-- results -->", "<!-- end of results -->"


def publish(folder: Path, page: Path = PAGE) -> None:
    """Replace what stands between the two marks of the page."""
    record = read(folder)
    text = page.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    place = Path("../..") / folder.relative_to(page.parent.parent.parent)
    shown = [part.replace("](", f"]({place}/").replace("## ", "### ") for part in summary(folder, record)]
    about = record.about
    machine = f"{about['processors']} processors ({about['processor']})"
    began = f"Measured {about['at']} on {machine}, {about['redis']}."
    page.write_text("\n\n".join([before + BEGIN, began, *shown, END]) + after, "utf-8")
