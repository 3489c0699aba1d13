"""The chart screen under every key and the mouse, and what is taken along from the app."""

from __future__ import annotations

import base64
import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
from driving import Stage, staged
from fakes import FakeSession, metrics, running, starting
from textual import events

from perx_tui.tui import taking
from perx_tui.tui.chart_choice import FIRST, Choice
from perx_tui.tui.lines import text_of
from perx_tui.tui.panels.metrics import find
from perx_tui.tui.remembered import ChartMemory
from perx_tui.tui.screens.chart import ChartScreen
from perx_tui.tui.screens.help import HelpScreen

SMALL, LARGE = (80, 24), (160, 48)


def charts(stage: Stage) -> Choice:
    return stage.app.view.charts


def chart(stage: Stage) -> list[str]:
    assert isinstance(stage.app.screen, ChartScreen)
    return text_of(stage.app.screen.chart._shown)


def panel(stage: Stage, name: str) -> str:
    assert isinstance(stage.app.screen, ChartScreen)
    return "\n".join(text_of(getattr(stage.app.screen, name)._shown))


def marked(rows: list[str]) -> bool:
    return any("\u2801" <= character <= "\u28ff" for row in rows for character in row)


async def pinned(stage: Stage, *keys: str) -> None:
    """The chart screen with further metrics pinned."""
    await stage.press("g", "slash")
    for key in keys:
        for _ in range(30):
            await stage.pilot.press("backspace")
        await stage.press(*(("slash" if c == "/" else "underscore" if c == "_" else c) for c in key), "space")
    await stage.press("escape")


@pytest.mark.parametrize("opening", [("g",), ("3", "f"), ("3", "enter"), ("f",)])
async def test_it_opens_by_its_key_and_in_place_of_a_larger_curve_panel(opening: tuple[str, ...]) -> None:
    async with staged(FakeSession(), LARGE) as stage:
        await stage.tick()
        await stage.press(*opening)
        assert marked(chart(stage))
        assert "episode/score over steps" in chart(stage)[0]
        await stage.press("escape")
        assert not isinstance(stage.app.screen, ChartScreen)
        assert stage.app.dashboard.maximized is None


async def test_the_same_key_closes_it() -> None:
    async with staged(FakeSession(), SMALL) as stage:
        await stage.tick()
        for key in ("g", "f"):
            await stage.press("g", "end")
            assert isinstance(stage.app.screen, ChartScreen)
            await stage.press(key)
            assert not isinstance(stage.app.screen, ChartScreen)
            assert charts(stage).cursor is not None, "it is where it was when one comes back"


async def test_without_a_point_it_says_so() -> None:
    async with staged(FakeSession(starting(), past=0), LARGE) as stage:
        await stage.press("g")
        assert "no episode has ended yet" in "".join(chart(stage))
        for key in (
            "left",
            "right",
            "home",
            "end",
            "pageup",
            "plus",
            "minus",
            "comma",
            "x",
            "l",
            "s",
            "0",
            "y",
            "w",
            "i",
        ):
            await stage.press(key)
        assert isinstance(stage.app.screen, ChartScreen)
        assert "no iteration has ended yet" in panel(stage, "metrics")


async def test_a_metric_is_found_by_letters_and_shown() -> None:
    async with staged(FakeSession(), SMALL) as stage:
        await stage.tick()
        await stage.press("g", "slash")
        assert "type a few letters" in panel(stage, "metrics")
        await stage.press(*"gradn")
        assert "loss/grad_norm" in panel(stage, "metrics")
        assert "Norm of the gradient over all parameters" in panel(stage, "about")
        await stage.press("enter")
        assert charts(stage).pinned == ["loss/grad_norm"]
        assert "loss/grad_norm over steps" in chart(stage)[0]
        assert marked(chart(stage))


