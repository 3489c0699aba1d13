"""The key table."""

from __future__ import annotations

from collections import Counter

from perx_tui.tui import PerxApp
from perx_tui.tui.keys import GROUPS, KEYS


def test_every_action_of_the_table_exists() -> None:
    for key in KEYS:
        if key.action is not None:
            assert hasattr(PerxApp, "action_" + key.action.partition("(")[0]), key


def test_no_key_stands_for_two_things() -> None:
    used = Counter(name for key in KEYS for name in key.keys.split(","))
    assert [name for name, times in used.items() if times > 1] == []


def test_no_key_is_taken_from_tmux_or_screen() -> None:
    taken = {f"ctrl+{letter}" for letter in "abosjhmz"}
    used = {name for key in KEYS for name in key.keys.split(",")}
    used |= {binding.key for binding in PerxApp.BINDINGS}  # type: ignore[union-attr]
    assert used.isdisjoint(taken)


def test_ranks_in_the_footer_are_unique_and_groups_are_known() -> None:
    ranks = [key.rank for key in KEYS if key.rank]
    assert len(ranks) == len(set(ranks))
    assert {key.group for key in KEYS} == set(GROUPS)
