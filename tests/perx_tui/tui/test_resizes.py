"""A window that is dragged, shrunk to nothing and blown up: the screen survives, and is right when it comes to rest."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from pseudo_terminal import Terminal
from textual.geometry import Size

from perx_tui.tui.driver import TerminalDriver
from perx_tui.tui.pen import PLAIN, Sheet

PROGRAM = str(Path(__file__).parent / "fake_program.py")
EDGES = ((1, 1), (2, 1), (1, 200), (500, 1), (2, 24), (39, 12), (40, 11), (40, 12), (500, 200))


def rows(terminal: Terminal) -> list[str]:
    """The screen without the panel of the game, which is played on, and the footer, which tells what the screen
    costs."""
    text = [row.rstrip() for row in terminal.screen.display]
    top = next(number for number, row in enumerate(text) if " episode" in row)
    left = text[top].rindex("╭", 0, text[top].index(" episode"))
    right = text[top].index("╮", left)
    return [row[:left] + row[right + 1 :] for row in text[:-1]]


@pytest.fixture
def paused() -> Iterator[Terminal]:
    """The program at 120x36, standing still."""
    with Terminal([PROGRAM, "0.4"], 120, 36) as terminal:
        terminal.wait_for("running", 30)
        terminal.wait_for("score", 30)
        terminal.send(" ")
        terminal.wait_for("paused", 30)
        terminal.wait_for("resume", 30)
        terminal.pump(1.5)
        yield terminal


def comes_to_rest(terminal: Terminal, expected: list[str]) -> None:
    """The terminal, of which nothing is known, shows the expected rows in time."""
    end = time.monotonic() + 20
    while rows_or_nothing(terminal) != expected and time.monotonic() < end:
        terminal.pump(0.1)
    assert rows(terminal) == expected


@pytest.mark.parametrize("keys", ["", "v"])
def test_a_hundred_sizes_leave_the_screen_that_was_there(paused: Terminal, keys: str) -> None:
    """Law: whatever sizes came before, quickly or slowly, in the end the screen is the one of this size."""
    before = rows(paused)
    generator = random.Random(f"sizes {keys}")
    paused.send(keys)
    for number in range(100):
        size = generator.randint(1, 500), generator.randint(1, 200)
        paused.resize(*(generator.choice(EDGES) if number % 3 == 0 else size))
        paused.pump(generator.choice((0.0, 0.0, 0.02, 0.12)))
        assert paused.process.poll() is None, paused.text
    paused.screen.reset()
    paused.resize(120, 36)
    if keys:
        paused.pump(1.0)
        paused.send("\x1b")
    comes_to_rest(paused, before)


def test_a_terminal_that_has_its_size_again_is_drawn_anew(paused: Terminal) -> None:
    """Between the two sizes it has lost what it showed, and the program may have seen no change at all."""
    before = rows(paused)
    for _ in range(5):
        paused.resize(20, 5)
        paused.resize(120, 36)
        paused.screen.reset()
        comes_to_rest(paused, before)


@pytest.mark.parametrize(("cost", "rest"), [(0.0, 0.1), (0.0005, 0.1), (0.004, 0.4), (0.027, 2.7), (0.5, 10.0)])
def test_after_a_size_that_was_dear_the_next_is_drawn_later(
    monkeypatch: pytest.MonkeyPatch, cost: float, rest: float
) -> None:
    """Sizes take a hundredth of the time while they change, but one in ten seconds is drawn."""
    driver = TerminalDriver.__new__(TerminalDriver)
    monkeypatch.setattr(driver, "_app", SimpleNamespace(size=Size(120, 36)), raising=False)
    monkeypatch.setattr(time, "thread_time", lambda: 7.0 + cost)
    driver._redraw(Size(80, 24), 7.0)
    assert driver._rest == pytest.approx(rest)


class Clock:
    """An event loop of which only the time passes."""

    def __init__(self) -> None:
        self.now = 100.0
        self._calls: list[tuple[float, Callable[..., None], tuple[object, ...]]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, call: Callable[..., None], *arguments: object) -> object:
        self._calls.append((when, call, arguments))
        return self._calls[-1]

    def pass_to(self, end: float) -> None:
        while self._calls and min(when for when, *_ in self._calls) <= end:
            due = min(self._calls, key=lambda entry: entry[0])
            self._calls.remove(due)
            self.now = max(self.now, due[0])
            due[1](*due[2])
        self.now = end


@pytest.mark.parametrize("rest", [0.1, 0.9, 3.0])
def test_of_a_drag_the_first_size_is_drawn_at_once_and_the_last_when_it_stands(
    monkeypatch: pytest.MonkeyPatch, rest: float
) -> None:
    """Law: between the two at most one size in `rest` seconds; a size that comes alone is never kept waiting."""
    clock, looks = Clock(), list[float]()
    driver = TerminalDriver.__new__(TerminalDriver)
    monkeypatch.setattr(driver, "_rest", rest, raising=False)
    monkeypatch.setattr(driver, "_resize", lambda loop, tell: looks.append(clock.now), raising=False)
    began = clock.now
    for number in range(200):  # ten seconds of it
        clock.pass_to(began + 0.05 * number)
        driver._after_resize(clock, None)  # type: ignore[arg-type]
    last = clock.now
    clock.pass_to(last + 20)
    assert looks[0] == began
    assert last < looks[-1] <= last + 0.16
    assert all(later - sooner >= rest - 1e-6 for sooner, later in itertools.pairwise(looks[:-1]))
    assert len(looks) >= 10 / rest - 2
    driver._after_resize(clock, None)  # type: ignore[arg-type]
    assert looks[-1] == clock.now


def rows_or_nothing(terminal: Terminal) -> list[str]:
    """The rows; none while the screen is not drawn."""
    try:
        return rows(terminal)
    except (StopIteration, ValueError):
        return []


def test_cells_beyond_the_terminal_are_left_out() -> None:
    """A panel may still end where the terminal did a moment ago."""
    sheet = Sheet()
    sheet.fit(2, 2)
    for x, y in ((3, 0), (5, 1), (1, 2), (0, 7), (-1, 0)):
        sheet.put(x, y, [("x", PLAIN)] * 4)
    assert sheet.take() == ""
    sheet.put(1, 1, [("x", PLAIN)] * 4)
    assert sheet.take().count("x") == 1
