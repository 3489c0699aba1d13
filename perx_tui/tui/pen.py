"""What the terminal shows, cell by cell, so that only cells that differ are sent, in as few sequences as it takes.

Textual draws whole widgets and, when a screen opens or the focus moves, the whole screen: 35 kB at 160x48 of which a
hundredth has changed. Over a slow link that is the time a key takes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich.cells import cell_len
from rich.color import ColorSystem
from rich.style import Style

_BRIDGE = 4
"""Unchanged cells between two stretches that cost less to write again than to jump over."""
_ATTRIBUTES = {"bold": "1", "dim": "2", "italic": "3", "underline": "4", "reverse": "7"}
_KEEP = "*"
"""In the place of a colour or attributes: any will do."""


class Look(NamedTuple):
    """A style as the parameters of an SGR sequence."""

    attributes: str
    foreground: str
    background: str

    @property
    def marks_blanks(self) -> bool:
        """Whether a space is seen, underlined or reversed."""
        return any(code in self.attributes for code in "47")

    def blank(self) -> Look:
        """What a space needs of it: other attributes and the foreground do not show."""
        return self if self.marks_blanks else Look(_KEEP, _KEEP, self.background)


PLAIN = Look("", "39", "49")

Cell = tuple[str, Look]
"""A character and how it looks. The second half of a wide character is empty."""

_UNKNOWN: Cell = ("", Look("?", "?", "?"))


def look(style: Style | None, colors: ColorSystem) -> Look:
    """How a terminal with such colours is asked for `style`."""
    if style is None:
        return PLAIN
    attributes = ";".join(code for name, code in _ATTRIBUTES.items() if getattr(style, name))
    sides = (style.color, "39", True), (style.bgcolor, "49", False)
    foreground, background = (
        ";".join(color.downgrade(colors).get_ansi_codes(foreground)) if color is not None else default
        for color, default, foreground in sides
    )
    return Look(attributes, foreground, background)


def cells_of(parts: Iterable[tuple[str, Look]]) -> list[Cell]:
    """A row of styled text, cell by cell."""
    cells: list[Cell] = []
    for text, wanted in parts:
        if text.isspace():
            cells.extend([(" ", wanted.blank())] * len(text))
        elif text.isascii() or cell_len(text) == len(text):
            cells.extend([(character, wanted) for character in text])
        else:
            for character in text:
                width = cell_len(character)
                if not width and cells:
                    cells[-1] = cells[-1][0] + character, cells[-1][1]
                cells.extend([(character, wanted), ("", wanted)][:width])
    return cells


def stretches(old: Sequence[Cell], new: Sequence[Cell]) -> list[tuple[int, int]]:
    """First cell and the cell after the last of everything that differs between two rows of one width."""
    found: list[tuple[int, int]] = []
    for x, (one, other) in enumerate(zip(old, new, strict=True)):
        if one is other or one == other:
            continue
        if found and x - found[-1][1] <= _BRIDGE and _cheap(new, found[-1][1], x):
            found[-1] = found[-1][0], x + 1
        else:
            found.append((x, x + 1))
    return found


def _cheap(cells: Sequence[Cell], end: int, x: int) -> bool:
    """Whether the cells between two stretches cost a byte each."""
    wanted = cells[end - 1][1]
    return all(text.isascii() and text and own == wanted for text, own in cells[end:x])


class Pen:
    """Gathers stretches and hands them over as one text, which leaves the terminal without colours and attributes."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._look = PLAIN
        self._row = -1

    def write(self, x: int, y: int, cells: Iterable[Cell]) -> None:
        """A stretch that begins at cell `x` of row `y`, from 0."""
        # Never relative to where the cursor is: terminals disagree about the width of some characters.
        self._text.append(f"\x1b[{x + 1}G" if y == self._row else f"\x1b[{y + 1};{x + 1}H")
        self._row = y
        last: Look | None = None
        for text, wanted in cells:
            if wanted is not last:
                self._text.append(self._turn(wanted))
                last = wanted
            self._text.append(text)

    def _turn(self, wanted: Look) -> str:
        """From the present look to another."""
        now = self._look
        codes = []
        attributes = wanted.attributes
        if attributes == _KEEP:
            attributes = "" if now.marks_blanks else now.attributes
        if attributes != now.attributes:
            if now.attributes:
                codes.append("0")
                now = PLAIN
            if attributes:
                codes.append(attributes)
            now = now._replace(attributes=attributes)
        if wanted.foreground not in (now.foreground, _KEEP):
            codes.append(wanted.foreground)
            now = now._replace(foreground=wanted.foreground)
        if wanted.background != now.background:
            codes.append(wanted.background)
            now = now._replace(background=wanted.background)
        self._look = now
        return f"\x1b[{';'.join(codes)}m" if codes else ""

    def take(self) -> str:
        """What was gathered; empty when nothing was."""
        if not self._text:
            return ""
        self._text.append("\x1b[0m")
        text = "".join(self._text)
        self._text, self._look, self._row = [], PLAIN, -1
        return text


class Sheet:
    """The terminal's screen as it was written."""

    def __init__(self) -> None:
        self._pen = Pen()
        self._rows: dict[int, list[Cell]] = {}
        self._size = 0, 0

    def fit(self, width: int, height: int) -> None:
        """The terminal has this size. With another one, what it shows is not known any more."""
        if (width, height) != self._size:
            self._size = width, height
            self.forget()

    def forget(self) -> None:
        """What the terminal shows is not known: everything is to be written anew."""
        self._rows.clear()

    def put(self, x: int, y: int, cells: Sequence[Cell]) -> None:
        """Cells from `x` of row `y` on, of which those are sent that differ from what stands there."""
        width, height = self._size
        cells = cells[: max(0, width - x)]
        if not 0 <= y < height or not cells or x < 0:
            return
        row = self._rows.get(y)
        if row is None:
            row = self._rows[y] = [_UNKNOWN] * width
        for start, end in stretches(row[x : x + len(cells)], cells):
            self._pen.write(x + start, y, cells[start:end])
        row[x : x + len(cells)] = cells

    def take(self) -> str:
        """What has to be sent."""
        return self._pen.take()