async def test_letters_are_no_commands_while_one_searches() -> None:
    session = FakeSession(obey=True)
    async with staged(session, SMALL) as stage:
        await stage.tick()
        await stage.press("g", "enter", "c", "l", "i", "p", "question_mark")
        assert stage.commands == []
        assert isinstance(stage.app.screen, ChartScreen)
        assert stage.app.screen.metrics.typed == "clip?"
        await stage.press("backspace")
        assert panel(stage, "metrics").count("loss/clip_fraction") == 1
        await stage.press("escape")
        assert charts(stage).pinned == [FIRST]
        assert not charts(stage).log


async def test_keys_of_a_search_that_come_together_are_taken_in_their_order() -> None:
    """As a slow line brings them: none of the letters is a command."""
    async with staged(FakeSession(), LARGE) as stage:
        await stage.tick()
        await stage.press("g")
        for key in ("slash", *"gradno", "backspace", "enter", "l"):
            character = {"slash": "/", "enter": "\r", "backspace": "\x08"}.get(key, key)
            stage.app.post_message(events.Key(key, character))
        await stage.pilot.pause()
        await stage.pilot.pause()
        assert charts(stage).pinned == ["loss/grad_norm"]
        assert (charts(stage).log, charts(stage).stacked) == (True, Choice().stacked)


async def test_the_list_moves_and_says_when_nothing_is_like_it() -> None:
    async with staged(FakeSession(), SMALL) as stage:
        await stage.tick()
        await stage.press("g", "slash", "down", "down", "up")
        first = find(stage.app.view.history, "")
        assert stage.app.screen.about.key == first[first.index(FIRST) + 1]  # type: ignore[attr-defined]
        await stage.press(*"zzzq")
        assert "no metric is like zzzq" in panel(stage, "metrics")
        await stage.press("enter")
        assert charts(stage).pinned == [FIRST]


async def test_several_are_pinned_each_in_its_chart_or_over_one_another() -> None:
    async with staged(FakeSession(), LARGE) as stage:
        await stage.tick()
        await pinned(stage, "loss/value", "loss/entropy")
        assert charts(stage).pinned == [FIRST, "loss/value", "loss/entropy"]
        heads = [row for row in chart(stage) if any(key in row for key in charts(stage).pinned)][1:]
        assert len(heads) == 3, "a chart each, under its name"
        assert "►■ loss/entropy" in heads[2]
        await stage.press("o")
        (legend,) = [row for row in chart(stage)[1:-1] if all(key in row for key in charts(stage).pinned)]
        assert all(marker in legend for marker in "●▲■")
        body = "".join(chart(stage)[2:])
        assert all(body.count(marker) >= 3 for marker in "●▲■"), "on the lines and behind their ends"
        assert "each on its own scale; the axis is that of loss/entropy" in chart(stage)[-1]
        await stage.press("up")
        assert charts(stage).key == "loss/value"
        assert "the axis is that of loss/value" in chart(stage)[-1]
        await stage.press("d")
        assert charts(stage).pinned == [FIRST, "loss/entropy"]
        await stage.press("down", "backspace", "d")
        assert len(charts(stage).pinned) == 1
        assert "one metric stays" in stage.text


async def test_metrics_of_one_unit_stand_on_one_scale() -> None:
    async with staged(FakeSession(), LARGE) as stage:
        await stage.tick()
        await pinned(stage, "replay/ess", "replay/unused")
        await stage.press("up", "up", "d", "o")
        assert charts(stage).pinned == ["replay/ess", "replay/unused"]
        assert "own scale" not in chart(stage)[-1]
        assert any("%" in row.split("┤")[0] for row in chart(stage) if "┤" in row)


async def test_the_dashboard_shows_what_is_pinned_over_the_whole_run() -> None:
    async with staged(FakeSession(), LARGE) as stage:
        await stage.tick()
        assert "learning curve" in stage.rows("curve")[0]
        await pinned(stage, "loss/value")
        await stage.press("plus", "plus", "right", "escape", "escape")
        text = "\n".join(stage.rows("curve"))
        assert "curves" in stage.rows("curve")[0]
        assert "episode/score" in text
        assert "loss/value" in text
        assert "8M" in text, "all of the run, whatever the screen was zoomed to"
        assert "│" not in "".join(row.strip("│ ")[8:] for row in stage.rows("curve")[2:-3]), "no crosshair"


