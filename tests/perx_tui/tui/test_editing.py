"""Text to values, finding settings, undoing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import FieldInfo, Profile
from perx_tui.tui.editing import Edit, Edits, alternatives, find, parse, spell

PROFILE = Profile.load("breakout.toml")
FIELDS = PROFILE.fields()


@pytest.mark.parametrize("info", FIELDS, ids=lambda info: info.key)
def test_every_value_is_spelled_so_that_it_reads_back_as_itself(info: FieldInfo) -> None:
    """Law: what the editor begins with is what is in force."""
    assert parse(info, spell(info.value)) == info.value


@given(st.floats(1e-9, 10))
def test_every_learning_rate_survives_being_spelled(value: float) -> None:
    info = PROFILE.info("train.learning_rate")
    assert parse(info, spell(value)) == value


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("train.clip", ""),
        ("train.clip", "nan"),
        ("train.clip", "inf"),
        ("train.clip", "0.2x"),
        ("run.checkpoint_every", "1.5"),
        ("run.checkpoint_every", "1e400"),
        ("replay.replacement", "yes"),
    ],
)
def test_text_of_the_wrong_form_says_what_is_expected(key: str, text: str) -> None:
    info = PROFILE.info(key)
    with pytest.raises(ValueError, match="must be"):
        parse(info, text)


def test_whole_numbers_may_be_written_with_an_exponent() -> None:
    assert parse(PROFILE.info("run.checkpoint_every"), "2e3") == 2000
    assert isinstance(parse(PROFILE.info("run.checkpoint_every"), "2e3"), int)


def test_words_are_offered_where_only_words_will_do() -> None:
    assert "uniform" in alternatives(PROFILE.info("replay.scheme"))
    assert alternatives(PROFILE.info("replay.replacement")) == ("true", "false")
    assert alternatives(PROFILE.info("train.clip")) == ()


@given(st.text(alphabet="abcdefglnrtv_. ", max_size=8))
def test_finding_lists_live_settings_first_and_nothing_twice(typed: str) -> None:
    found = find(FIELDS, typed)
    live = [info.live for info in found]
    assert live == sorted(live, reverse=True)
    assert len({info.key for info in found}) == len(found)


@pytest.mark.parametrize("info", [info for info in FIELDS if info.live], ids=lambda info: info.key)
def test_every_live_setting_is_first_for_its_own_name(info: FieldInfo) -> None:
    assert find(FIELDS, info.key)[0] == info
    assert find(FIELDS, info.leaf)[0].leaf.startswith(info.leaf)


def test_letters_in_order_and_words_of_the_help_find_too() -> None:
    assert find(FIELDS, "gael")[0].key == "train.gae_lambda"
    assert "train.entropy_coef" in [info.key for info in find(FIELDS, "entropy bonus")]
    assert find(FIELDS, "zzz") == []


@given(st.lists(st.booleans(), max_size=30))
def test_undoing_goes_back_through_the_changes_each_once(pattern: list[bool]) -> None:
    """Law: undo is the inverse of the newest change that was not taken back, as on a stack."""
    edits, stack = Edits(), []
    for number, undo in enumerate(pattern):
        if not undo:
            stack.append(number)
            edits.add(Edit("k", number - 1, number, number))
        elif edits.last is not None:
            assert edits.last.new == stack.pop()
            edits.add(Edit("k", edits.last.new, edits.last.old, number, undo=True))
    assert (edits.last is None) == (not stack)
