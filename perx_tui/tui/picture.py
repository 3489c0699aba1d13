"""An environment's picture (glyph and colour roles of every cell) as lines of styled text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from perx_tui.tui.lines import EMPTY, Line, Part

if TYPE_CHECKING:
    from perx_tui.tui.source import Renderer

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
        self._scales: dict[tuple[int, int], int] = {}

    def lines(self, state: bytes, width: int, height: int, scales: int = 2) -> list[Line]:
        """The picture at the largest scale that fits `width` x `height`, in the middle of it; cut where none fits."""
        scale = self._scales.get((width, height))
        if scale is None:
            fitting = [s for s in range(1, scales + 1) if self._fits(s, width, height)]
            scale = self._scales[width, height] = fitting[-1] if fitting else 1
        cells = self._renderer.render(state, scale)
        rows, columns = cells.shape[:2]
        top, left = max(0, (height - rows) // 2), max(0, (width - columns) // 2)
        lines: list[Line] = [EMPTY] * top
        margin: Line = ((" " * left, ""),) if left else ()
        for row in cells[:height]:
            key = row[:width].tobytes()
            line = self._rows.get(key)
            if line is None:
                if len(self._rows) >= _REMEMBERED:
                    self._rows.clear()
                line = self._rows[key] = self._line(row[:width].tolist())
            lines.append(margin + line)
        return lines

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

    def _fits(self, scale: int, width: int, height: int) -> bool:
        rows, columns = self._renderer.size(scale)
        return rows <= height and columns <= width

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
