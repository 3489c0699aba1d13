"""Editing settings while a run trains: text to values, finding a setting by a few of its letters, what was changed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from engine import FieldInfo
from perx_tui.tui.finding import rank


@dataclass(frozen=True, slots=True)
class Edit:
    """One change, with the step of the run at which it was asked for."""

    key: str
    old: object
    new: object
    step: int
    undo: bool = False
    """It took an earlier change back."""


class Edits:
    """The changes of this session, oldest first, and which of them can be taken back."""

    def __init__(self) -> None:
        self.made: list[Edit] = []
        self._undoable: list[Edit] = []

    def add(self, edit: Edit) -> None:
        """Remember a change; undoing goes from the newest to the oldest, each once."""
        self.made.append(edit)
        if edit.undo:
            self._undoable.pop()
        else:
            self._undoable.append(edit)

    @property
    def last(self) -> Edit | None:
        """The change that undoing would take back."""
        return self._undoable[-1] if self._undoable else None


def spell(value: object) -> str:
    """A value as it is written in a profile, without quotes."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def parse(info: FieldInfo, text: str) -> object:
    """The value that `text` stands for. ValueError says what the value must be.

    Only the form is checked here: range and the other settings are the profile's matter.
    """
    text = text.strip()
    try:
        if info.type == "bool":
            return {"true": True, "false": False}[text]
        if info.type == "int":
            return _whole(text)
        if info.type == "float":
            number = float(text)
            if not math.isfinite(number):
                raise ValueError
            return number
    except (ValueError, KeyError, OverflowError):
        raise ValueError(f"must be {info.expectation}") from None
    return text


def _whole(text: str) -> int:
    """A whole number, also as "8e6"."""
    try:
        return int(text)
    except ValueError:
        number = float(text)
        if number != int(number):
            raise
        return int(number)


def alternatives(info: FieldInfo) -> tuple[str, ...]:
    """The only values a setting can take, where they are words."""
    return ("true", "false") if info.type == "bool" else info.choices


def find(fields: Sequence[FieldInfo], typed: str) -> list[FieldInfo]:
    """The settings that `typed` may mean, the likeliest first; live ones come before those that are fixed.

    The letters in a row anywhere in the key are likelier than the letters in order, and those likelier than the
    words of the help.
    """
    wanted = "".join(typed.lower().split())
    if not wanted:
        return sorted(fields, key=lambda info: not info.live)
    found = []
    for order, info in enumerate(fields):
        likely = rank(info.key, info.leaf, info.help, wanted)
        if likely is not None:
            found.append((not info.live, likely, order, info))
    return [info for *_, info in sorted(found, key=lambda entry: entry[:3])]
