"""Text for terminals that know no more than ASCII: every other character becomes one of those, of the same width.

The screens are drawn with lines, blocks and braille; what comes near their shape stands in for them. The last step
before the terminal does it, so that nothing gets past it, Textual's own dialogs included.
"""

from __future__ import annotations

import codecs
import unicodedata
from functools import cache

from rich.cells import cell_len

ERRORS = "perx-ascii"
"""Name of the handler for `str.encode("ascii", errors=...)`."""

_SHAPES = {
    "─╌┄┈╴╶▔": "-",
    "│┃╎┆┊╵╷▏▎▍▌▐▕": "|",
    "╭╮╰╯┌┐└┘├┤┬┴┼┏┓┗┛┣┫┳┻╋╞╡╔╗╚╝╟╢": "+",
    "═━╸╺": "=",
    "║": "|",
    "▁": "_",
    "▂▄": ".",
    "▃": ":",
    "▅": "=",
    "▆": "+",
    "▇": "*",
    "█▋▊▉■◼": "#",
    "▀": '"',
    "░": ".",
    "▒": ":",
    "▓": "%",
    "►▶▸❯→": ">",
    "◄◀◂❮←": "<",
    "▲↑": "^",
    "▼↓": "v",
    "●◉•": "*",
    "○□◯": "o",
    "✓": "v",
    "✗✕×": "x",
    "…": "~",
    "·": ".",
    "–—−": "-",
    "“”": '"',
    "‘’": "'",
    "±": "+",
    "µμ": "u",
    "≈": "~",
    "≥": ">",
    "≤": "<",
    "\u00a0": " ",
}
_TABLE = {character: shape for characters, shape in _SHAPES.items() for character in characters}


def _braille(dots: int) -> str:
    """What comes near a cell of two columns of four dots."""
    left = [bool(dots & bit) for bit in (0x01, 0x02, 0x04, 0x40)]
    right = [bool(dots & bit) for bit in (0x08, 0x10, 0x20, 0x80)]
    rows = [row for row in range(4) if left[row] or right[row]]
    if not rows:
        return " "
    if sum(left) + sum(right) >= 6:
        return "#"
    if rows[-1] == 0:
        return "'"
    if rows[0] >= 2:
        return "."
    if set(rows) <= {1, 2}:
        return "-"
    if not any(left) or not any(right):
        return "|"
    upper, lower = left.index(True), right.index(True)
    return ":" if upper == lower else "\\" if upper < lower else "/"


@cache
def _shape(character: str) -> str:
    width = cell_len(character)
    if character in _TABLE:
        return _TABLE[character]
    if "\u2800" <= character <= "\u28ff":
        return _braille(ord(character) - 0x2800)
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode("ascii")
    # What changes its width would move everything behind it.
    return plain if len(plain) == width and plain.isprintable() else "?" * width


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_shape, error.object[error.start : error.end])), error.end


codecs.register_error(ERRORS, _replace)


def to_ascii(text: str) -> str:
    """`text` without a character above 127, as wide on the screen as before."""
    return text if text.isascii() else text.encode("ascii", ERRORS).decode("ascii")
