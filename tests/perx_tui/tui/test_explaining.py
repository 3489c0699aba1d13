"""What figures mean: on a screen of its own, and in the last line for the one under the pointer."""

from __future__ import annotations

from pathlib import Path

import pytest
from driving import staged
from fakes import FakeSession, on_gpu, running
from textual.command import CommandPalette

from engine import METRIC_CATALOGUE
from perx_tui.tui.arrangement import PANELS
from perx_tui.tui.explaining import SUBJECTS, explained, figure_at
from perx_tui.tui.keys import (
    ALARM_KEYS,
    CHART_KEYS,
    EDITOR_KEYS,
    EXPLAIN_KEYS,
    PRIORITIZATION_KEYS,
    VIEWER_KEYS,
    Key,
)
from perx_tui.tui.remembered import Welcome
from perx_tui.tui.screens.chart import ChartScreen
from perx_tui.tui.screens.explain import ExplainScreen
from perx_tui.tui.view import View

CURSOR = {"move", "page", "end", "curve", "scroll", "confirm", "erase", "turn", "back", "close", "pick"}
"""What makes sense only as a key."""


def flat(text: str) -> str:
    """The screen without frames and line breaks."""
    return " ".join(text.replace("│", " ").split())


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize("snapshot", [running, on_gpu])
def test_every_figure_has_a_meaning_and_metrics_say_what_is_healthy(subject: str, snapshot: object) -> None:
    figures = explained(subject, View(snapshot()))  # type: ignore[operator]
    assert figures
    for figure in figures:
        assert figure.meaning.endswith(".")
        assert not figure.key or (figure.key in METRIC_CATALOGUE and figure.healthy)
    assert len({figure.label for figure in figures}) == len(figures)


@pytest.mark.parametrize("name", ["throughput", "losses", "phases", "replay", "memory"])
async def test_every_name_on_a_panel_is_explained_under_that_name(name: str) -> None:
    """Law: no figure stands on a maximized panel without its explanation. A name is what begins a row, or a column."""
    async with staged(FakeSession(), (160, 48)) as stage:
        await stage.press(str(PANELS.index(name) + 1), "f")
        rows = stage.rows(name)
        figures = explained(name, stage.app.view)
        groups = {"collect", "train"}
        for y, (left, text) in enumerate((row.partition("│")[0], row.strip("│")) for row in rows):
            words = text.split("  ")
            label = next((word.strip() for word in words if word.strip()), "")
            if left or not label[:1].isalpha() or label.split()[0] in groups or label.startswith("agent"):
                continue
            assert figure_at(figures, rows[y], rows[y].index(label) + 1) is not None, (label, rows[y])


def test_the_figure_under_the_pointer_is_the_one_whose_name_stands_before_it() -> None:
    figures = explained("replay", View(running()))
    row = "│ uses mean        1.00  weight min        0.42 │"
    assert figure_at(figures, row, 0) is None
    for x, label in ((2, "uses mean"), (20, "uses mean"), (27, "weight min"), (44, "weight min")):
        found = figure_at(figures, row, x)
        assert found is not None
        assert found.label == label
    assert figure_at(figures, "│ misuses mean 1.00 │", 12) is None


async def test_i_explains_the_focused_panel_and_the_tab_in_front_without_one() -> None:
    async with staged(FakeSession(), (80, 24)) as stage:
        await stage.press("i")
        assert "what the figures mean · learning curve" in stage.text
        await stage.press("escape", "5", "i")
        assert "what the figures mean · phases" in stage.text
        assert "Stepping the environments in C" in stage.text
        await stage.press("tab")
        assert "what the figures mean · prioritized replay" in stage.text
        await stage.press("shift+tab", "shift+tab")
        assert "what the figures mean · losses" in stage.text
        await stage.press("7")
        assert "memory" in stage.text.splitlines()[1]
        await stage.press("i")
        assert not isinstance(stage.app.screen, ExplainScreen)


@pytest.mark.parametrize(("key", "subject"), [("p", "prioritization screen"), ("v", "segment viewer")])
async def test_i_explains_the_screen_that_is_open(key: str, subject: str) -> None:
    async with staged(FakeSession(obey=True)) as stage:
        await stage.press(key, "i")
        assert f"what the figures mean · {subject}" in stage.text
        await stage.press("escape")
        assert not isinstance(stage.app.screen, ExplainScreen)


