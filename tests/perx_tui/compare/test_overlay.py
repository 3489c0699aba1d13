"""Curves over one another as characters."""

from __future__ import annotations

import pytest

from perx_tui.compare.overlay import Look, plot
from perx_tui.tui.lines import Line, cells, text_of


def draw(*curves: Look, width: int = 60, height: int = 18, threshold: float | None = None) -> list[Line]:
    return plot(curves, width, height, x_label=lambda x: f"{x:g}", y_label=lambda y: f"{y:g}", threshold=threshold)


def flat(letter: str, hue: str, height: float, around: float | None = None, end: float = 100.0) -> Look:
    xs = [end * k / 50 for k in range(51)]
    values = [height] * 51
    if around is None:
        return Look(letter, hue, f"{hue}-shade", xs, values)
    return Look(letter, hue, f"{hue}-shade", xs, values, [height - around] * 51, [height + around] * 51)


def rows_in(lines: list[Line], style: str) -> set[int]:
    return {row for row, line in enumerate(lines) if any(name == style for _, name in line)}


@pytest.mark.parametrize(("width", "height"), [(20, 5), (33, 9), (60, 18), (158, 40)])
def test_every_line_has_its_width(width: int, height: int) -> None:
    lines = draw(flat("A", "blue", 3.0, 1.0), flat("B", "red", 70.0), width=width, height=height)
    assert len(lines) == height
    assert {cells(line) for line in lines[:-2]} == {width}
    assert {cells(line) for line in lines[-2:]} == {width - 2}, "no axis below the letters"


def test_where_there_is_no_room_or_nothing_to_draw_there_is_no_chart() -> None:
    assert draw(flat("A", "blue", 1.0), width=19) == []
    assert draw(flat("A", "blue", 1.0), height=3) == []
    assert draw() == []
    assert draw(Look("A", "blue", "s", [1.0], [float("nan")])) == []


def test_a_higher_curve_stands_higher_each_in_its_colour_with_its_letter_behind() -> None:
    lines = draw(flat("A", "blue", 20.0), flat("B", "red", 80.0))
    blue, red = rows_in(lines, "blue"), rows_in(lines, "red")
    assert len(blue) == len(red) == 1
    assert max(red) < min(blue)
    text = text_of(lines)
    assert text[min(blue)].rstrip().endswith("A")
    assert text[min(red)].rstrip().endswith("B")


def test_letters_of_curves_that_end_together_keep_their_order_and_all_are_seen() -> None:
    curves = [flat(letter, "blue", 50.0 + place * 0.01) for place, letter in enumerate("ABCDEF")]
    column = "".join(text[-1] for text in text_of(draw(*curves)[:-2]))
    assert column.replace(" ", "") == "FEDCBA"


def test_a_curve_that_ends_early_has_its_letter_there() -> None:
    lines = text_of(draw(flat("A", "blue", 20.0), flat("B", "red", 80.0, end=50.0)))
    place = next(line.index("B") for line in lines if "B" in line)
    assert 25 <= place <= 40


def test_an_interval_is_shaded_to_its_height() -> None:
    """On a scale from 0 to 100 over 16 rows, 50 give or take 25 takes about half of them."""
    lines = draw(flat("A", "blue", 50.0, 25.0), flat("B", "red", 100.0))
    shaded = {row for row, line in enumerate(lines) if any("blue-shade" in name for _, name in line)}
    assert 7 <= len(shaded) <= 10
    alone = draw(flat("A", "blue", 50.0), flat("B", "red", 100.0))
    assert not any("shade" in name for line in alone for _, name in line)


def test_intervals_that_meet_are_told_from_those_that_do_not() -> None:
    apart = draw(flat("A", "blue", 20.0, 8.0), flat("B", "red", 80.0, 8.0))
    meeting = draw(flat("A", "blue", 40.0, 20.0), flat("B", "red", 60.0, 20.0))
    assert not any("meet-shade" in name for line in apart for _, name in line)
    assert any("meet-shade" in name for line in meeting for _, name in line)


def test_the_threshold_is_a_line_of_its_own_within_the_scale() -> None:
    lines = text_of(draw(flat("A", "blue", 10.0), threshold=90.0))
    (row,) = [row for row, line in enumerate(lines) if "╌╌╌" in line]
    assert row < 4


def test_steep_curves_stay_connected() -> None:
    xs = [float(k) for k in range(101)]
    step = Look("A", "blue", "s", xs, [0.0 if x < 50 else 100.0 for x in xs])
    lines = draw(step)
    assert rows_in(lines, "blue") == set(range(min(rows_in(lines, "blue")), max(rows_in(lines, "blue")) + 1))
    assert len(rows_in(lines, "blue")) > 10
