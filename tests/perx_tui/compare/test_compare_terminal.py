"""The comparison on a real terminal: it opens, and however it ends the terminal is given back."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from ...synthetic_runs import rows, write_run
from ..program import environment
from ..pseudo_terminal import PseudoTerminal

LEAVE_ALTERNATE_SCREEN = b"\x1b[?1049l"


def leave_by_key(terminal: PseudoTerminal) -> None:
    terminal.press("q")


def hang_up(terminal: PseudoTerminal) -> None:
    # The last key's answer ends the read that would otherwise keep the terminal's other end open.
    terminal.press("x")
    terminal.hang_up()


@pytest.mark.parametrize(
    ("leave", "code"),
    [
        (leave_by_key, 0),
        (lambda terminal: terminal.send(signal.SIGTERM), 143),
        (lambda terminal: terminal.send(signal.SIGINT), 130),
        (hang_up, 129),
    ],
    ids=["q", "SIGTERM", "SIGINT", "hang-up"],
)
def test_the_terminal_is_given_back(tmp_path: Path, leave: Callable[[PseudoTerminal], None], code: int) -> None:
    for seed in (1, 2):
        write_run(tmp_path / "runs", f"a-s{seed}", rows([1.0 * seed, 2.0, 3.0]), seed=seed)
    command = [sys.executable, "-m", "perx_tui", "compare", "a"]
    with PseudoTerminal(command, tmp_path, environment(), columns=80, lines=24) as terminal:
        terminal.wait_for("2 runs in 1 group")
        terminal.wait_for("r read again")
        assert not any("M previous" in row for row in terminal.rows()), "it would not fit whole"
        leave(terminal)
        assert terminal.wait() == code
        assert b"Traceback" not in terminal.output
        if code != 129:
            assert LEAVE_ALTERNATE_SCREEN in terminal.output


def test_a_stopped_comparison_comes_back_whole_and_reads_keys_once(tmp_path: Path) -> None:
    """A stop that no program can catch, and several continuations: a second reader would take every other key."""
    write_run(tmp_path / "runs", "a", rows([1.0, 2.0, 3.0]), seed=1)
    command = [sys.executable, "-m", "perx_tui", "compare", "a"]
    with PseudoTerminal(command, tmp_path, environment(), columns=100, lines=30) as terminal:
        terminal.wait_for("episode/score over steps")
        process = psutil.Process(terminal.process.pid)
        terminal.send(signal.SIGSTOP)
        terminal.wait_for(lambda: process.status() == psutil.STATUS_STOPPED)
        terminal.resize(90, 28)
        for pause in (0.001, 0.01, 0.5):
            terminal.send(signal.SIGCONT)
            time.sleep(pause)
        for _ in range(3):
            terminal.press("x")
            terminal.wait_for("episode/score over time")
            terminal.press("x")
            terminal.wait_for("episode/score over steps")
        assert "r read again" in terminal.rows()[27]
        terminal.press("q")
        assert terminal.wait() == 0
        assert LEAVE_ALTERNATE_SCREEN in terminal.output
