"""A window that is dragged, shrunk to nothing and blown up: the screen survives, and is right when it comes to rest."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
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


@pytest.mark.parametrize(("cost", "rest"), [(0.0, 0.1), (0.0015, 0.1), (0.012, 0.4), (0.027, 0.9), (0.5, 1.0)])
def test_after_a_size_that_was_dear_the_next_is_drawn_later(
    monkeypatch: pytest.MonkeyPatch, cost: float, rest: float
) -> None:
    """Sizes take three hundredths of the time while they change, but one a second is drawn."""
    driver = TerminalDriver.__new__(TerminalDriver)
    monkeypatch.setattr(driver, "_app", SimpleNamespace(size=Size(120, 36)), raising=False)
    monkeypatch.setattr(time, "thread_time", lambda: 7.0 + cost)
    driver._redraw(Size(80, 24), 7.0)
    assert driver._rest == pytest.approx(rest)


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
