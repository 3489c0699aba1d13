"""An environment's picture (glyph and colour roles of every cell) as lines of styled text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from perx_tui.tui.lines import EMPTY, Line, Part

if TYPE_CHECKING:
    from perx_tui.tui.source import Renderer

Cells = npt.NDArray[np.uint32]
"""[rows, columns, 3]: code point, foreground role, background role."""

LARGEST = 8
"""The largest scale. Environments draw themselves in the smaller ones; what is beyond them is magnified here."""

_REMEMBERED = 1024
_UPPER_HALF = 0x2580

_LETTERS = {
    "background": " ",
    "floor": " ",
    "seen": ".",
    "wall": "#",
    "paddle": "=",
    "ball": "o",
    "goal": "G",
    "agent": "@",
    "brick1": "7",
    "brick2": "7",
    "brick3": "4",
    "brick4": "4",
    "brick5": "1",
    "brick6": "1",
}
"""What stands for a role where there are no colours, "x" for one that is not known here. Bricks tell their worth."""

_ARROWS = {0x25B2: "^", 0x25BA: ">", 0x25BC: "v", 0x25C4: "<"}
_GROUND = ("background", "floor", "seen")


class Picture:
    """Turns states into lines. Most rows of a picture were also in an earlier one, so rows are remembered."""

    def __init__(self, renderer: Renderer, roles: Sequence[str], *, plain: bool = False) -> None:
        """`plain`: letters in the place of colours."""
        self._renderer = renderer
        self._plain = plain
        self._roles = roles
        self._rows: dict[bytes, Line] = {}
        self._scales: dict[tuple[int, int, tuple[int, int, int, int]], int] = {}
        self._background, self._wall = roles.index("background"), roles.index("wall")

    def lines(self, state: bytes, width: int, height: int) -> list[Line]:
        """The picture at the largest scale that fits `width` x `height`, in the middle of it; cut where none fits."""
        small = self._renderer.render(state, 1)
        area = self._area(small)
        scale = self._scales.get((width, height, area))
        if scale is None:
            scale = self._scales[width, height, area] = self._largest(small, area, width, height)
        cells = small if scale == 1 else self._render(state, small, scale)
        top, bottom, left, right = (scale * each for each in area)
        cells = cells[top:bottom, left:right]
        rows, columns = cells.shape[:2]
        lines: list[Line] = [EMPTY] * max(0, (height - rows) // 2)
        indent = max(0, (width - columns) // 2)
        margin: Line = ((" " * indent, ""),) if indent else ()
        for row in cells[:height]:
            key = row[:width].tobytes()
            line = self._rows.get(key)
            if line is None:
                if len(self._rows) >= _REMEMBERED:
                    self._rows.clear()
                line = self._rows[key] = self._line(row[:width].tolist())
            lines.append(margin + line)
        return lines

    def _area(self, small: Cells) -> tuple[int, int, int, int]:
        """Top, bottom, left and right of what is worth drawing, in cells of the small picture: of a level that walls
        stand around, what lies within them."""
        rows, columns = small.shape[:2]
        if not (small[..., 1:] == self._wall).any() or not _of_pixels(small):
            return 0, rows, 0, columns
        drawn = (small[..., 1:] != self._background).any(-1)
        down, across = drawn.any(1).nonzero()[0], drawn.any(0).nonzero()[0]
        return int(down[0]), int(down[-1]) + 1, int(across[0]), int(across[-1]) + 1

    @property
    def rows(self) -> int:
        """Rows of the picture in its small size."""
        return self._renderer.size(1)[0]

    @property
    def plain(self) -> bool:
        """Whether letters stand in the place of colours."""
        return self._plain

    @plain.setter
    def plain(self, plain: bool) -> None:
        if plain != self._plain:
            self._plain = plain
            self._rows.clear()

    def size(self, scale: int) -> tuple[int, int]:
        """Rows and columns of the picture."""
        return self._renderer.size(scale)

    def caption(self, state: bytes) -> str:
        """What the environment says about a state."""
        return self._renderer.caption(state)

    def action(self, action: int) -> str:
        """What the environment calls an action."""
        return self._renderer.action(action)

    def _largest(self, small: Cells, area: tuple[int, int, int, int], width: int, height: int) -> int:
        """The largest scale at which `area` fits, 1 where none does. A picture with words in it is not magnified."""
        fitting = 1
        for scale in range(1, (LARGEST if _of_pixels(small) else self._renderer.scales) + 1):
            rows, columns = scale * small.shape[0], scale * small.shape[1]
            if scale <= self._renderer.scales:
                rows, columns = self._renderer.size(scale)
            top, bottom, left, right = (scale * each for each in area)
            if min(bottom, rows) - top <= height and min(right, columns) - left <= width:
                fitting = scale
        return fitting

    def _render(self, state: bytes, small: Cells, scale: int) -> Cells:
        if scale <= self._renderer.scales:
            return self._renderer.render(state, scale)
        if bool((small[..., 0] == _UPPER_HALF).all()):
            rows, columns = small.shape[:2]
            return magnified(small[..., 1:].transpose(0, 2, 1).reshape(2 * rows, columns), scale)
        # A character covers two pixels in the small picture; in the next one every pixel is two characters wide.
        cells = self._renderer.render(state, 2)
        figures = [(int(y), int(x) // 2, *cells[y, x].tolist()) for y, x in np.argwhere(cells[..., 0] != _UPPER_HALF)]
        return magnified(cells[:, 1::2, 1], scale, figures)

    def _line(self, cells: Sequence[Sequence[int]]) -> Line:
        """Neighbouring cells of the same colours as one part."""
        if self._plain:
            return (("".join(self._letter(*cell) for cell in cells), ""),)
        parts: list[Part] = []
        text, current = "", ""
        for glyph, foreground, background in cells:
            style = f"{self._role(foreground)}/{self._role(background)}"
            if glyph == _UPPER_HALF and foreground == background:
                glyph = 0x20
            if style != current:
                if text:
                    parts.append((text, current))
                text, current = "", style
            text += chr(glyph) if glyph >= 0x20 else " "
        parts.append((text, current))
        return tuple(parts)

    def _letter(self, glyph: int, foreground: int, background: int) -> str:
        """A cell without colours: of the two halves the one that matters more, what moves before what stands."""
        upper, lower = self._role(foreground), self._role(background)
        if glyph != _UPPER_HALF:
            return _ARROWS.get(glyph) or (
                chr(glyph) if 0x20 < glyph < 0x7F else self._letter(_UPPER_HALF, background, background)
            )
        for mover in ("ball", "paddle", "agent", "goal"):
            if mover in (upper, lower):
                return _LETTERS[mover]
        if upper in _GROUND:
            upper = lower if lower not in _GROUND else upper
        return _LETTERS.get(upper, "x")

    def _role(self, number: int) -> str:
        return self._roles[number] if number < len(self._roles) else "text"


def _of_pixels(cells: Cells) -> bool:
    """Whether a picture has no words in it."""
    return bool(np.isin(cells[..., 0], (_UPPER_HALF, *_ARROWS)).all())


def magnified(
    pixels: npt.NDArray[np.uint32], factor: int, figures: Sequence[tuple[int, int, int, int, int]] = ()
) -> Cells:
    """Roles of pixels [rows, columns], each half a cell, `factor` times as wide and as high.

    Where a character stands (row, column, code point, foreground, background) the whole pixel has its colour and
    carries it in the middle.
    """
    pixels = pixels.copy()
    for y, x, _, front, _ in figures:
        pixels[y, x] = front
    large = pixels.repeat(factor, 0).repeat(factor, 1)
    if len(large) % 2:
        large = np.concatenate((large, np.zeros_like(large[:1])))
    cells = np.full((len(large) // 2, large.shape[1], 3), _UPPER_HALF, np.uint32)
    cells[..., 1], cells[..., 2] = large[0::2], large[1::2]
    for y, x, glyph, front, back in figures:
        cells[(2 * y + 1) * factor // 4, x * factor + (factor - 1) // 2] = glyph, back, front
    return cells
