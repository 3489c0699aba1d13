"""The comparison on a real terminal: it opens, and however it ends the terminal is given back."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path

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
    clean = {name: value for name, value in environment().items() if name != "COLUMNS"}
    with PseudoTerminal(command, tmp_path, clean, columns=80, lines=24) as terminal:
        terminal.wait_for("2 runs in 1 group")
        terminal.wait_for("r read again")
        assert not any("M previous" in row for row in terminal.rows()), "it would not fit whole"
        leave(terminal)
        assert terminal.wait() == code
        assert b"Traceback" not in terminal.output
        if code != 129:
            assert LEAVE_ALTERNATE_SCREEN in terminal.output
