"""Where the panels stand for every size of the terminal."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from perx_tui.tui.arrangement import PANELS, SIZE_CLASSES, SMALLEST, Rect, arrange, size_class

SIZES = st.tuples(st.integers(1, 260), st.integers(1, 90))
CHOICES = st.sampled_from(PANELS)
HIDDEN = st.frozensets(CHOICES, max_size=len(PANELS))


@settings(max_examples=400)
@given(SIZES, CHOICES, st.none() | CHOICES, st.booleans(), st.integers(1, 40), HIDDEN)
@example((147, 34), "throughput", None, False, 1, frozenset({"memory", "episode", "curve"}))
@example((149, 60), "throughput", None, False, 14, frozenset({"memory", "curve"}))
def test_every_cell_belongs_to_exactly_one_place(
    size: tuple[int, int], tab: str, maximized: str | None, failure: bool, rows: int, hidden: frozenset[str]
) -> None:
    """Law: rectangles tile the screen. Nothing overlaps, nothing hangs over, no cell is left out."""
    width, height = size
    arrangement = arrange(
        width, height, tab=tab, maximized=maximized, failure=failure, picture_rows=rows, hidden=hidden
    )
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


# ---- hidden panels ----


@pytest.mark.parametrize("size", [(44, 13), (60, 20), (76, 22), (80, 24), (100, 40), (160, 30), (120, 36), (200, 60)])
def test_whatever_is_hidden_the_others_tile_the_screen(size: tuple[int, int]) -> None:
    """Law: of every set of panels those that are not hidden are shown or have a tab, the others neither, and what is
    shown fills the screen."""
    for count in range(len(PANELS)):
        for hidden in itertools.combinations(PANELS, count):
            for tab in (PANELS[0], PANELS[5]):
                arrangement = arrange(*size, tab=tab, hidden=hidden)
                wanted = set(PANELS) - set(hidden)
                assert set(arrangement.panels) | set(arrangement.tabs) == wanted
                assert tab in arrangement.panels or tab in hidden or tab not in arrangement.tabs
                places = list(arrangement.places.values())
                assert sum(place.width * place.height for place in places) == size[0] * size[1]
                assert not any(overlap(one, other) for one, other in itertools.combinations(places, 2))


def overlap(one: Rect, other: Rect) -> bool:
    across = one.x < other.x + other.width and other.x < one.x + one.width
    return across and one.y < other.y + other.height and other.y < one.y + one.height


@given(SIZES, CHOICES, HIDDEN)
def test_a_panel_that_is_not_hidden_can_be_reached(size: tuple[int, int], tab: str, hidden: frozenset[str]) -> None:
    width, height = max(size[0], SMALLEST[0]), max(size[1], SMALLEST[1])
    assert tab in arrange(width, height, tab=tab, hidden=hidden - {tab}).panels


@given(SIZES, CHOICES)
def test_the_only_panel_has_the_whole_body(size: tuple[int, int], name: str) -> None:
    width, height = max(size[0], SMALLEST[0]), max(size[1], SMALLEST[1])
    arrangement = arrange(width, height, hidden=set(PANELS) - {name})
    assert arrangement.places[name] == Rect(0, 1, width, height - 2)
    assert arrangement.tabs == ()


@given(SIZES, CHOICES)
def test_with_all_panels_hidden_all_are_shown(size: tuple[int, int], tab: str) -> None:
    assert arrange(*size, tab=tab, hidden=PANELS) == arrange(*size, tab=tab)


def test_who_gets_the_room_of_a_panel_does_not_hang_on_a_width_or_height_by_which_others_are_in_line_with_it() -> None:
    """At 147 columns the losses are as wide as the memory above them, at 41 rows the log is as high as the phases."""
    for width in (146, 147, 149):
        before, after = arrange(width, 40).places, arrange(width, 40, hidden=("memory",)).places
        assert {name for name, place in after.items() if place != before[name]} == {"throughput"}
    for height in (40, 41, 42):
        before, after = arrange(116, height).places, arrange(116, height, hidden=("episode",)).places
        assert {name for name, place in after.items() if place != before[name]} == {"log"}


@given(SIZES, CHOICES)
def test_hiding_a_panel_takes_room_from_no_other(size: tuple[int, int], name: str) -> None:
    """Law of the large arrangements: those on one side of it grow, the rest stays where it was."""
    width, height = max(size[0], 116), max(size[1], 34)
    before = arrange(width, height).places
    after = arrange(width, height, hidden=(name,)).places
    grown = {other: place for other, place in after.items() if place != before[other]}
    room = sum(
        place.width * place.height - before[other].width * before[other].height for other, place in grown.items()
    )
    assert room == before[name].width * before[name].height
    assert all(
        place.width >= before[other].width and place.height >= before[other].height for other, place in grown.items()
    )


def test_every_size_has_the_arrangement_of_its_class() -> None:
    known = {(50, 14): "tiny", (75, 60): "tiny", (80, 24): "small", (115, 60): "small", (120, 36): "medium"}
    known |= {(149, 60): "medium", (160, 48): "large", (150, 43): "medium", (240, 90): "large"}
    assert {size: size_class(*size) for size in known} == known
    assert set(known.values()) == set(SIZE_CLASSES)
