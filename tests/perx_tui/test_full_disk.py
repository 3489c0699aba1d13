"""The whole program on a disk that is too small, that fills up while it trains, or that takes no large file."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import RemoteSession, RunFolder

from .program import ENDLESS, answer, command, environment, eventually, on_terminal

PROFILE = ENDLESS.replace("hidden = 16", "hidden = 64").replace("1_000_000\n", "20\n")
"""Checkpoints of about 350 kB, often."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tiny.toml").write_text(PROFILE)
    return tmp_path


@contextlib.contextmanager
def small_disk(path: Path, size: str) -> Iterator[Path]:
    """A file system of `size` at `path`; skips the test where none can be mounted."""
    path.mkdir()
    if not sys.platform.startswith("linux") or os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a file system")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", str(path)], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"a file system cannot be mounted here: {done.stderr.strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def fill(disk: Path) -> Path:
    """Takes all the room there is; returns the file that holds it."""
    ballast = disk / "ballast"
    with contextlib.suppress(OSError), open(ballast, "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return ballast


@contextlib.contextmanager
def training(folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A headless run called "full", until it is told to stop."""
    with subprocess.Popen(
        command("--profile", "tiny.toml", "--headless", "--name", "full", *options),
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextlib.contextmanager
def seen(run: Path) -> Iterator[RemoteSession]:
    """The run as a viewer sees it: its own files may tell nothing on a full disk."""
    eventually(lambda: (run / "control.sock").exists())
    viewer = RemoteSession(run)
    viewer.start()
    assert viewer.wait_until_met(20)
    try:
        yield viewer
    finally:
        viewer.close()
        viewer.join(5)


def said(viewer: RemoteSession, text: str) -> bool:
    return any(line.level != "info" and text in line.text for line in viewer.snapshot().log)


def assert_trains_on_without_saving(viewer: RemoteSession, run: Path, why: str) -> None:
    """The log says why, steps go on, the newest checkpoint is the one before, and nothing half-written lies about."""
    eventually(lambda: said(viewer, why))
    before = viewer.snapshot()
    eventually(lambda: viewer.snapshot().iteration > before.iteration + 25)
    now = viewer.snapshot()
    assert now.state in ("running", "saving")
    assert now.checkpoint == before.checkpoint
    found, _, damaged = RunFolder.read(run).newest_good()
    assert (found.name, damaged) == (now.checkpoint, [])


def test_a_disk_without_room_for_three_checkpoints_is_refused_and_nothing_is_created(folder: Path) -> None:
    with small_disk(folder / "disk", "800k") as disk:
        for options in ((), ("--detach",)):
            refused = answer(
                folder, "--profile", "tiny.toml", "--headless" if not options else options[0], "--runs", "disk/runs"
            )
            assert (refused.returncode, refused.stdout) == (2, "")
            (line,) = refused.stderr.splitlines()
            assert line.startswith("perx-tui: not enough room in 'disk/runs': 3 checkpoints")
            assert "are free; free some space, name a folder on another disk with --runs" in line
            assert line.count(" bytes)") == 2
            assert os.listdir(disk) == []


def test_a_disk_that_fills_up_costs_checkpoints_but_no_training(folder: Path) -> None:
    with small_disk(folder / "disk", "12m") as disk:
        run = disk / "full"
        with training(folder, "--runs", "disk") as process, seen(run) as viewer:
            eventually(lambda: viewer.snapshot().checkpoint)
            ballast = fill(disk)
            assert_trains_on_without_saving(viewer, run, "no checkpoint")
            assert said(viewer, "are free; make room")
            assert said(viewer, "% of it; make room, or checkpoints will fail")
            assert not [path.name for path in (run / "checkpoints").iterdir() if path.name.startswith(".")]
            held = viewer.snapshot().checkpoint
            ballast.unlink()
            eventually(lambda: viewer.snapshot().checkpoint != held)
            process.send_signal(signal.SIGTERM)
            err = process.communicate(timeout=20)[1]
        assert process.returncode == 143
        assert "no checkpoint" in err
        assert "Traceback" not in err
        found, checkpoint, _ = RunFolder.read(run).newest_good()
        assert int(found.name[5:17]) == checkpoint.manifest["step"]


def test_the_screen_says_that_the_disk_is_full_and_the_run_goes_on(folder: Path) -> None:
    with small_disk(folder / "disk", "12m") as disk:
        arguments = ("--profile", "tiny.toml", "--name", "full", "--runs", "disk", "--set", "alarms.disk_free_low=0")
        with on_terminal(folder, *arguments, columns=160, lines=48) as terminal, seen(disk / "full") as viewer:
            eventually(lambda: viewer.snapshot().checkpoint)
            ballast = fill(disk)
            terminal.wait_for("no checkpoint")
            terminal.press("8")
            terminal.wait_for("is nearly full")
            before = viewer.snapshot().iteration
            terminal.wait_for(lambda: viewer.snapshot().iteration > before)
            terminal.wait_for("running")
            ballast.unlink()
            terminal.send(signal.SIGTERM)
            assert terminal.wait() == 143


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux sets the limits of a process that runs")
def test_a_limit_on_the_size_of_files_is_met_like_a_full_disk(folder: Path) -> None:
    """The kernel refuses in the middle of a file; nothing of it is left, and after the limit is lifted all is saved."""
    run = folder / "runs" / "full"
    with training(folder) as process, seen(run) as viewer:
        eventually(lambda: viewer.snapshot().checkpoint)
        _, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (100_000, hard))
        assert_trains_on_without_saving(viewer, run, "File too large")
        held = viewer.snapshot().checkpoint
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (hard, hard))
        eventually(lambda: viewer.snapshot().checkpoint != held)
        process.send_signal(signal.SIGTERM)
        err = process.communicate(timeout=20)[1]
    assert process.returncode == 143
    assert "Traceback" not in err
    assert not [path.name for path in (run / "checkpoints").iterdir() if path.name.startswith(".")]