async def test_a_figure_that_is_chosen_is_seen_whole_and_shown_as_a_chart() -> None:
    async with staged(FakeSession(), (80, 24)) as stage:
        await stage.press("4", "i", "down", "down", "down", "down")
        assert "► clip fraction  loss/clip_fraction" in stage.text
        assert "5 to 30 %" in flat(stage.text)
        await stage.press("pagedown", "pagedown", "pagedown")
        assert "► minibatches" in stage.text
        await stage.press("home", "enter")
        assert isinstance(stage.app.screen, ChartScreen)
        assert stage.app.screen.charts.pinned == ["loss/policy"]


async def test_a_figure_without_a_curve_stays_where_it_is() -> None:
    async with staged(FakeSession(), (80, 24)) as stage:
        await stage.press("7", "i", "enter")
        assert isinstance(stage.app.screen, ExplainScreen)


# ---- the pointer ----


async def test_the_last_line_says_what_the_figure_under_the_pointer_means() -> None:
    async with staged(FakeSession(), (160, 48)) as stage:
        keys = stage.footer
        rows = stage.rows("losses")
        y = next(place for place, row in enumerate(rows) if "entropy" in row)
        await stage.pilot.hover("#losses", offset=(5, y))
        await stage.pilot.pause()
        assert "entropy: Mean entropy of the action probabilities" in stage.footer
        await stage.tick()
        assert "entropy: Mean entropy" in stage.footer
        await stage.pilot.hover("#losses", offset=(5, y + 1))
        await stage.pilot.pause()
        assert "entropy: Mean" not in stage.footer
        await stage.tick(9.0)
        assert stage.footer == keys
        await stage.pilot.hover("#losses", offset=(5, y))
        await stage.press("n")
        assert stage.footer == keys


# ---- who is new here ----


async def test_somebody_new_is_told_how_to_find_the_way_until_some_keys_were_pressed(tmp_path: Path) -> None:
    folder = tmp_path / "config"
    async with staged(FakeSession(), (80, 24), welcome=Welcome(folder)) as stage:
        await stage.tick()
        assert "new here?  ? shows all keys  i says what the figures mean  q leaves" in stage.footer
        await stage.press("4", "5")
        assert "new here?" in stage.footer
        assert not folder.exists()
        await stage.press("3")
        assert "new here?" not in stage.footer
        assert "space pause" in stage.footer
    assert (folder / "welcomed").exists()
    assert not Welcome(folder).wanted
    assert not Welcome(None).wanted


def test_a_folder_that_cannot_be_written_costs_the_memory_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("in the way")
    welcome = Welcome(tmp_path / "config")
    assert welcome.wanted
    assert [welcome.press() for _ in range(4)] == [False, False, True, False]
    assert not welcome.wanted


# ---- the palette ----


@pytest.mark.parametrize(
    "table", [PRIORITIZATION_KEYS, VIEWER_KEYS, EDITOR_KEYS, ALARM_KEYS, CHART_KEYS, EXPLAIN_KEYS], ids=len
)
def test_everything_a_screen_does_has_a_name_in_the_palette(table: tuple[Key, ...]) -> None:
    for key in table:
        action = (key.action or "").partition("(")[0]
        if action.startswith("screen.") and action.removeprefix("screen.") not in CURSOR:
            assert key.command, key


async def test_the_palette_has_the_commands_of_the_screen_that_is_open() -> None:
    async with staged(FakeSession()) as stage:
        await stage.press("g")
        charts = stage.app.screen
        assert isinstance(charts, ChartScreen)
        found = [each for each in stage.app.get_system_commands(charts) if each.title == "Logarithmic or linear axis"]
        assert len(found) == 1
        await stage.press("ctrl+p")
        assert isinstance(stage.app.screen, CommandPalette)
        await stage.press(*"logarithmic")
        await stage.pilot.pause(0.3)
        await stage.press("enter", "enter")
        await stage.pilot.pause(0.3)
        assert stage.app.screen is charts
        assert charts.charts.log
