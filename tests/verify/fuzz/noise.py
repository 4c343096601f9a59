"""Parts of which inputs are made: bytes, texts and numbers as no one means them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final

NUMBERS: Final = (
    "0", "1", "-1", "00", "+1", "1.5", ".5", "5.", "1e9", "1e400", "-0", "nan", "inf", "-inf", "0x10", "1_0",
    "2147483647", "2147483648", "-2147483649", "9223372036854775807", "9223372036854775808", "9" * 30,
    "9" * 400, "9" * 5000, "٣", "\uff11\uff12", "²", "1 000", "",
)  # fmt: skip
TEXTS: Final = (
    "", " ", "\t", "\n", "\r\n", "\0", "\x1b[2J", "\x7f", "\x85", "\u2028", "\u202e", "\ufeff", "é",
    "e\u0301", "😀", "\ud800", "\udcff", "{", "}", "{}", "[", "(", ")", "'", '"', "\\", "%", "%s", "%00",
    "%zz", "${HOME}", "../..", "/", "//", ":", "::", "@", "?", "#", "&", "=", ",", ";", "*", "-", "--",
    "--help", "a", "default", "a" * 255, "a" * 256, "a" * 70_000, "\uff41", "None", "null", "true", "[]",
    "[" * 2000,
)  # fmt: skip


def number(random: random.Random) -> str:
    if random.random() < 0.5:
        return random.choice(NUMBERS)
    return str(random.randint(-(10**3), 10**4) if random.random() < 0.8 else random.getrandbits(70))


def text(random: random.Random, alphabet: str = "") -> str:
    """A text of any kind. `alphabet`: what it is likely made of."""
    kind = random.random()
    if kind < 0.3:
        return random.choice(TEXTS)
    if kind < 0.6 and alphabet:
        return "".join(random.choices(alphabet, k=random.randint(0, 20)))
    if kind < 0.9:
        return "".join(chr(random.randint(32, 126)) for _ in range(random.randint(0, 20)))
    return "".join(
        chr(random.choice((random.randint(0, 0x2FF), random.randint(0, 0x10FFFF)))) for _ in range(8)
    )


def mutated(random: random.Random, good: str, alphabet: str = "") -> str:
    """A good text with some places changed."""
    parts = list(good)
    for _ in range(random.randint(1, 3)):
        at = random.randint(0, len(parts))
        change = random.random()
        if change < 0.3:
            parts[at : at + random.randint(1, 4)] = []
        elif change < 0.6:
            parts[at:at] = list(text(random, alphabet)[:300])
        elif change < 0.8:
            parts[at:at] = list(number(random))
        else:
            parts[at : at + 1] = parts[:at][-random.randint(1, 5) :]
    return "".join(parts)


def some(random: random.Random, makers: Sequence[Callable[[random.Random], str]]) -> str:
    return random.choice(makers)(random)


def mutated_bytes(random: random.Random, good: bytes) -> bytes:
    """Good bytes cut off, with bits flipped, parts left out, told twice, or noise put in."""
    data = bytearray(good)
    for _ in range(random.randint(1, 4)):
        at = random.randint(0, len(data))
        change = random.random()
        if change < 0.15:
            del data[at:]
        elif change < 0.45 and data:
            place = random.randrange(len(data))
            data[place] ^= 1 << random.randrange(8)
        elif change < 0.6:
            del data[at : at + random.randint(1, 5)]
        elif change < 0.75:
            data[at:at] = data[at : at + random.randint(1, 20)]
        elif change < 0.9:
            data[at:at] = random.randbytes(random.randint(1, 5))
        else:
            data[at:at] = b"\xff" * random.randint(1, 11)
    return bytes(data)
