"""`perx-tui runs` in a pseudo-terminal: other commands take the terminal and give it back, runs go after a question."""

from __future__ import annotations

import os
import signal
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from .program import ENDLESS, TINY, answer, checkpoints, eventually, kill_runs, on_terminal, record, steps
from .pseudo_terminal import PseudoTerminal


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with a live run, `far`, and one that has ended, `near`; what still trains at the end is killed."""
    (tmp_path / "tiny.toml").write_text(TINY)
    (tmp_path / "endless.toml").write_text(ENDLESS)
    assert answer(tmp_path, "--profile", "tiny.toml", "--headless", "--name", "near").returncode == 0
    assert answer(tmp_path, "--profile", "endless.toml", "--detach", "--name", "far").returncode == 0
    yield tmp_path
    kill_runs(tmp_path)


def browser(folder: Path, columns: int = 100, lines: int = 30) -> PseudoTerminal:
    return on_terminal(folder, "runs", columns=columns, lines=lines)


def test_list_attach_leave_play_and_delete_with_a_question(folder: Path) -> None:
    near, far = folder / "runs" / "near", folder / "runs" / "far"
    with browser(folder) as terminal:
        terminal.wait_for("2 runs, 1 live")
        terminal.wait_for("►  ► running")
        terminal.press("\r")
        terminal.wait_for("throughput")
        terminal.wait_for("running")
        terminal.press("q")
        terminal.wait_for("Leave")
        terminal.press("l")
        terminal.wait_for("2 runs, 1 live")
        before = steps(far)
        terminal.press("d")
        terminal.wait_for("far is training; stop it first")
        terminal.press("\x1b[B")
        terminal.wait_for("►  ✓ finished")
        terminal.press("p")
        terminal.wait_for("space pause  s step")
        terminal.press("q")
        terminal.wait_for("2 runs, 1 live")
        terminal.press("d")
        terminal.wait_for("delete this run for good?")
        terminal.press("\r")
        terminal.wait_for(lambda: "Delete this run" not in terminal.text())
        assert near.exists()
        terminal.press("d")
        terminal.wait_for("Delete this run")
        terminal.press("y")
        terminal.wait_for("deleted 1 run")
        assert not near.exists()
        assert os.listdir(folder / "runs") == ["far"]
        terminal.press("q")
        assert terminal.wait() == 0
        assert termios.tcgetattr(terminal._master)[3] & termios.ICANON, "the terminal was left raw"
    eventually(lambda: steps(far) > before)


def test_resume_leaves_the_list_and_trains_on(folder: Path) -> None:
    near = folder / "runs" / "near"
    with browser(folder) as terminal:
        terminal.wait_for("2 runs, 1 live")
        terminal.press("\x1b[B")
        terminal.press("r")
        terminal.wait_for("twice as many")
        terminal.press("r")
        terminal.wait_for("✓ finished    all steps are done")
        terminal.press("q")
        assert terminal.wait() == 0
        assert b"finished at 5,120 of 5,120 steps" in terminal.output
    assert checkpoints(near)[-1] == "step-000000005120"


@pytest.mark.parametrize("where", ["list", "attached"])
def test_a_terminated_browser_gives_the_terminal_back_and_leaves_the_run_alone(folder: Path, where: str) -> None:
    far = folder / "runs" / "far"
    with browser(folder) as terminal:
        terminal.wait_for("2 runs, 1 live")
        if where == "attached":
            terminal.press("a")
            terminal.wait_for("throughput")
        terminal.send(signal.SIGTERM)
        assert terminal.wait() == 143
        assert termios.tcgetattr(terminal._master)[3] & termios.ICANON, "the terminal was left raw"
    before = steps(far)
    eventually(lambda: steps(far) > before)


def test_ctrl_c_in_another_command_comes_back_to_the_list(folder: Path) -> None:
    with browser(folder) as terminal:
        terminal.wait_for("2 runs, 1 live")
        terminal.press("\x1b[B")
        terminal.press("p")
        terminal.wait_for("space pause  s step")
        terminal.press("\x03")
        terminal.wait_for("2 runs, 1 live")
        terminal.press("\x03")
        assert terminal.wait() == 130


def test_a_browser_whose_terminal_goes_away_ends(folder: Path) -> None:
    with browser(folder) as terminal:
        terminal.wait_for("2 runs, 1 live")
        terminal.hang_up()
        assert terminal.process.wait(20) == 129


def test_from_a_run_that_trains_another_one_is_looked_at_and_the_first_goes_on(folder: Path) -> None:
    own = folder / "runs" / "own"
    with on_terminal(folder, "--profile", "endless.toml", "--name", "own", columns=100, lines=30) as terminal:
        terminal.wait_for("► running")
        terminal.press("r")
        terminal.wait_for("►  ► running     own")
        terminal.press("\x1b[B")
        terminal.wait_for("►  ► running     far")
        terminal.press("a")
        terminal.wait_for("throughput")
        before = steps(own)
        terminal.wait_for(lambda: steps(own) > before)
        terminal.press("q")
        terminal.wait_for("Leave")
        terminal.press("l")
        terminal.wait_for("►  ► running     far")
        terminal.press("r")
        terminal.wait_for("throughput")
        terminal.press("q")
        terminal.wait_for("Stop with a checkpoint")
        terminal.press("s")
        assert terminal.wait() == 0
    assert record(own)["state"] == "stopped"


def test_without_a_terminal_or_when_asked_it_is_a_table(folder: Path) -> None:
    table = answer(folder, "runs")
    assert (table.returncode, table.stderr) == (0, "")
    assert table.stdout.splitlines()[0].split() == [
        "run", "state", "steps", "of", "score", "steps/s", "on", "disk", "profile", "seed", "started"
    ]  # fmt: skip
    with on_terminal(folder, "runs", "--headless", columns=120, lines=30) as terminal:
        assert terminal.wait() == 0
        assert "steps/s" in terminal.text()
        assert b"\x1b[?1049h" not in terminal.output
