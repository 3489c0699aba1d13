"""Runs that outlive their terminal: started detached, attached to, sent signals, hung up."""

from __future__ import annotations

import json
import os
import signal
import stat
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from engine import RemoteSession

from .program import ENDLESS, answer, checkpoints, eventually, kill_runs, on_terminal, record, steps
from .pseudo_terminal import PseudoTerminal


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with a profile; what still trains there at the end is killed."""
    (tmp_path / "tiny.toml").write_text(ENDLESS)
    yield tmp_path
    kill_runs(tmp_path)


def detached(folder: Path, *options: str) -> Path:
    """The folder of a run that trains in the background."""
    started = answer(folder, "--profile", "tiny.toml", "--detach", *options)
    assert started.returncode == 0, started.stderr
    return folder / "runs" / started.stdout.strip()


def attached(folder: Path, *arguments: str, columns: int = 80, lines: int = 24) -> PseudoTerminal:
    return on_terminal(folder, "attach", *arguments, columns=columns, lines=lines)


def test_a_detached_run_is_steered_from_attached_screens_until_one_stops_it(folder: Path) -> None:
    run = detached(folder, "--name", "far")
    assert run.name == "far"
    pid = record(run)["pid"]
    assert isinstance(pid, int)
    assert os.getsid(pid) == pid
    assert stat.S_IMODE((run / "control.sock").stat().st_mode) == 0o600
    assert stat.S_IMODE(run.stat().st_mode) == 0o700
    assert (run / "detached.log").exists()
    with attached(folder) as terminal:
        terminal.wait_for("running")
        terminal.wait_for("far")
        terminal.press(" ")
        terminal.wait_for("paused")
        held = steps(run)
        time.sleep(0.3)
        assert steps(run) == held
        terminal.press("s")
        terminal.wait_for(lambda: steps(run) == held + 256)
        terminal.press("n")
        terminal.wait_for("env 1")
        terminal.press("c")
        terminal.wait_for(lambda: checkpoints(run))
        terminal.wait_for(checkpoints(run)[-1])
        with attached(folder, "far", columns=160, lines=48) as other:
            other.wait_for("paused")
            other.press(" ")
            terminal.wait_for("running")
            other.wait_for("running")
            other.press("q")
            other.wait_for("Leave")
            other.press("l")
            assert other.wait() == 0
            assert b"far goes on training" in other.output
        before = steps(run)
        terminal.wait_for(lambda: steps(run) > before)
        terminal.press("q")
        terminal.wait_for("Stop with a checkpoint")
        terminal.press("s")
        assert terminal.wait() == 0
        assert b"perx-tui --resume far" in terminal.output
    eventually(lambda: record(run)["state"] == "stopped")
    assert checkpoints(run)[-1] == f"step-{steps(run):012d}"
    eventually(lambda: not (run / "control.sock").exists())


def test_a_viewer_shows_that_the_training_process_was_killed(folder: Path) -> None:
    run = detached(folder)
    with attached(folder) as terminal:
        terminal.wait_for("running")
        os.kill(int(str(record(run)["pid"])), signal.SIGKILL)
        terminal.wait_for("failed")
        terminal.wait_for("is gone without an end")
        terminal.press("q")
        assert terminal.wait() == 1
    (listed,) = json.loads(answer(folder, "runs", "--json").stdout)
    assert (listed["name"], listed["state"]) == (run.name, "lost")
    lost = answer(folder, "attach", run.name)
    assert lost.returncode == 2
    assert "is lost, nobody trains it; nothing else trains there" in lost.stderr


@pytest.mark.parametrize("leave", ["hang up", "terminate"])
def test_a_viewer_that_goes_away_leaves_the_run_training(folder: Path, leave: str) -> None:
    run = detached(folder)
    with attached(folder) as terminal:
        terminal.wait_for("running")
        if leave == "hang up":
            terminal.hang_up()
            assert terminal.process.wait(10) == 0
        else:
            terminal.send(signal.SIGTERM)
            assert terminal.wait() == 143
    before = steps(run)
    eventually(lambda: steps(run) > before)


def test_attach_says_what_lives_when_it_cannot_show_what_was_asked_for(folder: Path) -> None:
    nothing = answer(folder, "attach")
    assert (nothing.returncode, nothing.stdout) == (2, "")
    assert nothing.stderr == "perx-tui: no run trains in 'runs': start one, or name another folder with --runs\n"
    short = answer(folder, "--profile", "tiny.toml", "--headless", "--name", "short", "--steps", "256")
    assert short.returncode == 0
    over = answer(folder, "attach")
    assert "no run trains in 'runs'; the newest, short, is finished" in over.stderr
    run = detached(folder, "--name", "long")
    ended = answer(folder, "attach", "short")
    assert (ended.returncode, len(ended.stderr.splitlines())) == (2, 1)
    assert "the run 'short' is finished, nobody trains it; training now: long" in ended.stderr
    assert "attach needs a terminal" in answer(folder, "attach", run.name).stderr


def test_a_detached_start_that_fails_says_why_and_with_which_code(folder: Path) -> None:
    for options, code, text in [
        (("--set", "train.horizon=no"), 2, "must be a whole number in [1, 4096]"),
        (("--device", "cuda:7"), 2, "cuda:7"),
        (("--json",), 2, "--json does not go with --detach"),
    ]:
        done = answer(folder, "--profile", "tiny.toml", "--detach", *options)
        assert (done.returncode, done.stdout) == (code, "")
        assert text in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.alone
def test_a_hung_up_run_saves_a_checkpoint_as_its_profile_says_and_no_thread_spins(folder: Path) -> None:
    """Paused over the socket, the process that lost its terminal takes less than a twentieth of a core."""
    (folder / "tiny.toml").write_text(ENDLESS + 'on_hangup = "checkpoint"\n')
    run = folder / "runs" / "alone"
    with on_terminal(folder, "--profile", "tiny.toml", "--name", "alone") as terminal:
        terminal.wait_for(lambda: steps(run) > 0)
        terminal.hang_up()
        eventually(lambda: checkpoints(run))
        hung = time.monotonic()
        before = steps(run)
        eventually(lambda: steps(run) > before)
        assert time.monotonic() - hung < 5
        viewer = RemoteSession(run)
        viewer.start()
        assert viewer.wait_until_met(10)
        assert [row["iteration"] for row in viewer.history()] == list(range(1, len(viewer.history()) + 1))
        viewer.pause()
        eventually(lambda: viewer.snapshot().state == "paused")
        viewer.close()
        assert viewer.join(5)
        process = psutil.Process(terminal.process.pid)
        time.sleep(0.2)
        began, used = time.monotonic(), sum(process.cpu_times()[:2])
        time.sleep(1.5)
        assert (sum(process.cpu_times()[:2]) - used) / (time.monotonic() - began) < 0.05
        terminal.send(signal.SIGTERM)
        assert terminal.process.wait(20) == 143


def test_sigusr1_saves_a_checkpoint_and_training_goes_on(folder: Path) -> None:
    run = folder / "runs" / "asked"
    with on_terminal(folder, "--profile", "tiny.toml", "--name", "asked") as terminal:
        terminal.wait_for(lambda: steps(run) > 0)
        terminal.send(signal.SIGUSR1)
        terminal.wait_for(lambda: checkpoints(run))
        before = steps(run)
        terminal.wait_for(lambda: steps(run) > before)
        terminal.press("q")
        terminal.wait_for("Keep training headless")
        terminal.press("h")
        terminal.wait_for(lambda: b"training goes on without the screen" in terminal.output)
        terminal.send(signal.SIGUSR1)
        terminal.wait_for(lambda: len(checkpoints(run)) == 2)
        terminal.press("\x03")
        assert terminal.wait() == 130


@pytest.mark.parametrize("stop", [signal.SIGTSTP, signal.SIGSTOP])
def test_a_stopped_screen_comes_back_whole_and_reads_keys_once(folder: Path, stop: signal.Signals) -> None:
    """Several continuations in a row too: a second reader of keys would take every other one."""
    run = folder / "runs" / "held"
    with on_terminal(folder, "--profile", "tiny.toml", "--name", "held") as terminal:
        process = psutil.Process(terminal.process.pid)
        terminal.wait_for(lambda: steps(run) > 0)
        terminal.wait_for("throughput")
        terminal.send(stop)
        eventually(lambda: process.status() == psutil.STATUS_STOPPED)
        held = steps(run)
        terminal.send(signal.SIGCONT)
        terminal.wait_for(lambda: steps(run) > held)
        for pause in (0.001, 0.01, 0.5):  # in the middle of the first one's work, and after it
            terminal.send(signal.SIGCONT)
            time.sleep(pause)
        for _ in range(3):
            terminal.press(" ")
            terminal.wait_for("paused")
            terminal.press(" ")
            terminal.wait_for("running")
        terminal.wait_for("throughput")
        terminal.press("q")
        terminal.wait_for("Stop with a checkpoint")
        terminal.press("s")
        assert terminal.wait() == 0
        assert termios.tcgetattr(terminal._master)[3] & termios.ICANON, "the terminal was left raw"
