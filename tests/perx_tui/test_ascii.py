"""Text for terminals without UTF-8."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from perx_tui.ascii import to_ascii
from perx_tui.terminal import ascii_only
from perx_tui.tui.states import STATES


@given(st.text())
def test_no_character_above_127_is_left_and_no_width_changes(text: str) -> None:
    shown = to_ascii(text)
    assert shown.isascii()
    printable = "".join(character for character in text if character.isprintable())
    assert cell_len(to_ascii(printable)) == sum(cell_len(character) for character in printable)


@given(st.text(st.characters(max_codepoint=127)))
def test_ascii_stays_as_it_is(text: str) -> None:
    assert to_ascii(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("╭─ log ─╮", "+- log -+"),
        ("━━━───", "===---"),
        ("█▌ ▁▂▃▄▅▆▇█", "#| _.:.=+*#"),
        ("⠁⠈⡀⢀⡇⣿⠒⠤⢄⠑⠀", "''..|#-..\\ "),
        ("► running ✓ ✗ …", "> running v x ~"),
        ("é ü", "e u"),
        ("日本", "????"),
    ],
)
def test_shapes_keep_their_likeness(text: str, shown: str) -> None:
    assert to_ascii(text) == shown


def test_every_state_is_told_by_its_word_and_mark_in_ascii_too() -> None:
    badges = [to_ascii(text) for text, _ in STATES.values()]
    assert len(set(badges)) == len(STATES)
    for state, badge in zip(STATES, badges, strict=True):
        word = "no answer" if state == "disconnected" else state
        assert badge.endswith(word)
        assert not badge[0].isspace()


@pytest.mark.parametrize(
    ("environment", "limited"),
    [
        ({}, False),
        ({"LANG": "en_US.UTF-8"}, False),
        ({"LANG": "C.UTF-8"}, False),
        ({"LANG": "de_DE.utf8@euro"}, False),
        ({"LANG": "en_US"}, False),
        ({"LANG": "C"}, True),
        ({"LANG": "POSIX"}, True),
        ({"LANG": "de_DE.ISO-8859-1"}, True),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "C"}, True),
        ({"LANG": "en_US.UTF-8", "LC_CTYPE": "POSIX"}, True),
        ({"LANG": "C", "LC_CTYPE": "en_US.UTF-8"}, False),
        ({"LANG": "C", "LC_ALL": ""}, True),
        ({"LANG": "C", "LC_CTYPE": "C", "LC_ALL": "en_US.UTF-8"}, False),
        ({"LANG": "en_US.UTF-8", "TERM": "linux"}, True),
    ],
)
def test_the_locale_says_what_may_be_shown(environment: dict[str, str], limited: bool) -> None:
    assert ascii_only(environment) == limited