# ---- the axis ----


async def test_keys_zoom_pan_and_show_everything_again() -> None:
    async with staged(FakeSession(), LARGE) as stage:
        await stage.tick()
        await stage.press("g", "comma")
        assert "all of the run is in sight" in stage.text
        await stage.press("plus", "plus")
        start, end = charts(stage).window(stage.app.view.history)
        assert end - start == pytest.approx(8_388_608 / 1.5**2, rel=0.01)
        assert end >= 8_192_000, "without a crosshair it stays with the newest"
        assert "zoomed, newest" in chart(stage)[0]
        await stage.press("comma")
        earlier = charts(stage).window(stage.app.view.history)
        assert earlier[1] - earlier[0] == pytest.approx(end - start)
        assert earlier[0] < start
        assert "zoomed, newest" not in chart(stage)[0]
        await stage.press("full_stop", "full_stop")
        assert charts(stage).viewport.tail
        await stage.press("minus", "minus", "minus")
        assert charts(stage).viewport.whole
        await stage.press("plus", "0")
        assert charts(stage).viewport.whole


async def test_the_crosshair_reads_out_what_the_history_holds() -> None:
    async with staged(FakeSession(), LARGE) as stage:
        await stage.tick()
        await stage.press("g", "end")
        newest = metrics(250)
        assert f"episode/score {newest['episode/score']:.1f}" in chart(stage)[1]
        assert "8.19M steps, 3m 16s" in chart(stage)[0]
        assert "┴" in chart(stage)[-3]
        await stage.press("home")
        assert "32.8k steps, 1s" in chart(stage)[0]
        await stage.press("right", "right", "left", "pagedown")
        assert "at " in panel(stage, "about")
        x = charts(stage).cursor
        assert x is not None
        row = metrics(round(x / 32_768))
        assert f"episode/score {taking.names.spelling(FIRST)(row['episode/score'])}" in chart(stage)[1]
        await stage.press("escape")
        assert charts(stage).cursor is None
        assert isinstance(stage.app.screen, ChartScreen)


async def test_zooming_keeps_the_crosshair_in_its_column() -> None:
    async with staged(FakeSession(), LARGE) as stage:
        await stage.tick()
        await stage.press("g", "home", "pagedown", "pagedown", "pagedown")
        column = chart(stage)[-3].index("┴")
        await stage.press("plus")
        assert abs(chart(stage)[-3].index("┴") - column) <= 1


async def test_axis_scale_and_smoothing_are_changed_by_a_key_each() -> None:
    async with staged(FakeSession(), LARGE) as stage:
        await stage.tick()
        await stage.press("g", "x")
        assert "episode/score over time" in chart(stage)[0]
        assert "1m" in chart(stage)[-2]
        await stage.press("x", "l")
        assert "log" in chart(stage)[0]
        assert "values of zero and below are not on a logarithmic axis" in chart(stage)[-1]
        await stage.press("l", "s")
        assert "smoothed 1 %" in chart(stage)[0]
        assert "faint: as it came" in chart(stage)[-1]
        await stage.press("s", "s", "s")
        assert "smoothed" not in chart(stage)[0]


async def test_on_a_small_terminal_the_explanation_comes_by_a_key() -> None:
    async with staged(FakeSession(), SMALL) as stage:
        await stage.tick()
        await stage.press("g")
        assert "Rises towards" not in stage.text
        await stage.press("i")
        assert "Rises towards" in stage.text
        assert marked(chart(stage))
        await stage.press("escape")
        assert "Rises towards" not in stage.text
        assert isinstance(stage.app.screen, ChartScreen)


async def test_help_shows_the_keys_of_the_mode() -> None:
    async with staged(FakeSession(), SMALL) as stage:
        await stage.press("g", "question_mark")
        assert isinstance(stage.app.screen, HelpScreen)
        assert "Move the crosshair" in stage.text
        await stage.press("escape", "slash", "f1")
        assert "Pin it beside others" in stage.text


