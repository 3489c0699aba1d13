"""The screen of the runs driven by its keys, alone and inside the training app, and its looks."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from driving import staged
from fakes import FakeSession, running
from run_fakes import MANY, NOW, StillWatch, info, on_disk
from textual import events
from textual.pilot import Pilot

from engine import RunInfo
from perx_tui.tui.browser import screen as runs_screen
from perx_tui.tui.browser.app import Answer, BrowserApp
from perx_tui.tui.browser.columns import COLUMNS
from perx_tui.tui.browser.screen import RunsScreen
from perx_tui.tui.screens.help import HelpScreen
from perx_tui.tui.screens.question import QuestionScreen


@dataclass
class Desk:
    """The browser on a screen, what it ran meanwhile, and what that shall say."""

    app: BrowserApp
    watch: StillWatch
    pilot: Pilot[Answer]
    ran: list[list[str]] = field(default_factory=list)
    said: str = ""

    async def press(self, *keys: str) -> str:
        await self.pilot.press(*keys)
        await self.pilot.pause()
        return self.text

    @property
    def text(self) -> str:
        return "\n".join(strip.text for strip in self.app.screen._compositor.render_strips())

    @property
    def chosen(self) -> str:
        run = self.app.runs.board.chosen
        assert run is not None
        return run.name

    async def until(self, what: Any) -> None:
        deadline = time.monotonic() + 20
        while not what():
            assert time.monotonic() < deadline
            await self.pilot.pause(0.02)


def build(runs: Sequence[RunInfo] = MANY, root: Path = Path("runs"), **options: Any) -> tuple[BrowserApp, StillWatch]:
    watch = StillWatch(tuple(runs), root)
    return BrowserApp(watch, **options), watch


@asynccontextmanager
async def at_desk(
    runs: Sequence[RunInfo] = MANY, root: Path = Path("runs"), size: tuple[int, int] = (120, 36)
) -> AsyncIterator[Desk]:
    def visit(options: Sequence[str]) -> str:
        desk.ran.append(list(options))
        return desk.said

    app, watch = build(runs, root, visit_command=visit)
    async with app.run_test(size=size) as pilot:
        desk = Desk(app, watch, pilot)
        await pilot.pause()
        yield desk


# ---- the list ----


async def test_it_opens_with_every_run_the_newest_first() -> None:
    async with at_desk(size=(160, 40)) as desk:
        for run in MANY:
            assert run.name in desk.text
        for text in ("8 runs, 2 live", "► running", "▌▌paused", "✓ finished", "■ stopped", "✗ failed", "? lost"):
            assert text in desk.text
        assert "! unreadable" in desk.text
        assert "4.00M/8.00M  50%" in desk.text
        assert desk.chosen == "night"
        assert desk.watch.running
        assert "free on the disk 40.0 GiB" in desk.text
        assert "all runs 33.0 MiB" in desk.text
    assert not desk.watch.running


async def test_arrows_choose_and_what_is_chosen_is_described() -> None:
    async with at_desk() as desk:
        assert "plain-s1" in await desk.press("down", "down")
        assert desk.chosen == "plain-s1"
        assert desk.watch.wanted == Path("runs/plain-s1")
        await desk.until(lambda: "newest step-000004000000" in desk.text)
        await desk.press("end")
        assert desk.chosen == "killed"
        await desk.press("up")
        assert desk.chosen == "broken"
        assert "newest step" not in desk.text, "the details are those of another run"
        await desk.press("home")
        assert desk.chosen == "night"


async def test_pages_move_by_what_is_seen() -> None:
    runs = [info(f"run-{k:03}", started=NOW - k) for k in range(1000)]
    async with at_desk(runs) as desk:
        page = desk.app.runs.list.page
        assert 10 < page < 36
        await desk.press("pagedown")
        assert desk.chosen == f"run-{page:03}"
        assert "of 1,000" in await desk.press("pageup")
        assert desk.chosen == "run-000"


async def test_left_and_right_sort_by_the_other_columns_and_o_turns_the_order_round() -> None:
    async with at_desk(size=(80, 24)) as desk:
        assert "▼started" in desk.text
        for column in COLUMNS:
            shown = await desk.press("right")
            assert column.heading + "▲" in shown or any(a + column.heading in shown for a in "▲▼"), column.heading
        assert "▼started" in shown
        await desk.press("left", "left", "left", "left", "left")
        assert "▼score" in desk.text
        assert desk.chosen == "plain-s2"
        assert "▲score" in await desk.press("o")
        assert desk.chosen == "maze-of-all-the-levels-there-are"


async def test_typing_filters_and_escape_shows_all_again() -> None:
    async with at_desk() as desk:
        shown = await desk.press("slash", *"maze q")
        assert "/maze q" in shown
        assert "no run has 'maze q'" in shown, "letters are text while one types, none of them a command"
        shown = await desk.press("backspace", "backspace", "d", "backspace")
        assert "1 of 2 (of 8)" in shown
        await desk.press("down")
        assert desk.chosen == "killed"
        shown = await desk.press("enter")
        assert "/maze" in shown
        assert "▏" not in shown, "the filter stays, the keys are those of the list again"
        assert not desk.app.runs.board.typing
        assert "1 of 8" in await desk.press("home", "escape", "home")
        await desk.press("slash", "x", "y", "z", "escape")
        assert len(desk.app.runs.board.rows) == len(MANY)


async def test_keys_that_come_together_are_taken_in_their_order() -> None:
    """As a slow line brings them: none of the letters is a command."""
    async with at_desk() as desk:
        for key in ("slash", *"dolost", "backspace", "enter", "o"):
            character = {"slash": "/", "enter": "\r", "backspace": "\x08"}.get(key, key)
            desk.app.post_message(events.Key(key, character))
        await desk.pilot.pause()
        await desk.pilot.pause()
        board = desk.app.runs.board
        assert (board.typed, board.typing, board.reversed) == ("dolos", False, True)
        assert not isinstance(desk.app.screen, QuestionScreen)


async def test_new_listings_come_in_by_themselves_and_the_cursor_stays() -> None:
    async with at_desk() as desk:
        await desk.press("down", "down")
        desk.watch.show(info("just-now", "running", started=NOW), *MANY)
        await desk.until(lambda: "just-now" in desk.text)
        assert desk.chosen == "plain-s1"
        desk.watch.show()
        await desk.until(lambda: "no runs in runs; start one with: perx-tui --profile breakout.toml" in desk.text)
        await desk.press("enter", "d", "c", "p", "r", "a", "space")
        assert desk.ran == []


async def test_the_mouse_chooses_sorts_and_opens(tmp_path: Path) -> None:
    runs = on_disk(tmp_path, *MANY)
    async with at_desk(runs, tmp_path) as desk:
        await desk.pilot.click("#runs", offset=(20, 4))
        assert desk.chosen == "plain-s1"
        await desk.pilot.click("#runs", offset=(20, 1))
        assert "run▲" in desk.text
        await desk.pilot.click("#runs", offset=(20, 1))
        assert "run▼" in desk.text
        desk.app.runs.board.sort(len(COLUMNS) - 1)
        await desk.pilot.click("#runs", offset=(20, 2), times=2)
        assert desk.ran == [["attach", str(tmp_path / "night"), "--runs", str(tmp_path)]]


# ---- opening ----


async def test_enter_attaches_to_a_live_run_and_shows_what_was_said(tmp_path: Path) -> None:
    async with at_desk(on_disk(tmp_path, *MANY), tmp_path) as desk:
        desk.said = "night goes on training"
        assert "night goes on training" in await desk.press("enter")
        await desk.press("a")
        assert desk.ran == [["attach", str(tmp_path / "night"), "--runs", str(tmp_path)]] * 2


@pytest.mark.parametrize(("key", "command"), [("p", "play"), ("c", "compare"), ("x", None), ("escape", None)])
async def test_enter_asks_what_to_do_with_a_run_that_has_ended(tmp_path: Path, key: str, command: str | None) -> None:
    async with at_desk(on_disk(tmp_path, *MANY), tmp_path) as desk:
        await desk.press("down", "down")
        assert "plain-s1 is finished at 4.00M of 8.00M steps" in await desk.press("enter")
        await desk.press(key)
        assert not isinstance(desk.app.screen, QuestionScreen)
        expected = [command, str(tmp_path / "plain-s1"), "--runs", str(tmp_path)]
        assert desk.ran == ([expected] if command else [])


@pytest.mark.parametrize("way", [("r", "r"), ("enter", "r", "r"), ("r", "enter")])
async def test_resume_asks_and_leaves_with_what_trains_the_run_on(tmp_path: Path, way: tuple[str, ...]) -> None:
    async with at_desk(on_disk(tmp_path, *MANY), tmp_path) as desk:
        await desk.press("down", "down", *way)
    assert desk.app.return_value == ("--resume", str(tmp_path / "plain-s1"), "--runs", str(tmp_path))


async def test_a_run_with_all_its_steps_is_resumed_to_twice_as_many(tmp_path: Path) -> None:
    runs = on_disk(tmp_path, info("done", step=8_000_000))
    async with at_desk(runs, tmp_path) as desk:
        assert "to 16.0M steps, twice as many" in await desk.press("r")
        await desk.press("r")
    assert isinstance(desk.app.return_value, tuple)
    assert desk.app.return_value[-2:] == ("--steps", "16000000")


async def test_resume_can_be_cancelled() -> None:
    async with at_desk() as desk:
        await desk.press("down", "down", "r", "c")
        assert desk.app.return_value is None
        assert "is training; a attaches to it" in await desk.press("home", "r")


async def test_p_plays_and_c_compares_the_marked_runs(tmp_path: Path) -> None:
    async with at_desk(on_disk(tmp_path, *MANY), tmp_path) as desk:
        await desk.press("down", "down", "p")
        assert "● 2 marked" in await desk.press("space", "down", "space")
        await desk.press("c")
        marked = [str(tmp_path / name) for name in ("plain-s1", "plain-s2")]
        assert desk.ran == [
            ["play", marked[0], "--runs", str(tmp_path)],
            ["compare", *marked, "--runs", str(tmp_path)],
        ]
        assert "marked" not in await desk.press("escape")
        assert desk.app.runs.board.marked == set()


async def test_what_cannot_be_opened_is_told() -> None:
    async with at_desk() as desk:
        assert "plain-s1 is finished, nobody trains it" in await desk.press("down", "down", "a")
        assert "run.json of \\x1b\\x5b31mred \\x5bbold\\x5d is damaged" in await desk.press("down", "enter")
        assert desk.ran == []


@pytest.mark.parametrize("key", ["a", "p", "c"])
async def test_a_run_that_vanished_before_it_was_opened_is_told_in_one_line(tmp_path: Path, key: str) -> None:
    runs = on_disk(tmp_path, MANY[0])
    async with at_desk(runs, tmp_path, size=(200, 40)) as desk:
        (runs[0].path / "run.json").unlink()
        runs[0].path.rmdir()
        assert f"there is no run folder '{runs[0].path}'" in await desk.press(key)
        assert desk.ran == []


# ---- deleting ----


async def test_d_names_the_run_and_its_size_and_enter_does_not_delete(tmp_path: Path) -> None:
    runs = on_disk(tmp_path, *MANY)
    async with at_desk(runs, tmp_path) as desk:
        shown = await desk.press("down", "down", "d")
        assert "plain-s1 (finished, 4.00M of 8.00M steps, 12.0 MiB)" in shown
        await desk.press("enter")
        assert not isinstance(desk.app.screen, QuestionScreen)
        await desk.press("d", "escape", "d", "c")
        assert all(run.path.exists() for run in runs)


@pytest.mark.parametrize("key", ["d", "delete"])
async def test_a_run_is_deleted_after_the_question(tmp_path: Path, key: str) -> None:
    runs = on_disk(tmp_path, *MANY)
    async with at_desk(runs, tmp_path) as desk:
        await desk.press("down", "down", key, "y")
        await desk.until(lambda: "deleted 1 run" in desk.text)
        assert [run.name for run in runs if not run.path.exists()] == ["plain-s1"]
        assert desk.chosen == "\\x1b\\x5b31mred \\x5bbold\\x5d", "the one that came into its place"


async def test_several_marked_runs_are_deleted_after_one_question(tmp_path: Path) -> None:
    runs = on_disk(tmp_path, *[info(f"run-{k:02}", started=NOW - k) for k in range(12)])
    async with at_desk(runs, tmp_path) as desk:
        shown = await desk.press(*["space"] * 11, "d")
        assert "delete these 11 runs for good?" in shown
        assert "run-00 (finished" in shown
        assert "and 3 more" in shown
        await desk.press("d", "d")
        assert all(run.path.exists() for run in runs), "d again is no answer"
        await desk.press("y")
        await desk.until(lambda: "deleted 11 runs" in desk.text)
        assert [run.name for run in runs if run.path.exists()] == ["run-11"]
        assert desk.app.runs.board.marked == set()


async def test_a_live_run_is_not_deleted_marked_or_not(tmp_path: Path) -> None:
    runs = on_disk(tmp_path, *MANY)
    async with at_desk(runs, tmp_path) as desk:
        assert "night is training; stop it first" in await desk.press("d")
        assert "take its mark away" in await desk.press("down", "down", "space", "home", "space", "d")
        assert not isinstance(desk.app.screen, QuestionScreen)
        assert all(run.path.exists() for run in runs)


async def test_what_could_not_be_deleted_is_listed(tmp_path: Path) -> None:
    """A link in place of a run: the folder it leads to must stay."""
    runs = on_disk(tmp_path / "runs", *MANY[1:3])
    (elsewhere,) = on_disk(tmp_path / "elsewhere", info("precious"))
    (tmp_path / "runs" / "link").symlink_to(elsewhere.path)
    link = replace(elsewhere, name="link", path=tmp_path / "runs" / "link", started=NOW)
    async with at_desk([*runs, link], tmp_path / "runs") as desk:
        await desk.press("space", "space", "d", "y")
        await desk.until(lambda: "not everything could be deleted" in desk.text)
        assert "'link' is a link and no run" in desk.text
        await desk.press("enter")
        assert "deleted 1 run" in desk.text
        assert (elsewhere.path / "run.json").exists()
        assert [run.path.exists() for run in runs] == [False, True]


# ---- leaving, help, sizes ----


@pytest.mark.parametrize(("key", "code"), [("q", 0), ("ctrl+c", 130)])
async def test_it_can_be_left(key: str, code: int) -> None:
    async with at_desk() as desk:
        await desk.press(key)
    assert desk.app.return_value == code


async def test_help_shows_the_keys_of_the_list_and_no_others() -> None:
    async with at_desk() as desk:
        shown = await desk.press("question_mark")
        assert isinstance(desk.app.screen, HelpScreen)
        for text in ("Mark the run", "Delete it", "Train on, here"):
            assert text in shown
        assert "Alarms" not in shown
        await desk.press("escape", "slash", "f1")
        assert "Words that a run must have" in desk.text


@pytest.mark.parametrize("size", [(1, 1), (39, 11), (40, 12), (60, 16), (80, 24), (169, 30), (170, 30), (300, 90)])
async def test_every_size_is_survived(size: tuple[int, int]) -> None:
    async with at_desk(size=size) as desk:
        await desk.press("down", "space", "right", "slash", "a", "enter", "escape", "o", "d", "escape")
        assert "night" in desk.text or size < (40, 12)
        await desk.pilot.resize_terminal(100, 30)
        await desk.pilot.pause()
        assert "of 8" in desk.text


# ---- inside the training app ----


def training(folder: Path) -> FakeSession:
    return FakeSession(replace(running(), folder=str(folder), run=folder.name))


@pytest.fixture
def others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[RunInfo, ...]:
    """Runs beside the one that trains; the app's watch shows them without a thread."""
    runs = on_disk(tmp_path, info("own", "running", started=NOW), *MANY)
    monkeypatch.setattr("perx_tui.tui.app.Watch", lambda root: StillWatch(runs, root))
    return runs


