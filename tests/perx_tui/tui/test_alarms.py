"""Alarms and states on the screen."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alarm_fakes import CLIP, ENTROPY, LATER, SPEED, alarmed, disconnected
from driving import Stage, build, staged
from fakes import EPOCH, FakeSession, failed, paused, running, starting
from pseudo_terminal import Terminal
from textual.pilot import Pilot

from engine import LogLine, Snapshot, alarm_rules
from perx_tui.tui.lines import text_of
from perx_tui.tui.panels.alarms import ActiveAlarms, alarm_lines
from perx_tui.tui.screens.alarms import AlarmScreen
from perx_tui.tui.states import STATES

PROGRAM = str(Path(__file__).parent / "fake_program.py")
ALL = alarmed(ENTROPY, CLIP, SPEED)
SIZES = [(80, 24), (160, 48)]


@pytest.fixture(autouse=True)
def stand_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ActiveAlarms, "wall", staticmethod(lambda: LATER))


@pytest.mark.parametrize("size", [(40, 12), (60, 20), *SIZES])
async def test_a_badge_tells_number_and_worst_alarm_without_colour(size: tuple[int, int]) -> None:
    async with staged(FakeSession(ALL), size) as stage:
        assert "! 3" in stage.header
        if size[0] >= 60:
            assert "entropy collapse" in stage.header
        assert "► running" in stage.header
        assert "alarms" in stage.footer
        stage.session.current = replace(running(), sequence=999)
        await stage.tick()
        assert "!" not in stage.header
        assert "alarms" not in stage.footer


async def test_a_single_alarm_is_called_by_its_name() -> None:
    async with staged(FakeSession(alarmed(SPEED)), (160, 48)) as stage:
        assert "! alarm: training stalls" in stage.header


async def test_an_answer_to_a_key_keeps_its_room_beside_a_badge() -> None:
    async with staged(FakeSession(ALL), (80, 24)) as stage:
        await stage.press("s")
        assert "pause first (space), then s trains one iteration" in stage.header
        assert "! 3 " in stage.header


@pytest.mark.parametrize("size", SIZES)
async def test_the_screen_lists_every_alarm_with_beginning_value_and_advice(size: tuple[int, int]) -> None:
    async with staged(FakeSession(ALL), size) as stage:
        await stage.press("a")
        assert isinstance(stage.app.screen, AlarmScreen)
        text = " ".join(stage.text.replace("│", " ").split())
        for alarm in ALL.alarms:
            assert alarm.title in text
            assert alarm.text in text
            assert alarm.advice in text
            assert time.strftime("since %H:%M:%S", time.localtime(alarm.since)) in text
        await stage.press("a")
        assert not isinstance(stage.app.screen, AlarmScreen)


async def test_what_is_watched_is_shown_with_its_bound_where_there_is_room() -> None:
    async with staged(FakeSession(ALL), (160, 48)) as stage:
        await stage.press("a")
        rows = text_of(screen(stage).watched._shown)
        for rule in alarm_rules():
            (row,) = [row for row in rows if rule.title in row]
            assert rule.setting in row
        (row,) = [row for row in rows if "clip fraction" in row]
        assert "! clip fraction too high" in row
        assert "> 0.4" in row
        stage.session.set("alarms.clip_fraction_high", 0.0)
        await stage.tick()
        assert any("clip fraction" in row and " off " in row for row in text_of(screen(stage).watched._shown))


async def test_tab_leads_to_the_rules_where_only_one_panel_fits() -> None:
    async with staged(FakeSession(ALL), (80, 24)) as stage:
        await stage.press("a")
        assert "what is watched" not in stage.text
        await stage.press("tab")
        assert "what is watched" in stage.text
        stage.session.current = alarmed()
        await stage.tick()
        assert "nothing is wrong" in stage.text
        assert "what is watched" in stage.text, "without alarms both fit"


async def test_many_alarms_are_scrolled() -> None:
    many = alarmed(*(replace(ENTROPY, name=f"n{k}", title=f"alarm number {k}") for k in range(9)))
    async with staged(FakeSession(many), (80, 24)) as stage:
        await stage.press("a")
        assert "lines below" in stage.text
        assert "alarm number 8" not in stage.text
        await stage.press("end")
        assert "alarm number 8" in stage.text
        assert "lines below" not in stage.text
        await stage.press("home", "down")
        assert "alarm number 0" not in text_of(screen(stage).active._shown)[1]


async def test_alarms_that_are_switched_off_are_not_called_well() -> None:
    session = FakeSession(alarmed())
    session.set("alarms.enabled", False)
    async with staged(session, (80, 24)) as stage:
        await stage.press("a")
        assert "alarms are switched off" in stage.text
        assert "nothing is wrong" not in stage.text


async def test_alarms_stand_in_the_log_with_a_mark() -> None:
    async with staged(FakeSession(ALL), (160, 48)) as stage:
        rows = stage.rows("log")
        assert any("✗ entropy collapse: " in row for row in rows)
        assert any("! clip fraction too high: " in row for row in rows)


async def test_a_long_line_of_the_log_is_told_to_its_end() -> None:
    async with staged(FakeSession(ALL), (80, 24)) as stage:
        await stage.press("8", "f")
        text = " ".join(" ".join(row[1:-1] for row in stage.rows("log")).split())
        for alarm in ALL.alarms:
            assert f"{alarm.title}: {alarm.text}; {alarm.advice}" in text


@pytest.mark.parametrize("size", SIZES)
async def test_the_log_scrolls_to_its_first_line_and_back_to_its_last(size: tuple[int, int]) -> None:
    lines = tuple(LogLine(EPOCH + k, "warning", f"line {k} " + "word " * (k % 40)) for k in range(60))
    async with staged(FakeSession(replace(running(), log=lines)), size) as stage:
        await stage.press("8", "home")
        assert "line 0 " in stage.rows("log")[1]
        seen: set[int] = set()
        for _ in range(80):
            seen |= {k for k in range(60) for row in stage.rows("log") if f"line {k} " in row}
            await stage.press("down")
        assert seen == set(range(60))
        assert "newer below" not in stage.rows("log")[0]


async def test_a_click_on_the_badge_lists_the_alarms() -> None:
    async with staged(FakeSession(ALL), (80, 24)) as stage:
        await stage.pilot.click(offset=(stage.header.index("! 3"), 0))
        await stage.pilot.pause()
        assert isinstance(stage.app.screen, AlarmScreen)


@pytest.mark.parametrize("width", [20, 36, 76, 150])
def test_no_line_of_an_alarm_is_wider_than_its_panel(width: int) -> None:
    for alarm in ALL.alarms:
        lines = alarm_lines(alarm, width, time.gmtime, LATER)
        assert all(len(text) <= max(width, 2 + len(alarm.title)) for text in text_of(lines))


# ---- states ----

MOMENTS: dict[str, Callable[[], Snapshot]] = {
    "starting": starting,
    "running": running,
    "paused": paused,
    "saving": lambda: replace(running(), state="saving", stage="writing a checkpoint"),
    "finished": lambda: replace(running(), state="finished", stage=""),
    "failed": failed,
    "stopped": lambda: replace(running(), state="stopped", stage=""),
    "disconnected": disconnected,
}


def test_every_state_has_a_moment() -> None:
    assert set(MOMENTS) == set(STATES)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("state", MOMENTS)
async def test_every_state_is_told_in_words_with_what_to_know(state: str, size: tuple[int, int]) -> None:
    hints = {
        "starting": "loading torch",
        "running": "train 3/8",
        "paused": "space goes on, s trains one iteration",
        "saving": "writing a checkpoint",
        "finished": "all steps are done; q leaves",
        "failed": "q leaves",
        "stopped": "training has been stopped; q leaves",
        "disconnected": "nobody answers; trying again",
    }
    session = FakeSession(MOMENTS[state](), past=0 if state == "starting" else None)
    async with staged(session, size) as stage:
        assert STATES[state][0] in stage.header
        assert hints[state] in stage.header
        assert sum(text in stage.header for text, _ in STATES.values()) == 1


@pytest.mark.parametrize("state", ["starting", "disconnected"])
async def test_what_lasts_is_timed(state: str) -> None:
    async with staged(FakeSession(MOMENTS[state](), past=0), (80, 24)) as stage:
        assert "(" not in stage.header
        await stage.tick(12)
        assert "(12s)" in stage.header
        stage.session.current = replace(stage.session.current, stage="another thing", sequence=77)
        await stage.tick(1)
        assert "another thing" in stage.header
        assert "s)" not in stage.header


async def test_a_failure_outside_the_usual_folder_is_resumed_by_its_path() -> None:
    elsewhere = replace(failed(), folder="/data/kept here/breakout-20250615-120000")
    async with staged(FakeSession(elsewhere), (120, 36)) as stage:
        text = " ".join(stage.text.replace("│", " ").split())
        assert "perx-tui --resume '/data/kept here/breakout-20250615-120000'" in text
    async with staged(FakeSession(failed()), (120, 36)) as stage:
        assert "perx-tui --resume breakout-20250615-120000" in stage.text


async def test_a_run_that_comes_back_is_running_again() -> None:
    async with staged(FakeSession(disconnected()), (80, 24), attached=True) as stage:
        assert "? no answer" in stage.header
        stage.session.current = replace(running(260), sequence=1000)
        await stage.tick()
        assert "► running" in stage.header


# ---- looks ----


@pytest.mark.parametrize(
    ("moment", "size", "keys"),
    [
        (ALL, (80, 24), ()),
        (ALL, (80, 24), ("a",)),
        (ALL, (160, 48), ("a",)),
        (alarmed(), (80, 24), ("a",)),
        (disconnected(), (80, 24), ()),
        (disconnected(), (160, 48), ()),
    ],
)
def test_alarms_look_as_they_did(
    snap_compare: Any, moment: Snapshot, size: tuple[int, int], keys: tuple[str, ...]
) -> None:
    app = build(FakeSession(moment))

    async def prepare(pilot: Pilot[Any]) -> None:
        await pilot.pause()
        app.play()
        await pilot.press(*keys)
        await pilot.pause()
        app.tick()
        await pilot.pause()

    assert snap_compare(app, terminal_size=size, run_before=prepare)


# ---- a terminal without UTF-8 ----


@pytest.mark.parametrize("environment", [{"LANG": "C", "LC_ALL": ""}, {"TERM": "linux"}])
def test_no_byte_above_127_reaches_a_terminal_without_utf_8(environment: dict[str, str]) -> None:
    with Recorded([PROGRAM, "0.4"], 100, 30, **environment) as terminal:
        terminal.wait_for("> running")
        terminal.wait_for("score")
        for key, answer in (
            ("p", "priorities"),
            ("\x1b", "throughput"),
            ("v", "surprise"),
            ("\x1b", "throughput"),
            ("?", "esc closes"),
            ("?", "throughput"),
            ("a", "what is watched"),
        ):
            terminal.send(key)
            terminal.wait_for(answer)
        terminal.send("\x10")
        terminal.wait_for("Search")
        terminal.send("\x1b")
        terminal.pump(0.3)
        terminal.send("q")
        terminal.wait_for("Keep training headless")
        terminal.send("h")
        assert terminal.wait_exit() == 0
        assert len(terminal.bytes) > 20_000
        assert max(terminal.bytes) < 128


def test_sixteen_colours_are_asked_for_where_there_are_no_more() -> None:
    with Recorded([PROGRAM, "0.4"], 80, 24, TERM="xterm", COLORTERM="") as terminal:
        terminal.wait_for("running")
        terminal.pump(1.0)
        assert b"38;2" not in terminal.bytes
        assert b"38;5" not in terminal.bytes
        foregrounds = {cell.fg for row in terminal.screen.buffer.values() for cell in row.values()}
        assert len(foregrounds) >= 5


class Recorded(Terminal):
    """Keeps every byte that the program writes."""

    def __init__(self, *arguments: Any, **environment: str) -> None:
        self.bytes = bytearray()
        super().__init__(*arguments, **environment)
        feed = self._stream.feed

        def keep(data: bytes) -> None:
            self.bytes += data
            feed(data)

        self._stream.feed = keep


def screen(stage: Stage) -> AlarmScreen:
    assert isinstance(stage.app.screen, AlarmScreen)
    return stage.app.screen