async def test_a_dense_run_shows_its_mean_before_its_range() -> None:
    session = FakeSession(running(6000))
    session.past[3000] = session.past[3000] | {"loss/grad_norm": 50.0}
    async with staged(session, LARGE) as stage:
        for _ in range(4):
            await stage.tick(2.0)
        await stage.press("g", "slash", *"gradn", "enter")
        assert "line: mean; shaded: smallest to largest" in chart(stage)[-1]
        assert "50.0" in panel(stage, "about"), "one iteration of six thousand"
        labels = [float(row.split("┤")[0].strip("│ ")) for row in chart(stage) if "┤" in row]
        assert max(labels) >= 40


async def test_it_is_drawn_anew_when_a_point_comes_and_not_otherwise() -> None:
    session = FakeSession(running(250))
    async with staged(session, LARGE) as stage:
        await stage.tick(2.0)
        await stage.press("g")
        screen = stage.app.screen
        assert isinstance(screen, ChartScreen)
        drawn = screen.chart._chart._picture
        await stage.tick(2.0)
        assert screen.chart._chart._picture is drawn
        session.current = running(251)
        session.past = FakeSession(session.current).past
        await stage.tick(2.0)
        assert screen.chart._chart._picture is not drawn


# ---- the mouse ----


async def test_the_mouse_puts_the_crosshair_zooms_and_pans() -> None:
    async with staged(FakeSession(), LARGE) as stage:
        await stage.tick()
        await stage.press("g")
        await stage.pilot.click("#chart", offset=(60, 20))
        await stage.pilot.pause()
        assert charts(stage).cursor is not None
        assert abs(chart(stage)[-3].index("┴") - 60) <= 1
        screen = stage.app.screen
        assert isinstance(screen, ChartScreen)
        await stage.pilot._post_mouse_events([_scroll_up()], widget="#chart", offset=(60, 20))
        await stage.pilot.pause()
        start, end = charts(stage).window(stage.app.view.history)
        assert end - start == pytest.approx(8_388_608 / 1.5, rel=0.01)
        await stage.pilot.mouse_down("#chart", offset=(60, 20))
        await stage.pilot._post_mouse_events([_move()], widget="#chart", offset=(50, 20), button=1)
        await stage.pilot.mouse_up("#chart", offset=(50, 20))
        await stage.pilot.pause()
        after = charts(stage).window(stage.app.view.history)
        cells = screen.chart.columns / 2
        assert after[0] - start == pytest.approx(10 / cells * (end - start), rel=0.05), "ten cells to the left"


def _scroll_up() -> type:
    from textual.events import MouseScrollUp

    return MouseScrollUp


def _move() -> type:
    from textual.events import MouseMove

    return MouseMove


async def test_a_click_on_a_metric_pins_it() -> None:
    async with staged(FakeSession(), LARGE) as stage:
        await stage.tick()
        await stage.press("g")
        await stage.pilot.click("#metrics", offset=(10, 1))
        await stage.pilot.pause()
        assert charts(stage).pinned == [FIRST, find(stage.app.view.history, "")[0]]


# ---- what is remembered ----


async def test_pins_are_there_again_the_next_time(tmp_path: Path) -> None:
    async with staged(FakeSession(), LARGE, chart_memory=ChartMemory(tmp_path)) as stage:
        await stage.tick()
        await pinned(stage, "loss/value")
        await stage.press("s")
    kept = json.loads((tmp_path / "charts.json").read_text())
    assert (kept["pinned"], kept["smoothing"]) == ([FIRST, "loss/value"], 1)
    async with staged(FakeSession(), LARGE, chart_memory=ChartMemory(tmp_path)) as stage:
        await stage.tick()
        assert "loss/value" in "\n".join(stage.rows("curve"))


