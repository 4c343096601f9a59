"""Which queue is asked for how many tasks: strict or weighted. Pure. Behaviour 5.3."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence


class QueueOrder:
    """Divides free slots among queues, whose weights are shares.

    `choose`: as random.choices; tests give their own.
    """

    def __init__(
        self,
        weights: Mapping[str, int],
        *,
        strict: bool,
        choose: Callable[..., list[str]] = random.choices,
    ) -> None:
        self._names = sorted(weights, key=lambda name: -weights[name])
        self._weights = [weights[name] for name in self._names]
        self._strict = strict or len(weights) == 1
        self._choose = choose

    @property
    def names(self) -> Sequence[str]:
        return self._names

    def share(self, free: int, empty: set[str]) -> list[tuple[str, int]]:
        """Say which queues to ask for how many tasks, in order, given those already found empty.

        Strict: the first that may have tasks, for all of them. Weighted: each slot is drawn by weight. What a
        queue cannot fill is shared out again, so slots never stay free while any queue has tasks.
        """
        names = [name for name in self._names if name not in empty]
        if not names:
            return []
        if self._strict or len(names) == 1:
            return [(names[0], free)]
        weights = [
            weight for name, weight in zip(self._names, self._weights, strict=True) if name not in empty
        ]
        return list(Counter(self._choose(names, weights, k=free)).items())
