"""The key table."""

from __future__ import annotations

from collections import Counter

import pytest

from perx_tui.tui import PerxApp
from perx_tui.tui.browser.screen import BrowserScreen, RunsScreen
from perx_tui.tui.keys import (
    ALARM_KEYS,
    BROWSER_KEYS,
    CHART_KEYS,
    EDITOR_KEYS,
    FILTER_KEYS,
    GROUPS,
    KEYS,
    PRIORITIZATION_KEYS,
    RUNS_KEYS,
    SEARCH_KEYS,
    VIEWER_KEYS,
    WATCH_KEYS,
    Key,
)
from perx_tui.tui.screens.alarms import AlarmScreen
from perx_tui.tui.screens.chart import ChartScreen
from perx_tui.tui.screens.editor import EditorScreen
from perx_tui.tui.screens.full import FullScreen
from perx_tui.tui.screens.prioritization import PrioritizationScreen
from perx_tui.tui.screens.segment import SegmentScreen
from perx_tui.tui.screens.watch import WatchScreen

TABLES = (KEYS, PRIORITIZATION_KEYS, VIEWER_KEYS, EDITOR_KEYS, ALARM_KEYS, CHART_KEYS, SEARCH_KEYS,
          RUNS_KEYS, BROWSER_KEYS, FILTER_KEYS, WATCH_KEYS)  # fmt: skip


@pytest.mark.parametrize(
    ("table", "screen"),
    [
        (KEYS, FullScreen),
        (PRIORITIZATION_KEYS, PrioritizationScreen),
        (VIEWER_KEYS, SegmentScreen),
        (EDITOR_KEYS, EditorScreen),
        (ALARM_KEYS, AlarmScreen),
        (CHART_KEYS, ChartScreen),
        (SEARCH_KEYS, ChartScreen),
        (RUNS_KEYS, RunsScreen),
        (BROWSER_KEYS, BrowserScreen),
        (FILTER_KEYS, RunsScreen),
        (WATCH_KEYS, WatchScreen),
    ],
)
def test_every_action_of_the_tables_exists(table: tuple[Key, ...], screen: type) -> None:
    for key in table:
        if key.action is not None:
            owner = screen if key.action.startswith("screen.") else PerxApp
            assert hasattr(owner, "action_" + key.action.removeprefix("screen.").partition("(")[0]), key


@pytest.mark.parametrize("table", TABLES)
def test_no_key_stands_for_two_things(table: tuple[Key, ...]) -> None:
    used = Counter(name for key in table for name in key.keys.split(","))
    assert [name for name, times in used.items() if times > 1] == []


def test_no_key_is_taken_from_tmux_or_screen() -> None:
    taken = {f"ctrl+{letter}" for letter in "abosjhmz"}
    used = {name for table in TABLES for key in table for name in key.keys.split(",")}
    used |= {binding.key for binding in PerxApp.BINDINGS}  # type: ignore[union-attr]
    assert used.isdisjoint(taken)


def test_ranks_in_the_footer_are_unique_and_groups_are_known() -> None:
    for table in TABLES:
        ranks = [key.rank for key in table if key.rank]
        assert len(ranks) == len(set(ranks))
    assert {key.group for key in KEYS} == set(GROUPS)
