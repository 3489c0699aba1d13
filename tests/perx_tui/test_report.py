"""Figures for reports."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from perx_tui.report.figure import Axes, Figure, Trace, thinned, to_csv
from perx_tui.report.svg import to_svg

VALUES = st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=400)


@given(VALUES, st.integers(2, 40))
def test_thinning_keeps_the_extremes_the_order_and_the_bound(values: list[float], most: int) -> None:
    xs = [float(x) for x in range(len(values))]
    kept = thinned(xs, values, 0.0, float(len(values)), most)
    assert len(kept) <= max(most, 2)
    assert [x for x, _ in kept] == sorted({x for x, _ in kept})
    assert min(y for _, y in kept) == min(values)
    assert max(y for _, y in kept) == max(values)
    assert set(kept) <= set(zip(xs, values, strict=True))


def test_a_window_keeps_one_point_beyond_each_end_so_that_lines_reach_the_edges() -> None:
    xs = [float(x) for x in range(10)]
    assert [x for x, _ in thinned(xs, xs, 3.5, 6.5, 100)] == [3, 4, 5, 6, 7]
    assert thinned(xs, xs, 30, 40, 100) == []


def test_numbers_in_the_table_read_back_as_they_were() -> None:
    values = [0.1, 1e-300, 123456789.125, float("nan")]
    figure = Figure("f", [Axes("m", [Trace("c", [1.0, 2.0, 3.0, 4.0], values)])])
    lines = to_csv(figure).splitlines()
    assert [float(line.split(",")[3]) for line in lines[1:4]] == values[:3]
    assert lines[4].endswith(",4,")


def test_the_table_holds_the_window_and_no_more() -> None:
    figure = Figure("f", [Axes("m", [Trace("c", [1.0, 2.0, 3.0], [1.0, 2.0, 3.0])])], window=(1.5, 2.5))
    assert to_csv(figure).splitlines()[1:] == ["m,c,2,2"]


def test_a_figure_of_nothing_finite_is_still_a_picture() -> None:
    for log in (False, True):
        figure = Figure("f", [Axes("m", [Trace("c", [1.0], [float("nan")])])], log=log)
        assert to_svg(figure).endswith("</svg>\n")
