"""Bars, graphs and histograms made of characters."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from perx_tui.tui import marks

ANY = st.floats(allow_nan=True, allow_infinity=True)


@given(ANY, st.integers(0, 40))
def test_a_bar_keeps_its_width_whatever_the_share(share: float, width: int) -> None:
    assert len(marks.bar(share, width)) == width


@pytest.mark.parametrize(
    ("share", "text"), [(0.0, "    "), (0.5, "██  "), (0.375, "█▌  "), (1.0, "████"), (1e-9, "▏   ")]
)
def test_a_bar_is_exact_to_an_eighth_of_a_cell(share: float, text: str) -> None:
    assert marks.bar(share, 4) == text


@given(ANY, st.integers(0, 40))
def test_a_gauge_is_full_only_when_everything_is_done(share: float, width: int) -> None:
    (done, style), (rest, _) = marks.gauge(share, width, "blue")
    assert len(done + rest) == width
    assert style == "blue"
    if width > 1 and 0 <= share < 0.9999:
        assert rest


@given(st.lists(ANY, max_size=50), st.integers(0, 20))
@example([1.7976931348623157e308, -1.7976931348623157e308, 0.0], 3)
def test_a_trend_keeps_its_width(values: list[float], width: int) -> None:
    assert len(marks.trend(values, width)) == width


def test_a_trend_rises_with_its_values() -> None:
    assert marks.trend([1, 2, 3, 4, 5, 6, 7], 7) == "▁▂▃▄▅▆▇"
    assert marks.trend([5, 5], 4) == "  ▁▁"


@given(st.lists(st.floats(0, 100) | st.just(math.nan), max_size=60), st.integers(0, 20), st.integers(0, 6))
def test_a_graph_fills_exactly_its_rectangle(values: list[float], width: int, height: int) -> None:
    rows = marks.area(values, width, height, 100.0)
    assert len(rows) == height
    assert all(len(row) == width for row in rows)


def test_a_graph_reaches_the_top_at_its_highest_value_only() -> None:
    assert marks.area([50, 100], 1, 2, 100.0) == ["⢸", "⣿"]


@given(st.lists(st.integers(0, 10_000), max_size=30), st.integers(0, 40), st.integers(0, 8))
def test_a_histogram_fills_exactly_its_rectangle(counts: list[int], width: int, height: int) -> None:
    rows, pitch = marks.histogram(counts, width, height)
    assert len(rows) == height
    assert all(len(row) == width for row in rows)
    assert pitch >= 1


def test_a_rare_bin_is_still_seen_and_an_empty_one_is_not() -> None:
    rows, pitch = marks.histogram([1000, 0, 1], 6, 2)
    assert pitch == 2
    assert rows == ["█     ", "█   ▁ "]
