"""Lines of styled text: the form in which panels describe what they show.

A line is a tuple of (text, style name) parts. Tuples compare fast, so a panel finds the rows that changed by
comparing what it wants to show with what it showed, and only those become strips. Style names are resolved by
`theme.Palette`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from rich.cells import cell_len, set_cell_size

Part: TypeAlias = tuple[str, str]
Line: TypeAlias = tuple[Part, ...]

EMPTY: Line = ()


def clean(text: str) -> str:
    """Text from outside (a log, a name) without characters that would change the state of the terminal."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else "·" for character in text)


def cleaned(line: Line) -> Line:
    """A line without such characters: whatever a panel shows, nothing in it is a command to the terminal."""
    if all(text.isprintable() for text, _ in line):
        return line
    return tuple((clean(text), style) for text, style in line)


def cells(line: Line) -> int:
    """Width of a line on the screen, in terminal cells."""
    return sum(len(text) if text.isascii() else cell_len(text) for text, _ in line)


def difference(old: Line, new: Line) -> tuple[int, int]:
    """The first cell in which two lines of equal width differ and the cell after the last; (0, 0) for equal lines."""
    if old == new:
        return 0, 0
    before = _common(old, new, ends=False)
    after = _common(old, new, ends=True)
    width = max(cells(old), cells(new))
    return min(before, width - after), max(before, width - after)


def _common(old: Line, new: Line, *, ends: bool) -> int:
    """Cells that two lines share at their beginnings, or at their ends."""
    shared = 0
    order = -1 if ends else 1
    for (a, style_a), (b, style_b) in zip(old[::order], new[::order], strict=False):
        if style_a != style_b:
            break
        if a == b:
            shared += len(a) if a.isascii() else cell_len(a)
            continue
        common = 0
        for left, right in zip(a[::order], b[::order], strict=False):
            if left != right:
                break
            common += cell_len(left)
        return shared + common
    return shared


def shorten(text: str, width: int) -> str:
    """`text` in at most `width` cells, its end replaced by an ellipsis where it does not fit."""
    if width <= 0:
        return ""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1).rstrip() + "…"


def fit(line: Line, width: int) -> Line:
    """Exactly `width` cells: cut at the right with an ellipsis, or filled up with spaces."""
    missing = width - cells(line)
    if missing == 0:
        return line
    if missing > 0:
        return (*line, (" " * missing, ""))
    parts: list[Part] = []
    left = width
    for text, style in line:
        size = cell_len(text)
        if size < left:
            parts.append((text, style))
            left -= size
            continue
        cut = shorten(text + " ", left) if size == left else shorten(text, left)
        parts.append((cut, style))
        left -= cell_len(cut)
        break
    if left:
        parts.append((" " * left, ""))
    return tuple(parts)


def spread(left: Line, right: Line, width: int) -> Line:
    """`left` and `right` at the two ends of `width` cells; `right` is left out where both do not fit with a gap."""
    gap = width - cells(left) - cells(right)
    if gap < 1:
        return fit(left, width)
    return (*left, (" " * gap, ""), *right)


def pair(label: str, value: str, width: int, style: str = "strong") -> Line:
    """A dim label at the left and its value at the right end of `width` cells."""
    return spread(((label, "dim"),), ((value, style),), width)


def beside(blocks: Sequence[tuple[Sequence[Line], int]], height: int, gap: int = 2) -> list[Line]:
    """Blocks (lines, width) next to one another, `gap` cells apart, each filled up to `height` lines."""
    space: Part = (" " * gap, "")
    rows: list[Line] = []
    for y in range(height):
        parts: list[Part] = []
        for index, (lines, width) in enumerate(blocks):
            if index:
                parts.append(space)
            parts.extend(fit(lines[y] if y < len(lines) else EMPTY, width))
        rows.append(tuple(parts))
    return rows


def wrap(text: str, width: int) -> list[str]:
    """Break `text` at spaces into lines of at most `width` cells; a word that is longer is broken where it must be."""
    lines: list[str] = []
    for paragraph in text.splitlines() or [""]:
        line = ""
        for word in paragraph.split(" "):
            while cell_len(word) > width:
                if line:
                    lines.append(line)
                    line = ""
                head = set_cell_size(word, width).rstrip()
                lines.append(head)
                word = word[len(head) :]
            candidate = f"{line} {word}" if line else word
            if cell_len(candidate) <= width:
                line = candidate
            else:
                lines.append(line)
                line = word
        lines.append(line)
    return lines


def centered(text: str, width: int, height: int) -> list[Line]:
    """A dim remark in the middle of an area that has nothing else to show yet."""
    rows = wrap(text, width)
    lines: list[Line] = [EMPTY] * max(0, (height - len(rows)) // 2)
    lines.extend(((row.center(width), "dim"),) for row in rows)
    return lines[:height]


def text_of(lines: Iterable[Line]) -> list[str]:
    """The bare text of lines, for tests and for copying."""
    return ["".join(text for text, _ in line) for line in lines]
