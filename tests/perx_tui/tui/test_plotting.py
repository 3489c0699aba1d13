"""Curves as characters."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perx_tui.tui import chart, plotting
from perx_tui.tui.chart import Scale, Window
from perx_tui.tui.lines import Line, cells, text_of
from perx_tui.tui.plotting import Axis, Stroke

VALUES = st.lists(st.none() | st.floats(-2, 12), min_size=2, max_size=80)


def lit(bits: plotting.Bits, rows: int) -> set[tuple[int, int]]:
    """The dots (column, level from the bottom) of a pattern, by what Unicode says of braille."""
    order = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)]
    return {
        (2 * cell + side, rows * 4 - 1 - (4 * row + down))
        for (row, cell), pattern in bits.items()
        for number, (side, down) in enumerate(order)
        if pattern >> number & 1
    }


@given(VALUES, st.integers(2, 12))
def test_a_line_has_a_dot_for_every_value_and_no_gap_between_neighbours(values: list[float | None], rows: int) -> None:
    scale = Scale(0.0, 10.0, rows)
    dots = lit(plotting.stroke_bits(values, scale), rows)
    expected = set()
    for column, value in enumerate(values):
        if value is None:
            continue
        level = scale.level(value)
        assert level is not None
        levels = {level}
        before = scale.level(values[column - 1] or 0.0) if column and values[column - 1] is not None else None
        if before is not None and before < level:
            levels = set(range(before + 1, level + 1))
        elif before is not None and before > level:
            levels = set(range(level, before))
        expected |= {(column, each) for each in levels}
    assert dots == expected


@given(VALUES, st.integers(2, 12))
def test_an_area_has_every_dot_up_to_its_values(values: list[float | None], rows: int) -> None:
    scale = Scale(0.0, 10.0, rows)
    expected = {
        (column, level)
        for column, value in enumerate(values)
        if value is not None
        for level in range((scale.level(value) or 0) + 1)
    }
    assert lit(plotting.area_bits(values, scale), rows) == expected


def draw(*strokes: Stroke, span: int = 30, rows: int = 10) -> list[Line]:
    axis = Axis(chart.fitted(0.0, 10.0, rows)[1], chart.number_tick)
    return plotting.plot(strokes, Window(0.0, 100.0, span), rows, axis, chart.step_tick).lines


def flat(height: float, hue: str = "blue", span: int = 30, **more: object) -> Stroke:
    scale = chart.fitted(0.0, 10.0, 10)[0]
    return Stroke(hue, scale, [height] * (2 * span), **more)  # type: ignore[arg-type]


@given(st.lists(st.floats(-100, 1000), min_size=1, max_size=80), st.integers(10, 120), st.integers(2, 40))
def test_every_row_of_a_chart_has_its_width(ys: list[float], span: int, rows: int) -> None:
    window = Window(0.0, 80.0, span)
    values = chart.columns([float(x) for x in range(len(ys))], ys, 0.0, 80.0, 2 * span)
    scale, ticks = chart.fitted(min(ys), max(ys), rows)
    drawn = plotting.plot([Stroke("green", scale, values)], window, rows, Axis(ticks, chart.number_tick), str)
    assert len(drawn.lines) == rows + 2
    assert {cells(line) for line in drawn.lines} == {drawn.left + span}


def test_a_cell_shows_the_colour_of_the_line_that_has_most_of_it() -> None:
    rows = draw(flat(5.0, "blue"), flat(5.0, "red"))
    assert {style for line in rows for text, style in line if any("\u2801" <= c <= "\u28ff" for c in text)} == {"blue"}


def test_raw_values_behind_a_smoothed_line_never_hide_it() -> None:
    noisy = Stroke("blue-shade", flat(5.0).scale, [0.0, 10.0] * 30, under=True)
    rows = draw(noisy, flat(5.0, "blue"))
    (middle,) = [line for line in rows if any(style == "blue" for _, style in line)]
    assert cells(tuple(part for part in middle if part[1] == "blue")) == 30


def test_letters_stand_on_the_lines_and_behind_their_ends() -> None:
    text = text_of(draw(flat(2.0, "blue", letter="●", pace=12), flat(8.0, "red", letter="▲", pace=12)))
    low, high = (next(row for row in text if marker in row) for marker in "●▲")
    assert low.count("●") >= 2
    assert high.count("▲") >= 2
    assert low.rstrip().endswith("●")
    assert low.index("●") != high.index("▲")


def test_a_shading_lies_behind_the_line_and_reaches_as_far_as_the_values() -> None:
    rows = draw(flat(5.0, shade="blue-shade", band=[(3.0, 8.0)] * 30))
    shaded = [y for y, line in enumerate(rows) if any("blue-shade" in style for _, style in line)]
    scale = flat(5.0).scale
    assert abs(min(shaded) - (scale.row(8.0) or 0)) <= 1
    assert abs(max(shaded) - (scale.row(3.0) or 0)) <= 1
    assert shaded == list(range(min(shaded), max(shaded) + 1))
    assert any("blue on blue-shade" in style for line in rows for _, style in line)


def test_values_without_a_place_on_a_logarithmic_scale_leave_a_gap() -> None:
    scale, _ = chart.fitted(0.1, 100.0, 8, log=True)
    dots = lit(plotting.stroke_bits([1.0, 0.0, -1.0, math.nan, 1.0], scale), 8)
    assert {column for column, _ in dots} == {0, 4}


@given(st.integers(0, 12), st.integers(1, 4))
def test_putting_text_over_a_line_changes_those_cells_and_no_other(cell: int, length: int) -> None:
    line: Line = (("abc", "x"), ("def", "y"), ("ghi", "z"))
    result = plotting.put(line, cell, "****"[:length], "mark")
    plain = "abcdefghi"
    expected = plain[:cell] + "****"[:length][: max(0, 9 - cell)] + plain[cell + length :]
    assert text_of([result])[0] == expected[:9]
    styles = "".join(style[0] * len(text) for text, style in result)
    assert styles == "".join("m" if cell <= at < cell + length else "xxxyyyzzz"[at] for at in range(9))


@pytest.mark.parametrize("rows", [2, 3, 8])
def test_axes_carry_their_labels_in_the_rows_of_the_values(rows: int) -> None:
    scale, ticks = chart.fitted(0.0, 316.0, rows)
    text = text_of(
        plotting.plot([Stroke("green", scale, [0.0] * 40)], Window(0, 1, 20), rows, Axis(ticks, str), str).lines
    )
    for row, value in ticks.items():
        assert text[row].split("┤")[0].strip() == str(value)
