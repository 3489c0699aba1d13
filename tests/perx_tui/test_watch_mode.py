"""Watch mode of the real program on a terminal: the policy plays while it trains, here and on attached screens."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .program import ENDLESS, answer, eventually, kill_runs, on_terminal, steps
from .pseudo_terminal import PseudoTerminal


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with a profile; what still trains there at the end is killed."""
    (tmp_path / "tiny.toml").write_text(ENDLESS)
    yield tmp_path
    kill_runs(tmp_path)


def step_of(terminal: PseudoTerminal) -> int:
    """The step of the episode that stands on the screen, 0 where there is none."""
    found = re.search(r"│ step +([\d,]+) │", terminal.text())
    return int(found[1].replace(",", "")) if found else 0


def held_step(terminal: PseudoTerminal) -> int:
    """The step at which a held game comes to stand: steps that were played before are still shown."""
    last, since = -1, time.monotonic()

    def look() -> bool:
        nonlocal last, since
        if (step := step_of(terminal)) != last:
            last, since = step, time.monotonic()
        return time.monotonic() - since > 0.7

    terminal.wait_for(look)
    return last


def pictures(terminal: PseudoTerminal, count: int) -> set[str]:
    """Different pictures of the game, as they come."""
    seen: set[str] = set()

    def look() -> bool:
        seen.add("\n".join(row[:48] for row in terminal.rows()[1:22]))
        return len(seen) >= count

    terminal.wait_for(look)
    return seen


def test_the_policy_plays_while_training_goes_on_and_keys_steer_it(folder: Path) -> None:
    run = folder / "runs" / "seen"
    with on_terminal(folder, "--profile", "tiny.toml", "--name", "seen") as terminal:
        terminal.wait_for(lambda: steps(run) > 0)
        terminal.press("w")
        terminal.wait_for("watch · policy of step")
        before = steps(run)
        assert len(pictures(terminal, 10)) >= 10
        terminal.wait_for(lambda: steps(run) > before)
        terminal.press(" ")
        terminal.wait_for("held")
        terminal.wait_for("► running")
        held, trained = held_step(terminal), steps(run)
        terminal.wait_for(lambda: steps(run) > trained)
        assert step_of(terminal) == held
        terminal.press("s")
        terminal.wait_for(lambda: step_of(terminal) in (held + 1, 1))  # 1 where an episode had just ended
        terminal.press("n")
        terminal.press("s")
        terminal.wait_for(lambda: step_of(terminal) == 1)
        terminal.press("x")
        terminal.wait_for("sampled")
        terminal.press(" ")
        terminal.press("+")
        terminal.wait_for("► 30/s")
        assert len(pictures(terminal, 5)) >= 5
        terminal.press("\x1b")
        terminal.wait_for("throughput")
        terminal.press("q")
        terminal.wait_for("Stop with a checkpoint")
        terminal.press("s")
        assert terminal.wait() == 0, terminal.output[-2000:]


def test_attached_screens_watch_the_same_game_and_leave_the_run_alone(folder: Path) -> None:
    started = answer(folder, "--profile", "tiny.toml", "--detach", "--name", "far")
    assert started.returncode == 0, started.stderr
    run = folder / "runs" / "far"
    with on_terminal(folder, "attach") as one, on_terminal(folder, "attach") as two:
        for terminal in (one, two):
            terminal.wait_for("running")
            terminal.press("w")
            terminal.wait_for("watch · policy of step")
            assert len(pictures(terminal, 5)) >= 5
        one.press(" ")
        one.wait_for("held")
        two.wait_for("held")
        held = step_of(two)
        two.press("s")
        for terminal in (one, two):
            terminal.wait_for(lambda terminal=terminal: step_of(terminal) == held + 1)
        one.press(" ")
        two.wait_for("► 15/s")
        one.hang_up()
        assert len(pictures(two, 5)) >= 5
        two.send(signal.SIGKILL)
    before = steps(run)
    eventually(lambda: steps(run) > before)


def test_without_colours_and_in_ascii_the_game_is_drawn_in_letters(folder: Path) -> None:
    run = folder / "runs" / "plain"
    with on_terminal(folder, "--profile", "tiny.toml", "--name", "plain", "--set", "ui.ascii=true") as terminal:
        terminal.wait_for(lambda: steps(run) > 0)
        terminal.press("w")
        terminal.wait_for("watch . policy of step")
        terminal.wait_for("7777")
        assert len(pictures(terminal, 5)) >= 5
        assert terminal.text().isascii()
        terminal.press("q")
        terminal.wait_for("Stop with a checkpoint")
        terminal.press("s")
        assert terminal.wait() == 0, terminal.output[-2000:]
