"""How often the screen is drawn: the governor's law, slow lines, and terminals that nobody looks at."""

from __future__ import annotations

import os
import select
import threading
import time
from pathlib import Path

import pytest
from driving import Clock, staged
from fakes import FakeSession
from pseudo_terminal import Terminal
from textual import events

from perx_tui.tui.link import QUESTION, Link
from perx_tui.tui.pace import SLOWEST, Governor, Pace, screen_time

PROGRAM = str(Path(__file__).parent / "fake_program.py")
PERIOD = 0.1


class Screen:
    """A simulated screen: a drawing costs so many seconds, and everything else so many a second."""

    def __init__(self, budget: float, drawing: float, rest: float = 0.0) -> None:
        self.now, self.used, self.drawings = 0.0, 0.0, 0
        self.drawing, self.rest = drawing, rest
        self.governor = Governor(budget, lambda: self.now, lambda: self.used)
        self.pace = Pace(PERIOD)

    def run(self, seconds: float) -> float:
        """Let time pass; the share of a core that the screen took."""
        before = self.used
        for _ in range(round(seconds / PERIOD)):
            self.now += PERIOD
            self.used += self.rest * PERIOD
            self.governor.measure()
            if self.pace.due(self.now, self.governor.stretch):
                self.drawings += 1
                self.used += self.drawing
        return (self.used - before) / seconds


@pytest.mark.parametrize("drawing", [0.0021, 0.004, 0.01, 0.015])
def test_the_governor_keeps_to_its_budget(drawing: float) -> None:
    """Law: where drawing as often as asked for costs more than the budget, the screen comes to take just that."""
    screen = Screen(0.02, drawing)
    screen.run(20)
    assert screen.run(60) == pytest.approx(0.02, rel=0.1)


def test_below_the_budget_nothing_is_held_back() -> None:
    screen = Screen(0.02, 0.0019)
    screen.run(30)
    assert screen.drawings == 300
    assert screen.governor.stretch == 1.0


def test_what_is_too_dear_is_slowed_no_further_than_the_limit() -> None:
    screen = Screen(0.02, 0.5)
    screen.run(30)
    assert screen.governor.stretch == SLOWEST


def test_what_does_not_come_from_drawing_counts_too() -> None:
    screen = Screen(0.02, 0.002, rest=0.01)
    screen.run(30)
    assert screen.run(60) == pytest.approx(0.02, rel=0.1)


def test_the_screen_slows_within_two_windows_and_comes_back_by_and_by() -> None:
    screen = Screen(0.02, 0.001)
    screen.run(10)
    screen.drawing = 0.01
    screen.run(4.2)
    assert screen.governor.stretch == pytest.approx(5, rel=0.1)
    screen.drawing = 0.001
    screen.run(4.2)
    assert 1 < screen.governor.stretch < 5
    screen.run(10)
    assert screen.governor.stretch == 1.0


def test_a_thread_that_ends_makes_no_negative_cost() -> None:
    screen = Screen(0.02, 0.001)
    screen.run(3)
    screen.used = 0.0
    screen.run(3)
    assert screen.governor.stretch == 1.0


@pytest.mark.parametrize(("stretch", "drawn"), [(1.0, 100), (1.3, 77), (2.0, 50), (7.5, 14)])
def test_a_pace_keeps_its_average_on_a_timer_that_is_never_punctual(stretch: float, drawn: int) -> None:
    pace = Pace(PERIOD)
    late = [0.0, 0.03, 0.01, 0.04]
    hits = sum(pace.due(PERIOD * k + late[k % 4], stretch) for k in range(100))
    assert hits == pytest.approx(drawn, abs=1)


def test_a_pace_does_not_catch_up_after_a_long_wait() -> None:
    pace = Pace(PERIOD)
    assert pace.due(0.0, 4.0)
    assert pace.due(60.0, 4.0)
    assert sum(pace.due(60.0 + PERIOD * k, 4.0) for k in range(1, 10)) == 2


def test_the_screens_time_holds_that_of_textuals_threads() -> None:
    stop = threading.Event()

    def spin() -> None:
        while not stop.is_set():
            sum(range(1000))

    before, own = screen_time(), time.thread_time()
    thread = threading.Thread(target=spin, name="textual-output")
    thread.start()
    time.sleep(0.3)
    took, own = screen_time() - before, time.thread_time() - own
    stop.set()
    thread.join()
    assert took > own + 0.02


