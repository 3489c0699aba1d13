"""Reading KEY=VALUE, the form of `--set`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import tomli

from engine.errors import ProfileError
from engine.profile.tree import Path, merged, nested
from engine.profile.wording import printable

BARE_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]*")
"""What may stand without quotes: cosine, cuda:0, perx-dark."""


def parse_sets(sets: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """The tree that `sets` describe, a later one over an earlier one, and what is wrong with those that say nothing."""
    tree: dict[str, Any] = {}
    problems: list[str] = []
    for text in sets:
        try:
            path, value = parse_set(text)
        except ProfileError as error:
            problems += error.problems
        else:
            tree = merged(tree, nested(path, value))
    return tree, problems


def parse_set(text: str) -> tuple[Path, object]:
    """Key path and value of one KEY=VALUE."""
    place = f"--set {printable(text)}"
    key, equals, value = text.partition("=")
    if not equals:
        raise ProfileError(f"{place}: has no =; write KEY=VALUE, e.g. --set train.learning_rate=0.01")
    path = parse_key(key.strip())
    if not all(path):
        raise ProfileError(f"{place}: has no key before the =; write e.g. --set train.learning_rate=0.01")
    value = value.strip()
    if not value:
        raise ProfileError(f"{place}: has no value after the =; write e.g. --set {printable(key)}=VALUE")
    return path, parse_value(value, place)


def parse_key(key: str) -> Path:
    """The path of a dotted key."""
    # No key has more than three parts: what is left over stays in the last one and is refused as unknown.
    return tuple(part.strip() for part in key.split(".", 3))


def parse_value(value: str, place: str) -> object:
    """`value` in TOML syntax; a word without quotes is text."""
    try:
        document = tomli.loads(f"value = {value}")
    except (ValueError, RecursionError):
        document = {}
    if list(document) == ["value"]:
        return document["value"]
    if BARE_WORD.fullmatch(value):
        return value
    raise ProfileError(
        f"{place}: {printable(value)} is not a TOML value; write a number, true, false, a word or '\"text\"'"
    )
