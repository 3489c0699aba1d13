"""The whole program on a terminal: keys in, the screen read back, a run folder behind it."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from engine import RemoteSession
from perx_tui.picture import COLOURS

from .program import ENDLESS, answer, checkpoints, on_terminal, record, steps
from .pseudo_terminal import PseudoTerminal

LEAVE_ALTERNATE_SCREEN = b"\x1b[?1049l"
SHOW_CURSOR = b"\x1b[?25h"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("terminal")
    (path / "tiny.toml").write_text(ENDLESS)
    return path


def assert_screen_was_given_back(terminal: PseudoTerminal) -> None:
    """The alternate screen was left, and the cursor is shown in the end."""
    assert terminal.output.rfind(LEAVE_ALTERNATE_SCREEN) > terminal.output.rfind(b"\x1b[?1049h") > -1
    assert terminal.output.rfind(SHOW_CURSOR) > terminal.output.rfind(b"\x1b[?25l")


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (160, 48)])
def test_a_person_watches_pauses_saves_and_leaves(folder: Path, columns: int, lines: int) -> None:
    """Pause stops the steps, resume goes on, a checkpoint appears; what was saved can be played and resumed."""
    name = f"run-{columns}"
    run = folder / "runs" / name
    with on_terminal(folder, "--profile", "tiny.toml", "--name", name, columns=columns, lines=lines) as terminal:
        terminal.wait_for("running")
        terminal.wait_for(lambda: steps(run) > 0)
        terminal.wait_for("throughput")
        terminal.wait_for(name)

        terminal.press(" ")
        terminal.wait_for("paused")
        time.sleep(0.2)  # more than a minibatch of this profile takes
        held = steps(run)
        time.sleep(0.6)
        assert steps(run) == held

        terminal.press(" ")
        terminal.wait_for("running")
        terminal.wait_for(lambda: steps(run) > held)

        assert checkpoints(run) == []
        terminal.press("c")
        terminal.wait_for(lambda: checkpoints(run))
        terminal.wait_for(checkpoints(run)[-1])

        terminal.press("q")
        terminal.wait_for("Stop with a checkpoint")
        terminal.press("s")
        assert terminal.wait() == 0
        assert_screen_was_given_back(terminal)
        assert f"perx-tui --resume {name}".encode() in terminal.output
    assert record(run)["state"] == "stopped"

    played = answer(folder, "play", name, "--headless", "--json", "--episodes", "3")
    assert played.returncode == 0, played.stderr
    assert json.loads(played.stdout)["episodes"] == 3
    assert json.loads(played.stdout)["checkpoint"] == checkpoints(run)[-1]

    done = steps(run)
    resumed = answer(folder, "--resume", name, "--headless", "--steps", str(done + 512))
    assert resumed.returncode == 0, resumed.stderr
    assert steps(run) == done + 512


def test_training_goes_on_headless_when_the_screen_is_closed(folder: Path) -> None:
    """q and h: the same process trains on with a progress bar, until ctrl+c stops it with a checkpoint."""
    run = folder / "runs" / "kept"
    with on_terminal(folder, "--profile", "tiny.toml", "--name", "kept") as terminal:
        terminal.wait_for(lambda: steps(run) > 0)
        terminal.press(" ")
        terminal.wait_for("paused")
        terminal.press("q")
        terminal.wait_for("Keep training headless")
        terminal.press("h")
        terminal.wait_for(lambda: b"training goes on without the screen" in terminal.output)
        before = steps(run)
        terminal.wait_for(lambda: steps(run) > before)
        terminal.press("\x03")
        assert terminal.wait() == 130
        assert b"the checkpoint is being written" in terminal.output
        assert_screen_was_given_back(terminal)
    assert checkpoints(run)[-1] == f"step-{steps(run):012d}"


def test_of_a_run_that_ends_while_it_is_asked_about_nobody_says_that_it_goes_on(folder: Path) -> None:
    run = folder / "runs" / "ending"
    with on_terminal(folder, "--profile", "tiny.toml", "--name", "ending") as terminal:
        terminal.wait_for(lambda: steps(run) > 0)
        terminal.press("q")
        terminal.wait_for("Keep training headless")
        other = RemoteSession(run)
        other.start()
        other.stop()
        terminal.wait_for(lambda: record(run)["state"] == "stopped")
        other.close()
        terminal.press("h")
        assert terminal.wait() == 0
        assert b"stopped at " in terminal.output
        assert b"training goes on" not in terminal.output


def test_training_goes_on_when_the_terminal_goes_away(folder: Path) -> None:
    run = folder / "runs" / "alone"
    with on_terminal(folder, "--profile", "tiny.toml", "--name", "alone") as terminal:
        terminal.wait_for(lambda: steps(run) > 0)
        terminal.hang_up()
        time.sleep(0.5)
        before = steps(run)
        terminal.wait_for(lambda: steps(run) > before)
        assert terminal.process.poll() is None
        terminal.send(signal.SIGTERM)
        assert terminal.process.wait(30) == 143
    assert checkpoints(run)[-1] == f"step-{steps(run):012d}"
    assert record(run)["state"] == "stopped"


def test_sigterm_ends_the_screen_with_a_checkpoint(folder: Path) -> None:
    run = folder / "runs" / "ended"
    with on_terminal(folder, "--profile", "tiny.toml", "--name", "ended") as terminal:
        terminal.wait_for(lambda: steps(run) > 0)
        terminal.send(signal.SIGTERM)
        assert terminal.wait() == 143
        assert_screen_was_given_back(terminal)
    assert checkpoints(run)[-1] == f"step-{steps(run):012d}"


@pytest.fixture(scope="module")
def played(folder: Path) -> str:
    """The name of a run with a checkpoint."""
    done = answer(folder, "--profile", "tiny.toml", "--headless", "--name", "played", "--steps", "256")
    assert done.returncode == 0, done.stderr
    return "played"


def test_play_draws_the_game_and_gives_the_terminal_back(folder: Path, played: str) -> None:
    """Space holds the picture, s moves it one step, q leaves; a smaller terminal gets a smaller picture."""
    with on_terminal(folder, "play", played, "--fps", "30", lines=36) as terminal:
        terminal.wait_for("episode 1  step 2")
        assert "score" in terminal.rows()[1]
        assert "q quit" in terminal.text()
        bricks = {COLOURS[f"brick{number}"].lstrip("#") for number in range(1, 7)}
        assert bricks <= terminal.backgrounds()
        assert max(len(row) for row in terminal.rows()[2:-1]) <= 72

        terminal.press(" ")
        terminal.wait_for("paused")
        held = terminal.text()
        time.sleep(0.3)
        assert terminal.text() == held
        terminal.press("s")
        terminal.wait_for(lambda: terminal.text() != held)
        terminal.wait_for("paused")

        terminal.resize(40, 20)
        terminal.wait_for(lambda: "q quit" not in terminal.text())
        terminal.resize(30, 10)
        terminal.wait_for("the picture needs 36 columns")
        terminal.press("q")
        assert terminal.wait() == 0
        assert_screen_was_given_back(terminal)


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_play_and_gives_the_terminal_back(
    folder: Path, played: str, signum: signal.Signals, code: int
) -> None:
    with on_terminal(folder, "play", played) as terminal:
        terminal.wait_for("episode 1")
        terminal.send(signum)
        assert terminal.wait() == code
        assert_screen_was_given_back(terminal)


def test_play_ends_after_the_episodes_it_was_asked_for(folder: Path, played: str) -> None:
    with on_terminal(folder, "play", played, "--fps", "240", "--episodes", "1") as terminal:
        terminal.wait_for("episode 1")
        terminal.press("n")
        assert terminal.wait() == 0


def test_without_a_terminal_it_says_so_and_trains_headless(folder: Path) -> None:
    done = answer(folder, "--profile", "tiny.toml", "--name", "piped", "--steps", "256")
    assert done.returncode == 0
    assert done.stderr.splitlines()[0] == "perx-tui: standard output is not a terminal: training headless"
    assert steps(folder / "runs" / "piped") == 256
