"""Lines of styled text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from perx_tui.tui.lines import Line, cells, clean, difference, fit, shorten, spread, text_of, wrap

TEXT = st.text(alphabet="ab é漢字🎮━█⣿", max_size=12)
LINES = st.lists(st.tuples(TEXT, st.sampled_from(["", "dim", "blue"])), max_size=5).map(tuple)


@given(LINES, st.integers(0, 30))
def test_a_fitted_line_has_exactly_the_width_asked_for(line: Line, width: int) -> None:
    assert cells(fit(line, width)) == width


@given(LINES, st.integers(0, 30))
def test_a_line_that_fits_keeps_all_its_text(line: Line, spare: int) -> None:
    fitted = fit(line, cells(line) + spare)
    assert text_of([fitted])[0].startswith(text_of([line])[0])


def test_a_line_that_does_not_fit_says_so_with_an_ellipsis() -> None:
    assert text_of([fit((("learning ", "dim"), ("curve", "")), 11)]) == ["learning c…"]
    assert text_of([fit((("ab", ""), ("cd", "")), 2)]) == ["a…"]


@given(LINES, LINES, st.integers(1, 40))
def test_a_difference_covers_every_cell_that_changed(one: Line, other: Line, width: int) -> None:
    """Law: outside the difference both lines show the same characters in the same styles."""
    old, new = fit(one, width), fit(other, width)
    first, end = difference(old, new)
    assert 0 <= first <= end <= width
    before, after = _by_cell(old), _by_cell(new)
    for cell in range(width):
        if not first <= cell < end:
            assert before[cell] == after[cell]


def _by_cell(line: Line) -> list[tuple[str, str, int]]:
    """Character, style and half of every cell."""
    return [
        (character, style, half)
        for text, style in line
        for character in text
        for half in range(cells(((character, style),)))
    ]


def test_a_difference_is_no_wider_than_the_change() -> None:
    old: Line = (("score 12", "strong"), (" " * 10, ""), ("end", "dim"))
    new: Line = (("score 13", "strong"), (" " * 10, ""), ("end", "dim"))
    assert difference(old, new) == (7, 8)
    assert difference(old, old) == (0, 0)


def test_text_from_outside_cannot_move_the_cursor() -> None:
    assert clean("a\x1b[2Jb\r\nc\x9bd") == "a·[2Jb··c·d"
    assert clean("Grüße 漢") == "Grüße 漢"


@given(TEXT, st.integers(0, 10))
def test_shortened_text_never_exceeds_its_width(text: str, width: int) -> None:
    assert cells(((shorten(text, width), ""),)) <= width


def test_the_right_end_is_given_up_before_the_left_one() -> None:
    left: Line = (("name", ""),)
    assert text_of([spread(left, (("12", ""),), 8)]) == ["name  12"]
    assert text_of([spread(left, (("12", ""),), 6)]) == ["name  "]


@given(st.text(alphabet="ab 漢\n", max_size=60), st.integers(2, 20))
def test_wrapping_loses_no_letters_and_keeps_the_width(text: str, width: int) -> None:
    rows = wrap(text, width)
    assert all(cells(((row, ""),)) <= width for row in rows)
    assert "".join("".join(rows).split()) == "".join(text.split())
