"""The arithmetic of charts, against slow versions that look at every point."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perx_tui.tui import chart
from perx_tui.tui.chart import Scale, Window
from perx_tui.tui.lines import cells, text_of

FINITE = st.floats(-1e12, 1e12)
POINTS = st.lists(st.tuples(st.floats(0, 100), st.floats(-5, 5)), min_size=1, max_size=200, unique_by=lambda p: p[0])


def ascending(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    points = sorted(points)
    return [x for x, _ in points], [y for _, y in points]


@given(FINITE, FINITE, st.integers(2, 12))
def test_ticks_are_round_even_and_reach_over_the_values(a: float, b: float, most: int) -> None:
    low, high = min(a, b), max(a, b)
    found = chart.ticks(low, high, most)
    assert 2 <= len(found) <= max(most, 2)
    slack = 1e-8 * (found[1] - found[0]) + 1e-99
    assert found[0] <= low + slack
    assert found[-1] >= high - slack
    steps = [after - before for before, after in itertools.pairwise(found)]
    assert max(steps) == pytest.approx(min(steps), rel=1e-3, abs=1e-9)


def test_ticks_of_common_ranges() -> None:
    assert chart.ticks(0, 316, 5) == [0, 100, 200, 300, 400]
    assert chart.ticks(0, 0.93, 4) == [0, 0.5, 1.0]
    assert chart.ticks(5, 5, 4)[0] <= 5


# ---- scales ----


@given(FINITE, FINITE, st.integers(2, 60))
def test_every_value_has_its_place_on_a_scale_that_was_fitted_to_it(a: float, b: float, rows: int) -> None:
    low, high = min(a, b), max(a, b)
    scale, ticks = chart.fitted(low, high, rows)
    for value in (low, high):
        height = scale.height(value)
        assert height is not None
        assert -1e-6 <= height - 0.5 <= rows - 1 + 1e-6
    assert all(0 <= row < rows for row in ticks)


@given(st.floats(1e-12, 1e12), st.floats(1.0, 1e9), st.integers(2, 60))
def test_ticks_of_a_scale_stand_in_the_rows_of_their_values(low: float, ratio: float, rows: int) -> None:
    """Linear and logarithmic alike: the label of a row is the value of that row, to the half row that is the
    resolution of labels."""
    for log in (False, True):
        scale, ticks = chart.fitted(low, low * ratio + 1e-12, rows, log=log)
        assert len(ticks) >= 2
        assert len(ticks) <= max(2, rows)
        for row, value in ticks.items():
            height = scale.height(value)
            assert height is not None
            assert abs((rows - 1 - row) + 0.5 - height) <= 0.5 + 1e-6


def test_a_logarithmic_scale_has_decades_or_ones_twos_and_fives() -> None:
    _, decades = chart.fitted(2e-5, 0.3, 20, log=True)
    assert sorted(decades.values()) == pytest.approx([1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0])
    _, within = chart.fitted(0.8, 30.0, 20, log=True)
    assert sorted(within.values()) == pytest.approx([1, 2, 5, 10, 20])
    _, close = chart.fitted(0.29, 0.48, 20, log=True)
    assert sorted(close.values()) == pytest.approx([0.3, 0.35, 0.4, 0.45, 0.5])


def test_what_a_logarithm_does_not_have_gets_no_place() -> None:
    scale = Scale(-2.0, 2.0, 9, log=True)
    assert scale.height(0.0) is None
    assert scale.level(-3.0) is None
    assert scale.height(1.0) == pytest.approx(4.5)
    assert scale.row(100.0) == 0
    assert Scale(0.0, 1.0, 5).level(math.nan) is None


def test_what_lies_beyond_a_scale_is_drawn_at_its_edge() -> None:
    scale = Scale(0.0, 10.0, 6)
    assert (scale.row(-5.0), scale.row(99.0)) == (5, 0)


# ---- columns ----


def slow_columns(xs: Sequence[float], ys: Sequence[float], low: float, high: float, count: int) -> list[float | None]:
    """The mean of what rounds to a column; elsewhere the line between the nearest means, or points outside."""
    position = [(x - low) * (count - 1) / (high - low) for x in xs]
    inside = [low <= x <= high for x in xs]
    groups = {
        column: [y for p, y, i in zip(position, ys, inside, strict=True) if i and round(p) == column]
        for column in range(count)
    }
    known = sorted((float(column), sum(group) / len(group)) for column, group in groups.items() if group)
    left = [(p, y) for p, y, x in zip(position, ys, xs, strict=True) if x < low][-1:]
    right = [(p, y) for p, y, x in zip(position, ys, xs, strict=True) if x > high][:1]
    known = [*left, *known, *right]
    result: list[float | None] = []
    for column in range(count):
        before = [k for k in known if k[0] <= column]
        after = [k for k in known if k[0] >= column]
        if not before or not after:
            result.append(None)
        elif before[-1][0] == after[0][0]:
            result.append(after[0][1] if groups[column] else before[-1][1])
        else:
            (p, start), (q, end) = before[-1], after[0]
            result.append(start + (end - start) * (column - p) / (q - p))
    return result


@given(POINTS, st.integers(0, 60), st.integers(1, 40), st.integers(4, 60))
def test_columns_are_those_of_the_slow_version(
    points: list[tuple[float, float]], low: int, width: int, count: int
) -> None:
    xs, ys = ascending(points)
    fast = chart.columns(xs, ys, float(low), float(low + width), count)
    slow = slow_columns(xs, ys, float(low), float(low + width), count)
    assert [value is None for value in fast] == [value is None for value in slow]
    for a, b in zip(fast, slow, strict=True):
        if a is not None:
            assert a == pytest.approx(b, abs=1e-6)


@given(POINTS, st.integers(4, 60))
def test_columns_stay_between_the_smallest_and_the_largest_value(points: list[tuple[float, float]], count: int) -> None:
    """Law: a mean of points, or a line between two such means, cannot leave the range of the points."""
    xs, ys = ascending(points)
    known = [mean for mean in chart.columns(xs, ys, 0.0, 100.0, count) if mean is not None]
    assert known
    assert all(min(ys) - 1e-9 <= mean <= max(ys) + 1e-9 for mean in known)


def test_gaps_between_points_are_bridged_and_those_outside_are_not() -> None:
    assert chart.columns([2, 6], [1.0, 3.0], 0, 8, 9) == [None, None, 1.0, 1.5, 2.0, 2.5, 3.0, None, None]


def test_a_window_between_two_points_shows_the_line_between_them() -> None:
    assert chart.columns([0, 10], [0.0, 10.0], 4, 6, 3) == [4.0, 5.0, 6.0]


def test_a_value_that_is_not_finite_leaves_no_mark() -> None:
    assert chart.columns([0, 1, 2], [1.0, math.nan, 3.0], 0, 2, 3) == [1.0, 2.0, 3.0]
    assert chart.extremes([0, 1], [math.nan, 1.0], [1.0, math.inf], 0, 1, 2) == [None, None]


@given(POINTS, st.integers(0, 60), st.integers(1, 40), st.integers(1, 60))
def test_decimation_keeps_the_extremes(points: list[tuple[float, float]], low: int, width: int, count: int) -> None:
    """Law: however few columns there are, the smallest and the largest value of what is shown are among them."""
    xs, ys = ascending(points)
    found = chart.extremes(xs, ys, [y + 1 for y in ys], float(low), float(low + width), count)
    shown = [y for x, y in zip(xs, ys, strict=True) if low <= x <= low + width]
    pairs = [pair for pair in found if pair is not None]
    assert min((a for a, _ in pairs), default=None) == min(shown, default=None)
    assert max((b for _, b in pairs), default=None) == max((y + 1 for y in shown), default=None)
    for column, pair in enumerate(found):
        here = [
            y
            for x, y in zip(xs, ys, strict=True)
            if low <= x <= low + width and round((x - low) * (count - 1) / width) == column
        ]
        assert pair == ((min(here), max(here) + 1) if here else None)


# ---- smoothing ----


@given(POINTS, st.floats(0.01, 50))
def test_smoothing_is_the_mean_of_the_past_by_its_formula(points: list[tuple[float, float]], reach: float) -> None:
    xs, ys = ascending(points)
    for index, value in enumerate(chart.smoothed(xs, ys, reach)):
        weights = [math.exp((x - xs[index]) / reach) for x in xs[: index + 1]]
        expected = sum(w * y for w, y in zip(weights, ys, strict=False)) / sum(weights)
        assert value == pytest.approx(expected, abs=1e-6)


def test_no_smoothing_leaves_the_points_and_values_that_are_not_finite_are_passed_over() -> None:
    assert chart.smoothed([1, 2], [3.0, 4.0], 0) == [3.0, 4.0]
    found = chart.smoothed([0, 1, 2], [1.0, math.nan, 1.0], 5.0)
    assert found == pytest.approx([1.0, 1.0, 1.0])
    assert math.isnan(chart.smoothed([0], [math.nan], 5.0)[0])


# ---- the x axis ----


@given(st.floats(0, 1e9), st.floats(1e-5, 1e9), st.integers(10, 200), st.booleans())
def test_labels_of_the_x_axis_are_whole_apart_and_under_their_ticks(
    start: float, width: float, span: int, time: bool
) -> None:
    width = max(width, 1e-5 * start)  # the narrowest window
    window = Window(start, start + width, span)
    label = chart.time_tick if time else chart.step_tick
    rule, text = chart.x_axis(window, 4, label, time=time)
    assert cells(rule) == cells(text) == span + 5
    ticks = text_of([rule])[0].count("┬")
    assert ticks == len(text_of([text])[0].split())
    values = chart.x_ticks(start, start + width, span, time=time)
    assert all(start - 1e-6 * width <= value <= start + width * (1 + 1e-6) for value in values)


def test_ticks_of_time_are_those_of_clocks() -> None:
    assert chart.x_ticks(0, 3600, 70, time=True) == [0, 600, 1200, 1800, 2400, 3000, 3600]
    assert [chart.time_tick(value) for value in (0, 30, 60, 90, 3600, 5400, 86_400, 90_000)] == [
        "0",
        "30s",
        "1m",
        "1m30s",
        "1h",
        "1h30m",
        "1d",
        "1d01h",
    ]


@given(st.floats(0, 1e6), st.floats(1e-3, 1e6), st.integers(4, 300), st.floats(0, 1))
def test_column_and_place_are_inverse(start: float, width: float, span: int, share: float) -> None:
    window = Window(start, start + width, span)
    column = share * (2 * span - 1)
    assert window.column(window.x(column)) == pytest.approx(column, abs=1e-3 + 1e-6 * (start / width))


def test_the_axis_stays_where_it_is_while_points_come() -> None:
    """A chart whose axis moved with every point would be redrawn whole each time."""
    ends = {chart.roomy(x * 32_768.0) for x in range(240, 256)}
    assert len(ends) <= 3
    assert all(x * 32_768 <= chart.roomy(x * 32_768.0) <= 1.07 * x * 32_768 for x in range(1, 2000))
