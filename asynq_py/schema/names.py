"""Names of types in other languages, made of those of tasks, classes and fields. Pure."""

from __future__ import annotations

import re
from collections.abc import Container
from typing import Final

# words that Go writes in capitals
_INITIALS: Final = frozenset(
    {
        *(
            "API",
            "CPU",
            "CSS",
            "DNS",
            "HTML",
            "HTTP",
            "HTTPS",
            "ID",
            "IP",
            "JSON",
            "SQL",
            "SSH",
            "TLS",
            "TTL",
        ),
        *("UI", "UID", "URI", "URL", "UUID", "XML"),
    }
)
_WORD: Final = re.compile(r"[^\W_]+")
_HUMP: Final = re.compile(r"(?<=[^\W\dA-Z_])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def pascal(text: str) -> str:
    """`image:resize_all` → `ImageResizeAll`, `user_id` → `UserID`. Never empty, never begins with a digit."""
    words = _WORD.findall(_HUMP.sub(" ", text))
    name = "".join(
        word.upper() if word.upper() in _INITIALS else word[:1].upper() + word[1:] for word in words
    )
    return name if name and not name[0].isdigit() else f"X{name}"


def unique(name: str, taken: Container[str]) -> str:
    """The name, with a number behind it if it is taken."""
    number, chosen = 1, name
    while chosen in taken:
        number += 1
        chosen = f"{name}{number}"
    return chosen
