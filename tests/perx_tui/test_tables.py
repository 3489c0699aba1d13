"""Tables on terminals of any width, and in pipes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import pytest

from perx_tui import tables, terminal

Printed = Callable[..., tuple[list[str], str]]
COLUMNS = ("run", "steps", "score", "seed", "note")
ROWS = [("first-run", "1.31M", "11.9", "1", "a note"), ("maze-experiment-a", "131k", "0.337", "2", "another note")]


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Printed:
    """Prints the table on a terminal of so many columns, or 0: in a pipe; standard output's lines, standard error."""

    def show(columns: int, rows: Sequence[Sequence[str]] = ROWS) -> tuple[list[str], str]:
        monkeypatch.setattr(terminal, "is_terminal", lambda stream: columns > 0)
        monkeypatch.setattr(terminal, "terminal_size", lambda: (columns, 24))
        tables.print_table(COLUMNS, rows, right=("steps", "score", "seed"), spare=("seed", "steps"))
        out, err = capsys.readouterr()
        return out.splitlines(), err

    return show


def test_where_there_is_room_everything_is_there(printed: Printed) -> None:
    lines, err = printed(80)
    assert lines[0].split() == list(COLUMNS)
    assert err == ""


@pytest.mark.parametrize(("columns", "gone"), [(52, ["seed"]), (44, ["seed", "steps"])])
def test_a_narrow_terminal_goes_without_what_it_can_spare(printed: Printed, columns: int, gone: list[str]) -> None:
    """In the order of `spare`, no more than it takes, and it is told; names and numbers stay whole."""
    lines, err = printed(columns)
    assert lines[0].split() == [each for each in COLUMNS if each not in gone]
    assert f"too narrow for {', '.join(gone)};" in err
    assert all(len(line) <= columns for line in lines)
    assert sum("maze-experiment-a" in line and "0.337" in line for line in lines) == 1
    assert len(lines) == 4


def test_long_texts_give_way_before_names_and_numbers(printed: Printed) -> None:
    note = "what somebody has written about this run in more words than a line of a terminal holds"
    lines, _ = printed(60, [(*ROWS[0][:4], note), ROWS[1]])
    assert all(len(line) <= 60 for line in lines)
    assert sum("maze-experiment-a" in line and "0.337" in line for line in lines) == 1
    whole = " ".join(" ".join(lines).split())
    assert all(word in whole for word in note.split())


def test_where_not_even_names_fit_they_are_folded_and_not_cut(printed: Printed) -> None:
    lines, _ = printed(20)
    assert all(len(line) <= 20 for line in lines)
    found = Counter(character for line in lines for character in line if character.isalnum())
    kept = [*COLUMNS[:1], *COLUMNS[2:3], *COLUMNS[4:], *(row[place] for row in ROWS for place in (0, 2, 4))]
    assert found == Counter(character for text in kept for character in text if character.isalnum())


def test_a_pipe_gets_every_column_whole(printed: Printed) -> None:
    lines, err = printed(0)
    assert lines[0].split() == list(COLUMNS)
    assert err == ""
    assert all(line == line.rstrip() for line in lines)
