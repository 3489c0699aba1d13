"""What signals do to a run on a terminal: how soon it ends, what it leaves, and in which state the terminal is."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import psutil
import pytest

from engine import RemoteSession, RunFolder
from perx_tui.signals import ECHO_SECONDS

from .program import ENDLESS, checkpoints, eventually, metrics, on_terminal, record, steps
from .pseudo_terminal import PseudoTerminal

TICKS = 100.0
"""Clock ticks of a second in /proc."""
LONG = (
    "--set", "env.agents=128", "--set", "train.horizon=64", "--set", "train.minibatch=256",
    "--set", "train.update_epochs=80", "--set", "policy.hidden=128",
)  # fmt: skip
"""An iteration that takes half a minute and more, nearly all of it in minibatches of milliseconds."""
ORDINARY = ("--set", "env.agents=128", "--set", "train.horizon=64", "--set", "train.minibatch=2048")
"""An iteration of a tenth of a second: what is recorded of each costs next to nothing, as it does for users."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tiny.toml").write_text(ENDLESS)
    return tmp_path


def run_on_terminal(folder: Path, *options: str) -> PseudoTerminal:
    return on_terminal(folder, "--profile", "tiny.toml", "--name", "run", *options)


def assert_terminal_is_as_it_was(terminal: PseudoTerminal, before: list[object], screen: bool) -> None:
    """Its modes, the ordinary screen, the cursor, no mouse and no pasted text in brackets."""
    assert terminal.modes() == before
    for on, off in (
        (b"\x1b[?1049h", b"\x1b[?1049l"),
        (b"\x1b[?1000h", b"\x1b[?1000l"),
        (b"\x1b[?2004h", b"\x1b[?2004l"),
    ):
        assert terminal.output.rfind(off) >= terminal.output.rfind(on)
        assert (on in terminal.output) is screen
    assert terminal.output.rfind(b"\x1b[?25h") > terminal.output.rfind(b"\x1b[?25l")


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("options", [(), ("--headless",)], ids=["screen", "headless"])
def test_a_signal_ends_a_run_in_time_with_a_checkpoint_and_the_terminal_as_it_was(
    folder: Path, options: tuple[str, ...], signum: signal.Signals, code: int
) -> None:
    run = folder / "runs" / "run"
    with run_on_terminal(folder, *options) as terminal:
        before = terminal.modes()
        terminal.wait_for(lambda: steps(run) > 0)
        if not options:
            terminal.wait_for("running")
            assert terminal.modes() != before, "a screen reads keys one by one"
        terminal.send(signum)
        sent = time.monotonic()
        assert terminal.wait() == code
        assert time.monotonic() - sent < 10
        assert_terminal_is_as_it_was(terminal, before, screen=not options)
        assert b"Traceback" not in terminal.output
    assert checkpoints(run)[-1] == f"step-{steps(run):012d}"
    assert record(run)["state"] == "stopped"


def test_an_iteration_that_takes_long_does_not_hold_up_the_end(folder: Path) -> None:
    """The minibatch under way is finished; the checkpoint holds that many others are owed, and can be resumed."""
    run = folder / "runs" / "run"
    with run_on_terminal(folder, *LONG, "--headless") as terminal:
        terminal.wait_for(lambda: (run / "control.sock").exists())
        viewer = RemoteSession(run)
        viewer.start()
        assert viewer.wait_until_met(20)
        terminal.wait_for(lambda: viewer.snapshot().stage.startswith("train"))
        viewer.close()
        viewer.join(5)
        terminal.send(signal.SIGTERM)
        sent = time.monotonic()
        assert terminal.wait() == 143
        assert time.monotonic() - sent < 10
    found, checkpoint, damaged = RunFolder.read(run).newest_good()
    assert (found.name, damaged) == (f"step-{steps(run):012d}", [])
    assert checkpoint.manifest["owed_segments"] > 128, "more than a whole pass over the segments"


@pytest.mark.alone
@pytest.mark.parametrize("options", [(), ("--headless",)], ids=["screen", "headless"])
def test_a_second_signal_ends_it_at_once(folder: Path, options: tuple[str, ...]) -> None:
    """In the middle of an iteration that would still take long, without a checkpoint, the terminal as it was."""
    run = folder / "runs" / "run"
    with run_on_terminal(folder, *LONG, *options) as terminal:
        before = terminal.modes()
        terminal.wait_for(lambda: (run / "control.sock").exists())
        viewer = RemoteSession(run)
        viewer.start()
        assert viewer.wait_until_met(20)
        terminal.wait_for(lambda: viewer.snapshot().stage.startswith("train"))
        terminal.send(signal.SIGTERM)
        terminal.wait_for(lambda: b"the checkpoint is being written" in terminal.output)
        time.sleep(ECHO_SECONDS)
        terminal.send(signal.SIGINT)
        sent = time.monotonic()
        assert terminal.wait() == 130
        assert time.monotonic() - sent < 2
        assert b"left at once" in terminal.output
        assert_terminal_is_as_it_was(terminal, before, screen=not options)
        viewer.close()
        viewer.join(5)


def busy(pid: int) -> dict[int, float]:
    """Seconds of a core that each thread of a process has used."""
    used = {}
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        fields = stat.read_text().rpartition(")")[2].split()
        used[int(stat.parent.name)] = (int(fields[11]) + int(fields[12])) / TICKS
    return used


@pytest.mark.alone
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="only Linux tells the time of each thread")
def test_a_closed_terminal_costs_neither_steps_nor_a_core(folder: Path) -> None:
    """Steps go on within a second; but for the one that trains no thread is busy; attach has the whole history."""
    run = folder / "runs" / "run"
    with run_on_terminal(folder, *ORDINARY) as terminal:
        terminal.wait_for(lambda: steps(run) > 0)
        terminal.wait_for("running")
        before = steps(run)
        terminal.hang_up()
        eventually(lambda: steps(run) > before, seconds=1)
        time.sleep(1)  # the screen may take a moment to end
        pid = terminal.process.pid
        at_first, began, first = busy(pid), time.monotonic(), steps(run)
        time.sleep(3)
        seconds = time.monotonic() - began
        spent = {task: used - at_first.get(task, 0.0) for task, used in busy(pid).items()}
        assert steps(run) > first
        trainer = max(spent, key=lambda task: spent[task])
        assert trainer != pid, "the main thread belongs to the screen"
        assert sum(used for task, used in spent.items() if task != trainer) < 0.05 * seconds
        with on_terminal(folder, "attach", "run") as other:
            other.wait_for("running")
            viewer = RemoteSession(run)
            viewer.start()
            assert viewer.wait_until_met(20)
            eventually(lambda: len(viewer.history()) >= viewer.snapshot().iteration > 0)
            rows = viewer.history()
            assert [row["iteration"] for row in rows] == list(range(1, len(rows) + 1))
            assert [row["step"] for row in rows] == [row["step"] for row in metrics(run)][: len(rows)]
            viewer.close()
            viewer.join(5)
            other.press("q")
            other.wait_for("Leave")
            other.press("l")
            assert other.wait() == 0
        assert psutil.pid_exists(pid)
        terminal.send(signal.SIGTERM)
        assert terminal.process.wait(10) == 143
    assert checkpoints(run)[-1] == f"step-{steps(run):012d}"
