"""The braille line chart."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perx_tui.tui import chart
from perx_tui.tui.lines import Line, cells, text_of

FINITE = st.floats(-1e12, 1e12)


def draw(xs: list[float], ys: list[float], width: int = 40, height: int = 12) -> list[Line]:
    return chart.plot(
        xs, ys, width, height, style="green", fill="fill", x_label=lambda x: f"{x:g}", y_label=lambda y: f"{y:g}"
    )


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


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(-5, 5)), min_size=1, max_size=200), st.integers(4, 60))
def test_columns_stay_between_the_smallest_and_the_largest_value(points: list[tuple[float, float]], count: int) -> None:
    """Law: a mean of points, or a line between two such means, cannot leave the range of the points."""
    points.sort()
    xs, ys = [x for x, _ in points], [y for _, y in points]
    means = chart.columns(xs, ys, 0.0, 100.0, count)
    known = [mean for mean in means if mean is not None]
    assert known
    assert all(min(ys) - 1e-9 <= mean <= max(ys) + 1e-9 for mean in known)


def test_gaps_between_points_are_bridged_and_those_outside_are_not() -> None:
    assert chart.columns([2, 6], [1.0, 3.0], 0, 8, 9) == [None, None, 1.0, 1.5, 2.0, 2.5, 3.0, None, None]


def test_a_value_that_is_not_finite_leaves_no_mark() -> None:
    assert chart.columns([0, 1, 2], [1.0, math.nan, 3.0], 0, 2, 3) == [1.0, 2.0, 3.0]
    assert draw([0, 1], [math.nan, math.inf]) == []


def test_a_straight_line_runs_from_corner_to_corner() -> None:
    grid, edge = chart.braille([float(v) for v in range(8)], 4, 2, 0.0, 7.0)
    assert edge[1][0]
    assert edge[0][3]
    assert not edge[1][3]
    assert all(grid[1])


@given(st.lists(st.floats(-100, 1000), min_size=1, max_size=80), st.integers(0, 120), st.integers(0, 40))
def test_every_row_of_a_chart_has_its_width(ys: list[float], width: int, height: int) -> None:
    lines = draw([float(x) for x in range(1, len(ys) + 1)], ys, width, height)
    assert len(lines) in (0, height)
    assert all(cells(line) == width for line in lines)


def test_axes_are_labelled_and_labels_are_whole() -> None:
    rows = text_of(draw([0, 4e6, 8e6], [0, 150, 316]))
    labels = [row[: row.index("┤")].strip() for row in rows if "┤" in row]
    assert labels == ["400", "300", "200", "100", "0"]
    assert rows[-1].split() == ["0", "2.5e+06", "5e+06", "7.5e+06"]


def test_the_axis_stays_where_it_is_while_points_come() -> None:
    """A chart whose axis moved with every point would be redrawn whole each time."""
    ends = {chart.roomy(x * 32_768.0) for x in range(240, 256)}
    assert len(ends) <= 3
    assert all(x * 32_768 <= chart.roomy(x * 32_768.0) <= 1.07 * x * 32_768 for x in range(1, 2000))


@given(
    st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=80), min_size=1, max_size=4),
    st.integers(0, 120),
    st.integers(0, 40),
)
def test_every_row_of_a_chart_of_shares_has_its_width(series: list[list[float]], width: int, height: int) -> None:
    given_ = [([float(x) for x in range(1, len(ys) + 1)], ys, "green") for ys in series]
    lines = chart.plot_shares(given_, width, height, x_label=lambda x: f"{x:g}")
    assert len(lines) in (0, height)
    assert all(cells(line) == width for line in lines)


def test_lines_of_shares_lie_between_nothing_and_all() -> None:
    rows = text_of(chart.plot_shares([([1, 2], [0, 0], "blue"), ([1, 2], [1, 1], "red")], 40, 11, x_label=str))
    marked = [row.partition("┤")[0].strip() for row in rows if any("\u2801" <= cell <= "\u28ff" for cell in row)]
    assert marked == ["100%", "0%"]