def test_frames_wait_for_an_answer_that_is_late() -> None:
    clock = Clock()
    link = Link(clock)
    assert link.question() == QUESTION
    clock.now += 5
    assert not link.late, "a terminal that never answered"
    assert link.heard(events.CursorPosition(0, 0))
    assert not link.heard(events.Key("a", "a"))
    assert link.question() == QUESTION
    assert link.question() == ""
    clock.now += 0.4
    assert not link.late
    clock.now += 0.2
    assert link.late
    assert link.heard(events.CursorPosition(0, 0))
    assert not link.late
    clock.now += 1
    assert link.question() == QUESTION
    clock.now += 11
    assert not link.late, "an answer that is lost"
    assert link.question() == QUESTION


class Line:
    """A terminal behind a line of so many bytes a second, which answers questions when they get through."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal, self.received, self._tail = terminal, 0, b""

    def read(self, seconds: float, rate: float | None) -> int:
        """Reads for so long; the number of bytes."""
        began, got = time.monotonic(), 0
        while (now := time.monotonic()) - began < seconds:
            allowed = 65_536 if rate is None else int(rate * (now - began)) - got
            ready, _, _ = select.select([self.terminal.master], [], [], 0.02)
            if not ready or allowed <= 0:
                time.sleep(0.01)
                continue
            data = os.read(self.terminal.master, allowed)
            got += len(data)
            self.terminal._stream.feed(data)
            self._tail += data
            while QUESTION.encode() in self._tail:
                self._tail = self._tail.split(QUESTION.encode(), 1)[1]
                os.write(self.terminal.master, b"\x1b[1;1R")
            self._tail = self._tail[-8:]
        self.received += got
        return got


def test_a_slow_line_holds_frames_back_instead_of_queueing_them() -> None:
    """Law: what waits on the way to a slow terminal is what was sent within about a second, however long it is slow."""
    with Terminal([PROGRAM, "0.4"], 160, 48) as terminal:
        line = Line(terminal)
        line.read(6, None)
        terminal.wait_for("running", 30)
        fast = line.read(4, None) / 4
        assert fast > 1500
        line.read(10, 500)
        waiting = line.read(0.5, None)
        assert waiting < 2.5 * fast, f"{waiting} bytes were waiting, {fast:.0f} are sent in a second"
        terminal.send("?")
        line.read(1.5, None)
        assert "esc closes" in terminal.text


def test_a_slow_link_needs_less_than_five_kilobytes_a_second() -> None:
    rates = {}
    for mode in ("quick", "slow-link"):
        with Terminal([PROGRAM, "0.4", mode], 160, 48) as terminal:
            line = Line(terminal)
            line.read(6, None)
            terminal.wait_for("running", 30)
            line.read(2, None)
            rates[mode] = line.read(8, None) / 8
    assert rates["slow-link"] < 5000
    assert rates["slow-link"] < rates["quick"] / 2
    assert rates["quick"] < 20_000


def test_a_terminal_that_nobody_looks_at_is_left_alone() -> None:
    """Focus-out stops the pictures and almost all numbers; focus-in brings the newest at once."""
    with Terminal([PROGRAM, "0.4"], 160, 48) as terminal:
        terminal.wait_for("running", 30)
        terminal.pump(2)
        before = terminal.received
        terminal.pump(4)
        looked_at = terminal.received - before
        terminal.send("\x1b[O")
        terminal.wait_for("no focus: every 5 s")
        terminal.pump(0.5)
        before = terminal.received
        terminal.pump(4)
        assert terminal.received - before < looked_at / 3
        terminal.send("\x1b[I")
        terminal.wait_for("ui ")
        before = terminal.received
        terminal.pump(2)
        assert terminal.received > before


async def test_an_answer_is_shown_however_slow_the_screen_is() -> None:
    async with staged(FakeSession(obey=True), (120, 36)) as stage:
        stage.app._governor.stretch = SLOWEST
        await stage.tick()
        stage.app._numbers.due(stage.clock.now, SLOWEST)
        await stage.press("space")
        assert "pausing" in stage.header
        stage.clock.now += 0.1
        stage.app._paced_tick()
        await stage.pilot.pause()
        assert "paused" in stage.header
