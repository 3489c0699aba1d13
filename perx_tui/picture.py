"""An environment's picture, a grid of glyphs and colour roles, as lines of terminal text."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Protocol

COLOURS = {
    "background": "#0f1319",
    "floor": "#0f1319",
    "seen": "#223447",
    "wall": "#5a5f67",
    "text": "#d3dae6",
    "label": "#8793a6",
    "paddle": "#6cb6ff",
    "ball": "#d3dae6",
    "agent": "#e9a84c",
    "goal": "#4fc1a0",
    "brick1": "#f2785c",
    "brick2": "#e9a84c",
    "brick3": "#e9d36b",
    "brick4": "#4fc1a0",
    "brick5": "#6cb6ff",
    "brick6": "#c297d8",
}
"""A colour for each role; those of the TUI's dark theme. A role not listed takes that of "text"."""

EMPTY_ROLES = frozenset({"background", "floor", "seen"})
"""Roles that stay blank where there are no colours; what an agent sees is dotted."""

_UPPER_HALF = 0x2580


class Grid(Protocol):
    """What `Renderer.render` returns: uint32[rows, columns, 3], glyph, foreground role, background role."""

    def tolist(self) -> list[list[list[int]]]: ...


class Painter:
    """Turns grids into lines for this terminal: true colour, 256, 16 or none, as rich detects it."""

    def __init__(self, roles: Sequence[str], system: str | None) -> None:
        self._empty = [role in EMPTY_ROLES for role in roles]
        self._lit = [role == "seen" for role in roles]
        self._foreground = [_sequence(role, system, foreground=True) for role in roles]
        self._background = [_sequence(role, system, foreground=False) for role in roles]
        self._plain = system is None

    @classmethod
    def for_terminal(cls, roles: Sequence[str]) -> Painter:
        """A painter for standard output. The environment variable NO_COLOR turns colours off."""
        from rich.console import Console

        console = Console(file=sys.stdout)
        return cls(roles, None if os.environ.get("NO_COLOR") else console.color_system)

    def lines(self, grid: Grid) -> list[str]:
        """One string for each row of the grid."""
        return [self._line(row) for row in grid.tolist()]

    def _line(self, cells: list[list[int]]) -> str:
        if self._plain:
            return "".join(self._plain_cell(*cell) for cell in cells)
        parts = []
        before = (-1, -1)
        for glyph, foreground, background in cells:
            if before != (foreground, background):
                before = (foreground, background)
                parts.append(self._foreground[foreground] + self._background[background])
            parts.append(" " if glyph == _UPPER_HALF and foreground == background else chr(glyph))
        return "".join(parts)

    def _plain_cell(self, glyph: int, foreground: int, background: int) -> str:
        if glyph != _UPPER_HALF:
            return chr(glyph)
        upper, lower = not self._empty[foreground], not self._empty[background]
        blank = "·" if self._lit[foreground] or self._lit[background] else " "
        return {(True, True): "█", (True, False): "▀", (False, True): "▄", (False, False): blank}[upper, lower]


def _sequence(role: str, system: str | None, foreground: bool) -> str:
    from rich.color import Color, ColorSystem

    if system is None:
        return ""
    depth = {"standard": ColorSystem.STANDARD, "256": ColorSystem.EIGHT_BIT}.get(system, ColorSystem.TRUECOLOR)
    colour = Color.parse(COLOURS.get(role, COLOURS["text"])).downgrade(depth)
    return f"\x1b[{';'.join(colour.get_ansi_codes(foreground))}m"
