"""Finding names by a few letters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perx_tui.tui.finding import rank
from perx_tui.tui.history import History
from perx_tui.tui.panels.metrics import find

NAMES = ("loss/entropy", "replay/entropy", "loss/explained_variance", "train/learning_rate", "episode/score", "sps")


@pytest.fixture
def history() -> History:
    made = History()
    made.feed([{"step": 1.0, "iteration": 1, "time": 0.5, **dict.fromkeys(NAMES, 1.0)}])
    return made


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("entr", ["loss/entropy", "replay/entropy"]),
        ("lossent", ["loss/entropy"]),
        ("le", ["train/learning_rate"]),
        ("variance", ["loss/explained_variance"]),
        ("wall time", ["sps"]),
        ("qqq", []),
        ("Score", ["episode/score"]),
    ],
)
def test_the_likeliest_come_first(history: History, typed: str, expected: list[str]) -> None:
    assert find(history, typed)[: max(1, len(expected))] == expected


def test_without_letters_all_are_there_in_the_order_of_the_catalogue(history: History) -> None:
    found = find(history, "")
    assert sorted(found) == sorted(NAMES)
    assert found[:2] == ["sps", "episode/score"]


@given(st.text("abc/_", max_size=8), st.text("abc/_", max_size=4))
def test_what_is_found_holds_the_letters_in_their_order(name: str, typed: str) -> None:
    """Law: a rank below 4 says that the typed letters are a subsequence of the name."""
    found = rank(name, name.rpartition("/")[2], "", typed)
    place = 0
    for letter in name:
        place += place < len(typed) and letter == typed[place]
    assert (found is not None) == (place == len(typed))