async def test_r_opens_the_list_over_the_training_and_closes_it(
    others: tuple[RunInfo, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr("perx_tui.tui.app.visit", lambda app, options: ran.append(list(options)) or "seen")
    async with staged(training(tmp_path / "own"), (120, 36)) as stage:
        await stage.press("r")
        screen = stage.app.screen
        assert isinstance(screen, RunsScreen)
        assert "plain-s1" in stage.text
        await stage.press("enter")
        assert "own is the run that you look at; esc goes back to it" in stage.text
        await stage.press("down", "a")
        assert ran == [["attach", str(tmp_path / "night"), "--runs", str(tmp_path)]]
        assert "seen" in stage.text
        await stage.press("r")
        assert not isinstance(stage.app.screen, RunsScreen)
        await stage.press("r", "escape")
        assert not isinstance(stage.app.screen, RunsScreen)
        assert stage.app.return_value is None, "the training goes on"


async def test_the_run_that_trains_offers_no_other_one_to_train(others: tuple[RunInfo, ...], tmp_path: Path) -> None:
    async with staged(training(tmp_path / "own"), (120, 36)) as stage:
        await stage.press("r", "down", "down", "down", "enter")
        assert "Play" in stage.text
        assert "Resume" not in stage.text


async def test_without_a_folder_there_is_no_list() -> None:
    async with staged(FakeSession(replace(running(), folder=""))) as stage:
        await stage.press("r")
        assert not isinstance(stage.app.screen, RunsScreen)
        assert "the run has no folder yet" in stage.header


# ---- looks ----


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 60)])
@pytest.mark.parametrize("keys", [("down", "down"), ("space", "down", "space", "d")], ids=["list", "question"])
def test_the_screen_looks_as_it_did(snap_compare: Any, size: tuple[int, int], keys: tuple[str, ...]) -> None:
    runs = [run for run in MANY if run.state != "running" or "d" not in keys]
    app, _ = build(runs if "d" not in keys else [run for run in runs if not run.live])

    async def prepare(pilot: Pilot[Any]) -> None:
        await pilot.pause()
        await pilot.press(*keys)
        await pilot.pause(runs_screen._LOOKS * 2)

    assert snap_compare(app, terminal_size=size, run_before=prepare)
