"""How values and keys appear in a message: short, printable, one line, whatever a file holds."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from math import isfinite

LONGEST = 60
"""Characters of a value, a key or a name that a message shows."""


def printable(text: str, longest: int = LONGEST) -> str:
    """`text` on one line without control characters, so that no file can write escape codes to a terminal."""
    cut = text if len(text) <= longest else text[: longest - 3] + "..."
    return "".join(character if character.isprintable() else _escaped(character) for character in cut)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def shown(value: object) -> str:
    """`value` as TOML would write it; tables, arrays and numbers too long to read only by their kind."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value:_}" if abs(value) >= 10_000 and abs(value) < 10**20 else _plain(value)
    if isinstance(value, float):
        return repr(value) if isfinite(value) else str(value)
    if isinstance(value, str):
        return '"' + printable(value) + '"'
    if isinstance(value, dict):
        return "{...}" if value else "{}"
    if isinstance(value, list | tuple):
        return "[...]" if value else "[]"
    return printable(str(value))


def _plain(value: int) -> str:
    # Python refuses to print an integer of more than 4300 digits; nobody reads one of more than 20.
    return str(value) if value.bit_length() <= 64 else "an integer of more than 64 bits"


def listed(words: Iterable[str], last: str = "or", most: int = 12) -> str:
    """`a, b or c`; of more than `most` words the first ones and how many more there are."""
    all_words = list(words)
    if len(all_words) > most:
        all_words[most - 1 :] = [f"{len(all_words) - most + 1} more"]
    return f"{', '.join(all_words[:-1])} {last} {all_words[-1]}" if len(all_words) > 1 else "".join(all_words)


def closest(word: str, choices: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The choice that `word` was probably meant to be, or None. The initials of a choice are good for it (lr)."""
    if len(word) > 2 * LONGEST:  # matching is quadratic in the length, and no key is that long
        return None
    lowered = word.lower()
    by_lower = {choice.lower(): choice for choice in choices}
    for choice in by_lower:
        if "_" in choice and lowered == "".join(part[:1] for part in choice.split("_")):
            return by_lower[choice]
    matches = difflib.get_close_matches(lowered, by_lower, n=1, cutoff=cutoff)
    return by_lower[matches[0]] if matches else None
