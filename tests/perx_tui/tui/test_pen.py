"""What the terminal shows against what is to be shown: an emulator that gets the differences shows the same."""

from __future__ import annotations

import pyte
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.color import ColorSystem
from rich.style import Style

from perx_tui.tui.pen import PLAIN, Cell, Look, Pen, Sheet, cells_of, look, stretches

WIDTH = 24
TEXT = Look("", "38;2;200;200;200", "48;2;10;10;10")
DIM = Look("", "38;2;90;90;90", "48;2;10;10;10")
STRONG = Look("1", "38;2;200;200;200", "48;2;10;10;10")
BADGE = Look("1", "38;2;10;10;10", "48;2;20;90;200")
LINE = Look("4", "39", "49")

parts = st.tuples(st.text(alphabet="ab 0123▀⣿─日本", max_size=8), st.sampled_from([TEXT, DIM, STRONG, BADGE, LINE]))
rows = st.lists(parts, max_size=5).map(lambda each: row(*each))


def row(*each: tuple[str, Look]) -> list[Cell]:
    """A row of exactly `WIDTH` cells."""
    cells = cells_of(each)[:WIDTH]
    if cells and cells[-1][0] in "日本" and cells[-1][0]:
        cells[-1] = (" ", TEXT.blank())
    return cells + cells_of([(" " * (WIDTH - len(cells)), TEXT)])


def shown(*written: str) -> list[list[tuple[str, str, str, bool, bool]]]:
    """An emulator's rows after some writing; of blanks only what can be seen of them."""
    screen = pyte.Screen(WIDTH, 2)
    stream = pyte.Stream(screen)
    for text in written:
        stream.feed(text)
    cells = [[screen.buffer[y][x] for x in range(WIDTH)] for y in range(2)]
    return [
        [
            (c.data, c.fg, c.bg, c.bold, c.underscore) if c.data != " " else (" ", "", c.bg, False, c.underscore)
            for c in r
        ]
        for r in cells
    ]


def drawn(*screens: tuple[list[Cell], list[Cell]]) -> list[list[tuple[str, str, str, bool, bool]]]:
    """An emulator's rows after a sheet was given screens of two rows, one after the other."""
    sheet = Sheet()
    sheet.fit(WIDTH, 2)
    written = []
    for screen in screens:
        for y, cells in enumerate(screen):
            sheet.put(0, y, cells)
        written.append(sheet.take())
    return shown(*written)


@given(st.lists(st.tuples(rows, rows), min_size=1, max_size=4))
@example([(row(("日本", TEXT)), row()), (row(("a日", TEXT)), row())])
@example([(row(("a      b", TEXT)), row()), (row(("c      d", TEXT)), row())])
@example([(row(("ab", BADGE)), row(("x", STRONG))), (row(("  ", LINE)), row((" y", DIM)))])
def test_differences_leave_the_screen_that_a_full_drawing_leaves(screens: list[tuple[list[Cell], list[Cell]]]) -> None:
    """Law: however the terminal came to show what it shows, after the last screen it shows the last screen."""
    assert drawn(*screens) == drawn(screens[-1])


@given(rows)
def test_what_stands_there_already_costs_nothing(cells: list[Cell]) -> None:
    sheet = Sheet()
    sheet.fit(WIDTH, 2)
    sheet.put(0, 0, cells)
    assert sheet.take()
    sheet.put(0, 0, cells)
    assert sheet.take() == ""


def test_only_what_differs_is_sent() -> None:
    old, new = row(("speed 123456 ok", TEXT)), row(("speed 123457 ok", TEXT))
    assert stretches(old, new) == [(11, 12)]


def test_near_stretches_become_one_and_far_ones_two() -> None:
    old, new = row(("a-+-b------------c", TEXT)), row(("x-+-y------------z", TEXT))
    assert stretches(old, new) == [(0, 5), (17, 18)]


def test_a_colour_that_stands_is_not_sent_again() -> None:
    pen = Pen()
    pen.write(0, 0, cells_of([("a", TEXT), ("b", DIM), ("c", STRONG)]))
    pen.write(9, 0, cells_of([("d", STRONG)]))
    pen.write(0, 1, cells_of([("e", TEXT), ("   ", DIM), ("f", TEXT)]))
    assert pen.take() == (
        "\x1b[1;1H\x1b[38;2;200;200;200;48;2;10;10;10ma\x1b[38;2;90;90;90mb"
        "\x1b[1;38;2;200;200;200mc\x1b[10Gd"
        "\x1b[2;1H\x1b[0;38;2;200;200;200;48;2;10;10;10me   f\x1b[0m"
    )
    assert pen.take() == ""


def test_a_terminal_of_another_size_or_a_forgotten_one_gets_everything_again() -> None:
    sheet = Sheet()
    cells = row(("everything", TEXT))
    sheet.fit(WIDTH, 2)
    sheet.put(0, 0, cells)
    first = sheet.take()
    sheet.fit(WIDTH, 2)
    sheet.put(0, 0, cells)
    assert sheet.take() == ""
    sheet.forget()
    sheet.put(0, 0, cells)
    assert sheet.take() == first
    sheet.fit(WIDTH, 3)
    sheet.put(0, 0, cells)
    assert sheet.take() == first


def test_nothing_is_written_beyond_the_terminal() -> None:
    sheet = Sheet()
    sheet.fit(4, 1)
    sheet.put(2, 0, cells_of([("abcdef", TEXT)]))
    sheet.put(0, 1, cells_of([("x", TEXT)]))
    sheet.put(9, 0, cells_of([("y", TEXT)]))
    text = sheet.take()
    assert "ab" in text
    assert not set("cxy") & set(text)


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
    assert look(Style(), ColorSystem.TRUECOLOR) == look(None, ColorSystem.TRUECOLOR) == PLAIN
