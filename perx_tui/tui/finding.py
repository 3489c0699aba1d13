"""Finding one of many names by a few of its letters."""

from __future__ import annotations


def rank(name: str, leaf: str, words: str, typed: str) -> int | None:
    """How likely `typed` (lower case, without spaces) means `name`: 0 the likeliest, None not at all.

    The letters in a row in the last part of the name are likelier than in a row anywhere, those likelier than the
    letters in order, and those likelier than letters that only the explaining `words` have.
    """
    if not typed:
        return 0
    if typed in leaf:
        return 0 if leaf.startswith(typed) else 1
    if typed in name:
        return 2
    letters = iter(name)
    if all(letter in letters for letter in typed):
        return 3
    return 4 if typed in "".join(words.lower().split()) else None
