"""Where the panels stand for every size of the terminal."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perx_tui.tui.arrangement import PANELS, SMALLEST, arrange

SIZES = st.tuples(st.integers(1, 260), st.integers(1, 90))
CHOICES = st.sampled_from(PANELS)


@given(SIZES, CHOICES, st.none() | CHOICES, st.booleans(), st.integers(1, 40))
def test_every_cell_belongs_to_exactly_one_place(
    size: tuple[int, int], tab: str, maximized: str | None, failure: bool, rows: int
) -> None:
    """Law: rectangles tile the screen. Nothing overlaps, nothing hangs over, no cell is left out."""
    width, height = size
    arrangement = arrange(width, height, tab=tab, maximized=maximized, failure=failure, picture_rows=rows)
    places = arrangement.places
    assert all(rect.width > 0 and rect.height > 0 for rect in places.values())
    used: Counter[tuple[int, int]] = Counter()
    for rect in places.values():
        assert rect.x >= 0
        assert rect.y >= 0
        assert rect.x + rect.width <= width
        assert rect.y + rect.height <= height
        for y in range(rect.y, rect.y + rect.height):
            for x in range(rect.x, rect.x + rect.width):
                used[x, y] += 1
    assert len(used) == width * height
    assert set(used.values()) == {1}


@pytest.mark.parametrize(("width", "height"), [(120, 36), (160, 48), (200, 60)])
def test_larger_terminals_show_every_panel(width: int, height: int) -> None:
    arrangement = arrange(width, height)
    assert arrangement.panels == PANELS
    assert arrangement.tabs == ()


def test_a_small_terminal_shows_what_matters_and_the_rest_as_tabs() -> None:
    arrangement = arrange(80, 24)
    assert arrangement.panels == ("throughput", "episode", "curve")
    assert set(arrangement.panels) | set(arrangement.tabs) == set(PANELS)
    assert arrange(80, 24, tab="replay").panels == ("throughput", "episode", "replay")


@given(SIZES, CHOICES)
def test_every_panel_can_be_reached_at_every_usable_size(size: tuple[int, int], tab: str) -> None:
    """Law: choosing a panel's tab shows it, unless it is shown anyway."""
    width, height = max(size[0], SMALLEST[0]), max(size[1], SMALLEST[1])
    assert tab in arrange(width, height, tab=tab).panels


@given(SIZES, CHOICES)
def test_a_maximized_panel_has_the_whole_body(size: tuple[int, int], name: str) -> None:
    width, height = max(size[0], SMALLEST[0]), max(size[1], SMALLEST[1])
    arrangement = arrange(width, height, maximized=name)
    assert arrangement.panels == (name,)
    assert (arrangement.places[name].width, arrangement.places[name].height) == (width, height - 2)


@pytest.mark.parametrize(("width", "height"), [(39, 24), (80, 11), (1, 1)])
def test_a_tiny_terminal_gets_a_notice_only(width: int, height: int) -> None:
    assert list(arrange(width, height).places) == ["notice"]


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 36), (160, 48), (200, 60)])
def test_the_picture_of_breakout_fits_its_panel(width: int, height: int) -> None:
    """36 x 14 characters at the small scale, 72 x 28 at the large one, and a frame around."""
    place = arrange(width, height).places["episode"]
    columns, rows = (72, 28) if width >= 160 else (36, 14)
    assert place.width >= columns + 2
    assert place.height >= rows + 2


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 36), (160, 48), (200, 60)])
def test_a_large_maze_fits_its_panel(width: int, height: int) -> None:
    """31 x 16 characters at the small scale, 62 x 31 at the large one."""
    place = arrange(width, height, picture_rows=16).places["episode"]
    assert place.height >= (31 if width >= 160 else 16) + 2