async def test_a_bad_file_is_told_in_the_first_line(tmp_path: Path) -> None:
    (tmp_path / "charts.json").write_text("no")
    async with staged(FakeSession(), (200, 60), chart_memory=ChartMemory(tmp_path)) as stage:
        assert "is passed over: it is not JSON" in stage.header


# ---- taking along ----


def in_folder(folder: Path) -> FakeSession:
    return FakeSession(replace(running(), folder=str(folder)))


async def test_a_chart_is_saved_as_table_and_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perx_tui.report.picture.missing", lambda: True)
    async with staged(in_folder(tmp_path), (200, 60)) as stage:
        await stage.tick()
        await pinned(stage, "loss/value")
        await stage.press("s", "w", "w")
        assert "wrote" in stage.text
    names = sorted(path.name for path in (tmp_path / "charts").iterdir())
    stem = "episode-score-and-1-step-000008192000"
    assert names == [f"{stem}-2.csv", f"{stem}-2.svg", f"{stem}.csv", f"{stem}.svg"]
    with (tmp_path / "charts" / f"{stem}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 500
    value = next(row for row in rows if row["metric"] == "loss/value" and row["step"] == str(100 * 32_768))
    assert float(value["raw"]) == pytest.approx(metrics(100)["loss/value"])
    assert (tmp_path / "charts" / f"{stem}.svg").read_text().count("<polyline") == 4


async def test_the_screen_is_saved_as_a_picture(tmp_path: Path) -> None:
    async with staged(in_folder(tmp_path), (200, 60)) as stage:
        await stage.tick()
        await stage.press("S")
        assert f"wrote {tmp_path}/screenshots/screen-step-000008192000.svg" in stage.text
        await stage.press("S")
    first, second = sorted((tmp_path / "screenshots").iterdir(), key=lambda path: len(path.name))
    assert "throughput" in first.read_text()
    assert second.name == "screen-step-000008192000-2.svg"


@pytest.mark.parametrize("key", ["S", "w"])
async def test_a_folder_that_is_not_there_is_told(key: str, tmp_path: Path) -> None:
    async with staged(in_folder(tmp_path / "gone"), (200, 60)) as stage:
        await stage.tick()
        await stage.press("g", key)
        assert f"cannot write to {tmp_path / 'gone'}: No such file" in stage.text


async def test_before_there_is_a_folder_it_says_so() -> None:
    async with staged(FakeSession(starting(), past=0), LARGE) as stage:
        await stage.press("S")
        assert "the run has no folder yet" in stage.header


async def test_the_summary_a_panel_and_the_read_out_are_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    handed: list[str] = []
    monkeypatch.setattr(taking, "copy_by_tmux", handed.append)
    async with staged(FakeSession(), LARGE) as stage:
        await stage.tick()
        await stage.press("Y")
        assert "loss/entropy              0.5943 nats" in stage.app.clipboard
        assert "step                      8,192,000 of 30,000,000" in stage.app.clipboard
        assert "copied the summary" in stage.header
        await stage.press("4", "y")
        assert stage.app.clipboard.splitlines()[0].startswith("policy loss")
        assert "│" not in stage.app.clipboard
        await stage.press("g", "home", "y")
        assert stage.app.clipboard.split("\t")[0::2] == [FIRST, "step 32768"]
    assert len(handed) == 3


def test_text_goes_to_the_terminal_in_front_of_the_person() -> None:
    sequence = taking.clipboard_sequence("größer\n", {})
    assert sequence.startswith("\x1b]52;c;")
    assert sequence.endswith("\a")
    assert base64.b64decode(sequence[7:-1]).decode() == "größer\n"


def test_gnu_screen_gets_it_wrapped_in_small_pieces() -> None:
    wrapped = taking.clipboard_sequence("x" * 3000, {"STY": "1.pts"})
    pieces = [piece.removeprefix("\x1bP") for piece in wrapped.split("\x1b\\") if piece]
    assert max(map(len, pieces)) < 768
    assert "".join(pieces) == taking.clipboard_sequence("x" * 3000, {})
