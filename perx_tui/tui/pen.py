"""Changed cells of the screen as few terminal sequences: where to, in which colours, what.

Every stretch goes straight to its place, and a colour that the terminal has already is not sent again: most of what
changes here is a few cells on the same background.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from rich.cells import cell_len
from rich.color import ColorSystem
from rich.style import Style

from perx_tui.tui.lines import Line, Part

_BRIDGE = 4
"""Unchanged cells between two stretches that cost less to write again than to jump over."""
_ATTRIBUTES: Mapping[str, str] = {"bold": "1", "dim": "2", "italic": "3", "underline": "4", "reverse": "7"}


class Look(NamedTuple):
    """A style as the parameters of an SGR sequence."""

    attributes: str
    foreground: str
    background: str


_PLAIN = Look("", "39", "49")


def look(style: Style, colors: ColorSystem) -> Look:
    """How a terminal with such colours is asked for `style`."""
    attributes = ";".join(code for name, code in _ATTRIBUTES.items() if getattr(style, name))
    sides = (style.color, "39", True), (style.bgcolor, "49", False)
    foreground, background = (
        ";".join(color.downgrade(colors).get_ansi_codes(foreground)) if color is not None else default
        for color, default, foreground in sides
    )
    return Look(attributes, foreground, background)


def changes(old: Line, new: Line) -> list[tuple[int, list[Part]]]:
    """The stretches of `new` that differ from `old`, a line of the same width: first cell and parts of each."""
    before, after = _cells(old), _cells(new)
    if len(before) != len(after):
        return [(0, list(new))]
    differing = [x for x, (one, other) in enumerate(zip(before, after, strict=True)) if one != other]
    stretches: list[tuple[int, int]] = []
    for x in differing:
        if stretches and _bridged(after, stretches[-1][1], x):
            stretches[-1] = stretches[-1][0], x + 1
        else:
            stretches.append((x, x + 1))
    return [(start, _parts(after[start:end])) for start, end in stretches]


def _bridged(cells: Sequence[Part], end: int, x: int) -> bool:
    """Whether the cells between two stretches had better be written again."""
    if x - end > _BRIDGE:
        return False
    style = cells[end - 1][1]
    return all(text.isascii() and own == style for text, own in cells[end:x])


def _cells(line: Line) -> list[Part]:
    """One part for every cell; the second half of a wide character is empty."""
    cells: list[Part] = []
    for text, style in line:
        if text.isspace() and not ("/" in style or style.endswith("!")):
            style = ""  # Blanks show only the background, which is the same in all of these.
        if text.isascii() or cell_len(text) == len(text):
            cells.extend([(character, style) for character in text])
            continue
        for character in text:
            width = cell_len(character)
            if not width and cells:
                cells[-1] = cells[-1][0] + character, cells[-1][1]
            cells.extend([(character, style), ("", style)][:width])
    return cells


def _parts(cells: Sequence[Part]) -> list[Part]:
    return [("".join(text for text, _ in group), style) for style, group in groupby(cells, key=lambda cell: cell[1])]


class Pen:
    """Gathers stretches and hands them over as one text, which leaves the terminal without colours and attributes."""

    def __init__(self, looks: Callable[[str], Look]) -> None:
        """`looks` resolves the names of styles."""
        self._looks = looks
        self._text: list[str] = []
        self._look = _PLAIN
        self._row = -1

    def write(self, x: int, y: int, parts: Sequence[Part]) -> None:
        """A stretch that begins at cell `x` of row `y`, from 0."""
        # Never relative to where the cursor is: terminals disagree about the width of some characters.
        self._text.append(f"\x1b[{x + 1}G" if y == self._row else f"\x1b[{y + 1};{x + 1}H")
        self._row = y
        for text, style in parts:
            wanted = self._looks(style)
            if wanted is not self._look:
                self._text.append(self._turn(wanted))
            self._text.append(text)

    def _turn(self, wanted: Look) -> str:
        """From the present look to another."""
        old, self._look = self._look, wanted
        codes = []
        if old.attributes != wanted.attributes:
            if old.attributes:
                codes.append("0")
                old = _PLAIN
            if wanted.attributes:
                codes.append(wanted.attributes)
        if old.foreground != wanted.foreground:
            codes.append(wanted.foreground)
        if old.background != wanted.background:
            codes.append(wanted.background)
        return f"\x1b[{';'.join(codes)}m" if codes else ""

    def take(self) -> str:
        """What was gathered; empty when nothing was."""
        if not self._text:
            return ""
        self._text.append("\x1b[0m")
        text = "".join(self._text)
        self._text, self._look, self._row = [], _PLAIN, -1
        return text
