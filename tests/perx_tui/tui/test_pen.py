"""Changed cells as terminal sequences: an emulator that is given them shows what it would show drawn anew."""

from __future__ import annotations

import pyte
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.color import ColorSystem
from rich.style import Style

from perx_tui.tui.lines import Line, cells, fit
from perx_tui.tui.pen import Look, Pen, changes, look

WIDTH = 24
STYLES = {
    "": Look("", "38;2;200;200;200", "48;2;10;10;10"),
    "dim": Look("", "38;2;90;90;90", "48;2;10;10;10"),
    "strong": Look("1", "38;2;200;200;200", "48;2;10;10;10"),
    "blue!": Look("1", "38;2;10;10;10", "48;2;20;90;200"),
    "ball/floor": Look("", "38;2;255;255;255", "48;2;0;40;0"),
}

parts = st.tuples(st.text(alphabet="ab 0123▀⣿─日本", max_size=8), st.sampled_from(list(STYLES)))
lines = st.lists(parts, max_size=5).map(lambda each: fit(tuple(each), WIDTH))


def drawn(*steps: list[tuple[int, Line]]) -> list[list[tuple[str, str, str, bool]]]:
    """The first row of an emulator after stretches were written onto it, blanks without their foreground."""
    screen = pyte.Screen(WIDTH, 2)
    stream = pyte.Stream(screen)
    for stretches in steps:
        pen = Pen(STYLES.__getitem__)
        for x, text in stretches:
            pen.write(x, 0, text)
        stream.feed(pen.take())
    row = [screen.buffer[0][x] for x in range(WIDTH)]
    return [[(c.data, "" if c.data == " " else c.fg, c.bg, c.bold and c.data != " ") for c in row]]


@given(lines, lines)
@example(fit((("日本", ""),), WIDTH), fit((("a日", ""),), WIDTH))
@example(fit((("a      b", ""),), WIDTH), fit((("c      d", ""),), WIDTH))
def test_changes_leave_the_row_that_a_full_drawing_leaves(old: Line, new: Line) -> None:
    """Law: old row, then its changes = new row, for every pair of rows."""
    assert drawn([(0, old)], changes(old, new)) == drawn([(0, new)])


@given(lines)
def test_a_row_that_stays_costs_nothing(line: Line) -> None:
    assert changes(line, line) == []


def test_only_what_differs_is_sent() -> None:
    old, new = fit((("speed 123456 ok", ""),), WIDTH), fit((("speed 123457 ok", ""),), WIDTH)
    assert changes(old, new) == [(11, [("7", "")])]


def test_near_stretches_become_one_and_far_ones_two() -> None:
    old = fit((("a   b            c", ""),), WIDTH)
    new = fit((("x   y            z", ""),), WIDTH)
    assert changes(old, new) == [(0, [("x   y", "")]), (17, [("z", "")])]


def test_a_colour_that_stands_is_not_sent_again() -> None:
    pen = Pen(STYLES.__getitem__)
    pen.write(0, 0, [("a", ""), ("b", "dim"), ("c", "strong")])
    pen.write(9, 0, [("d", "strong")])
    pen.write(0, 1, [("e", "")])
    assert pen.take() == (
        "\x1b[1;1H\x1b[38;2;200;200;200;48;2;10;10;10ma\x1b[38;2;90;90;90mb"
        "\x1b[1;38;2;200;200;200mc\x1b[10Gd"
        "\x1b[2;1H\x1b[0;38;2;200;200;200;48;2;10;10;10me\x1b[0m"
    )
    assert pen.take() == ""


@pytest.mark.parametrize(
    ("colors", "expected"),
    [
        (ColorSystem.TRUECOLOR, Look("1", "38;2;255;0;0", "48;2;0;0;0")),
        (ColorSystem.EIGHT_BIT, Look("1", "38;5;196", "48;5;16")),
        (ColorSystem.STANDARD, Look("1", "31", "40")),
    ],
)
def test_a_look_uses_the_colours_that_the_terminal_has(colors: ColorSystem, expected: Look) -> None:
    assert look(Style(color="#ff0000", bgcolor="#000000", bold=True), colors) == expected


def test_a_look_without_colours_takes_the_terminals_own() -> None:
    assert look(Style(), ColorSystem.TRUECOLOR) == Look("", "39", "49")


def test_widths_agree() -> None:
    """The strategy above makes rows of the width that the painter expects."""
    assert cells(fit((("日本", ""),), WIDTH)) == WIDTH
