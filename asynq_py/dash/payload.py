"""What people can read of a payload or result: JSON spread out, text, else a hex dump. Pure, and bounded."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

JSON_LIMIT: Final = 256 * 1024  # bytes that are parsed at most, as that is done between two frames
TEXT_LIMIT: Final = 32 * 1024  # characters that are shown at most
HEX_LIMIT: Final = 2 * 1024  # bytes that are shown at most
_PER_LINE: Final = 16


@dataclass(frozen=True, slots=True)
class Readable:
    """`kind`: nothing, JSON, text or binary. `size`: all its bytes. `is_cut`: there is more than `text`."""

    kind: str
    size: int
    text: str
    is_cut: bool = False

    @property
    def title(self) -> str:
        cut = ", cut" if self.is_cut else ""
        return self.kind if self.kind == "nothing" else f"{self.kind}, {self.size:,} bytes{cut}"


def readable(data: bytes | None) -> Readable:
    """Decode for people."""
    if not data:
        return Readable("nothing", 0, "")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return Readable("binary", len(data), _dump(data[:HEX_LIMIT]), len(data) > HEX_LIMIT)
    if not _is_text(text):
        return Readable("binary", len(data), _dump(data[:HEX_LIMIT]), len(data) > HEX_LIMIT)
    spread = _spread(text) if len(data) <= JSON_LIMIT else None
    shown = text if spread is None else spread
    kind = "text" if spread is None else "JSON"
    return Readable(kind, len(data), shown[:TEXT_LIMIT], len(shown) > TEXT_LIMIT)


def _spread(text: str) -> str | None:
    try:
        spread = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return None
    return spread if _is_text(spread) else None  # what was escaped would be told as it is


def _is_text(text: str) -> bool:
    """A few control characters may be anywhere; what would steer the terminal makes it binary."""
    return all(char.isprintable() or char in "\n\r\t" for char in text)


def _dump(data: bytes) -> str:
    return "\n".join(_line(at, data[at : at + _PER_LINE]) for at in range(0, len(data), _PER_LINE))


def _line(at: int, part: bytes) -> str:
    seen = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
    return f"{at:08x}  {part.hex(' '):<{_PER_LINE * 3 - 1}}  {seen}"
