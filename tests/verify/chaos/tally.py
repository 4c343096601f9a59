"""What a verdict is made of."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.verify.report import Figure


@dataclass(slots=True)
class Verdict:
    """`figures`: all, by label. `broken`: examples by the label of a promise that was not kept."""

    figures: dict[str, Figure] = field(default_factory=dict)
    broken: dict[str, list[str]] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        return bool(self.broken)

    def none_of(self, label: str, found: list[str]) -> None:
        """A promise: there is none of these."""
        self.figures[label] = len(found)
        if found:
            self.broken[label] = found
