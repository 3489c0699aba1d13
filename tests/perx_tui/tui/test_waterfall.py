"""Histograms on a common axis, bars and shades."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import Histogram
from perx_tui.tui import waterfall

COUNTS = st.lists(st.integers(0, 500), min_size=1, max_size=30).map(tuple)
ENDS = st.tuples(st.floats(-5, 5), st.floats(0.01, 5))


@st.composite
def histograms(draw: st.DrawFn) -> Histogram:
    low, span = draw(ENDS)
    return Histogram(draw(COUNTS), low, low + span)


@given(histograms(), ENDS, st.integers(1, 80))
def test_spreading_a_histogram_keeps_its_sum(histogram: Histogram, ends: tuple[float, float], width: int) -> None:
    """Law: no segment is lost or made up, wherever the axis ends."""
    low, span = ends
    columns = waterfall.spread(histogram, low, low + span, width)
    assert len(columns) == width
    assert sum(columns) == pytest.approx(sum(histogram.counts), abs=1e-6)
    assert min(columns) >= 0


def test_a_slice_goes_to_the_columns_it_overlaps() -> None:
    assert waterfall.spread(Histogram((4, 2), 0, 2), 0, 4, 4) == [4, 2, 0, 0]
    assert waterfall.spread(Histogram((4,), 1, 3), 0, 4, 4) == [0, 2, 2, 0]
    assert waterfall.spread(Histogram((3,), 2, 2), 0, 4, 4) == [0, 0, 3, 0]


@given(st.lists(histograms(), min_size=1, max_size=5), st.booleans())
def test_the_common_axis_holds_every_histogram(given_: list[Histogram], log: bool) -> None:
    low, high = waterfall.common_axis(given_, log)
    assert low < high
    assert all(low <= each.low + 1e-6 and each.high <= high + 1e-6 for each in given_)


def test_the_axis_of_nothing_is_still_an_axis() -> None:
    assert waterfall.common_axis([Histogram()], False) == (0.0, 1.0)
    assert waterfall.spread(Histogram(), 0, 1, 3) == [0, 0, 0]


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=60), st.integers(1, 12))
def test_bars_have_their_size_and_show_every_value_above_zero(values: list[float], height: int) -> None:
    rows = waterfall.bars(values, height, max(values))
    assert [len(row) for row in rows] == [len(values)] * height
    assert all((rows[-1][x] != " ") == (value > 0) for x, value in enumerate(values))


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=60))
def test_a_larger_value_never_has_a_lighter_shade(values: list[float]) -> None:
    shades = waterfall.shades(values, max(values))
    order = sorted(range(len(values)), key=lambda x: values[x])
    levels = [" ░▒▓█".index(shades[x]) for x in order]
    assert levels == sorted(levels)


@given(ENDS, st.integers(8, 80), st.booleans())
def test_labels_of_a_scale_are_whole_and_apart(ends: tuple[float, float], width: int, log: bool) -> None:
    low, span = ends
    names: list[str] = []

    def label(value: float) -> str:
        names.append(f"{value:.3g}")
        return names[-1]

    text = waterfall.scale(low, low + span, width, label, log=log)
    assert len(text) == width
    assert all(word in names for word in text.split())
