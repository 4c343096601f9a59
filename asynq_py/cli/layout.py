"""How wide the columns of a table are on a terminal that is too narrow for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

ID: Final = 36  # what an ID takes: it is of no use in two pieces
TEXT: Final = 10  # a column of text is not made narrower than this


def widths(
    natural: Sequence[int], headers: Sequence[int], numbers: Sequence[bool], available: int, gap: int
) -> list[int]:
    """Take from the widest columns of text, until the table fits or nothing more can be taken.

    `natural`: what each column would take. `headers`: what its name takes. Neither numbers nor IDs that lead
    the rows are broken, so the table may still be too wide.
    """
    found = list(natural)
    least = [
        width if is_number else min(width, max(header, TEXT))
        for width, header, is_number in zip(natural, headers, numbers, strict=True)
    ]
    least[0] = min(natural[0], max(headers[0], ID))
    excess = sum(found) + gap * (len(found) - 1) - available
    while excess > 0:
        room = [width - few for width, few in zip(found, least, strict=True)]
        if not any(room):
            break
        widest = max((at for at in range(len(found)) if room[at]), key=lambda at: found[at])
        found[widest] -= 1
        excess -= 1
    return found
