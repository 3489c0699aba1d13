"""Grids of glyphs and colour roles as terminal text, with any number of colours."""

from __future__ import annotations

import numpy as np
import pytest

from engine import ROLES
from perx_tui.picture import COLOURS, Painter

UPPER_HALF, ARROW = 0x2580, 0x25B2


def grid(*cells: tuple[int, str, str]) -> np.ndarray:
    """One row of (glyph, foreground role, background role)."""
    return np.array([[(glyph, ROLES.index(fore), ROLES.index(back)) for glyph, fore, back in cells]], dtype=np.uint32)


def test_every_role_has_a_colour() -> None:
    assert set(ROLES) <= set(COLOURS)


def test_a_cell_shows_two_pixels_in_its_two_colours() -> None:
    (line,) = Painter(ROLES, "truecolor").lines(grid((UPPER_HALF, "ball", "paddle")))
    ball, paddle = (tuple(bytes.fromhex(COLOURS[role].lstrip("#"))) for role in ("ball", "paddle"))
    assert line == "\x1b[38;2;{};{};{}m".format(*ball) + "\x1b[48;2;{};{};{}m▀".format(*paddle)


def test_neighbours_of_one_colour_share_a_sequence() -> None:
    cell = (UPPER_HALF, "ball", "paddle")
    (line,) = Painter(ROLES, "truecolor").lines(grid(cell, cell, cell))
    assert line.count("\x1b[38") == 1
    assert line.endswith("▀▀▀")


@pytest.mark.parametrize(("system", "foreground"), [("256", "\x1b[38;5;"), ("standard", "\x1b[")])
def test_poorer_terminals_get_the_nearest_colours(system: str, foreground: str) -> None:
    (line,) = Painter(ROLES, system).lines(grid((ARROW, "agent", "floor")))
    assert line.startswith(foreground)
    assert "38;2;" not in line
    assert line.endswith("▲")


def test_without_colours_things_still_stand_out_from_the_ground() -> None:
    (line,) = Painter(ROLES, None).lines(
        grid(
            (UPPER_HALF, "wall", "wall"),
            (UPPER_HALF, "wall", "floor"),
            (UPPER_HALF, "floor", "goal"),
            (UPPER_HALF, "floor", "background"),
            (ARROW, "agent", "floor"),
        )
    )
    assert line == "█▀▄ ▲"
