"""Values and texts that nobody sensible writes, drawn by a seeded generator: what the fuzzers put into their inputs."""

from __future__ import annotations

import math
from random import Random
from typing import Any

TEXTS = (
    "",
    " ",
    "breakout",
    "cuda:0",
    "nan",
    "\x1b[31mred\x1b[0m",
    "[bold]markup[/bold]",
    "line\nbreak",
    "\r\x00\x07",
    "\u202egnp.exe",
    "ﬀ ﬃ Ω Å",
    "e\u0301\u0327" * 20,
    "👩‍👩‍👧‍👦" * 30,
    "\ud800".encode("utf-16", "surrogatepass").decode("utf-16", "replace"),
    "../../../../etc/passwd",
    "/dev/zero",
    "$(id)",
    "x" * 5_000,
    "%s%n{0}{self}",
    "__class__",
)
INTEGERS = (0, -1, 1, 2, 3, 2**31 - 1, 2**31, -(2**31), 2**63 - 1, 2**63, -(2**63) - 1, 2**64, 10**30, 10**400)
FLOATS = (0.0, -0.0, 1.0, -1.0, 1e-320, 5e-324, 1e308, -1e308, math.inf, -math.inf, math.nan, 0.1 + 0.2, 1 - 2**-53)
TOML_VALUES = (
    "true",
    "True",
    "nan",
    "-inf",
    "+inf",
    "1e400",
    "-0",
    "00",
    "0x7fffffffffffffff",
    "0b1",
    "0o17",
    "1_000",
    "1__0",
    "1.",
    ".5",
    "5e",
    "1979-05-27T07:32:00Z",
    "1979-05-27",
    "25:00:00",
    "07:32:00",
    "'''a\nb'''",
    '"\\u0000"',
    '"\\ud800"',
    '"\\x41"',
    '"unclosed',
    "[]",
    "[[]]",
    "{}",
    "{a = 1}",
    "[1, 'a', {b = []}]",
    "{a.b.c = 1, a.b.d = 2}",
    "9" * 400,
    "9" * 5_000,
    "1e-5000",
    "#",
    "",
    "\t",
    "=",
    "cosine",
    '"cosine',
    "\x7f",
    "\ufeff1",
)


def text(random: Random) -> str:
    """Some text: an awkward one, or characters from anywhere in Unicode (no surrogates: no UTF-8 holds them)."""
    if random.random() < 0.5:
        return random.choice(TEXTS)
    ranges = ((32, 127), (0, 128), (0, 0xD800), (0xE000, 0x110000))
    return "".join(chr(random.randrange(*random.choice(ranges))) for _ in range(random.choice((1, 3, 8, 40))))


def value(random: Random, depth: int = 3) -> Any:
    """A number, text, truth value, or a list or mapping of such."""
    kind = random.randrange(9 if depth else 6)
    if kind < 2:
        return random.choice(INTEGERS) + random.choice((0, 0, 1, -1))
    if kind < 4:
        return random.choice(FLOATS) if random.random() < 0.7 else random.uniform(-1e6, 1e6)
    if kind == 4:
        return text(random)
    if kind == 5:
        return random.random() < 0.5
    if kind < 8:
        return [value(random, depth - 1) for _ in range(random.randrange(4))]
    return {text(random): value(random, depth - 1) for _ in range(random.randrange(4))}


def nested(random: Random, opening: str, closing: str) -> str:
    """Brackets in brackets, closed or not."""
    depth = random.choice((5, 50, 500, 3_000, 100_000))
    return opening * depth + (closing * depth if random.random() < 0.7 else "")


def mutated(random: Random, data: bytes) -> bytes:
    """`data` with some bytes changed, lost, repeated, moved or put in."""
    found = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 5, 20))):
        place = random.randrange(len(found) + 1)
        length = random.choice((1, 1, 2, 8, 60))
        match random.randrange(6):
            case 0 if place < len(found):
                found[place] ^= 1 << random.randrange(8)
            case 1:
                del found[place : place + length]
            case 2:
                found[place:place] = random.randbytes(length)
            case 3:
                found[place:place] = found[place : place + length]
            case 4:
                source = random.randrange(len(found) + 1)
                found[place : place + length] = found[source : source + length]
            case _:
                found[place:place] = random.choice(
                    (b"[", b"]", b"{", b"}", b'"', b"=", b".", b"\n", b"\0", b"\xff", b"-")
                )
    return bytes(found)
