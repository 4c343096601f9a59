"""Bands: Django's priorities as queues. Beside each there is one for what is urgent, one for what is not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

HIGH: Final = ":high"
LOW: Final = ":low"
WEIGHTS: Final = {HIGH: 6, "": 3, LOW: 1}  # how often each is asked first, where all have tasks


def band_of(queue: str, priority: int) -> str:
    """The queue on the wire."""
    return queue + (HIGH if priority > 0 else LOW if priority < 0 else "")


def queue_of(band: str) -> str:
    """The queue that Django knows."""
    return band.removesuffix(HIGH).removesuffix(LOW)


def with_bands(queues: Mapping[str, int]) -> dict[str, int]:
    """Let the bands of a queue share its weight. A band that is named itself is left as it is."""
    found: dict[str, int] = {}
    for queue, weight in queues.items():
        if queue_of(queue) != queue:
            found[queue] = weight * WEIGHTS[""]
        else:
            found |= {queue + suffix: weight * share for suffix, share in WEIGHTS.items()}
    return found


def places(queues: Iterable[str]) -> list[str]:
    """Where to look for a task; most are in no band."""
    known = list(queues)
    return known + [queue + suffix for queue in known for suffix in (HIGH, LOW)]
