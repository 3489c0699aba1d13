"""An attached screen: the alarms of a run in another process, and a run that stops answering."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from .program import ENDLESS, answer, on_terminal, record

SUSPICIOUS = "\n[alarms]\nwarmup = 0\nraise_after = 2\nentropy_low = 0.9999999\ndisk_free_low = 0\nsps_low = 0.0\n"


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Path]:
    """A detached run with an alarm; it is killed in the end."""
    (tmp_path / "tiny.toml").write_text(ENDLESS + SUSPICIOUS)
    started = answer(tmp_path, "--profile", "tiny.toml", "--detach", "--name", "far")
    assert started.returncode == 0, started.stderr
    path = tmp_path / "runs" / "far"
    pid = record(path)["pid"]
    yield path
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def test_a_viewer_is_told_alarms_and_a_run_that_does_not_answer(run: Path) -> None:
    pid = record(run)["pid"]
    with on_terminal(run.parents[1], "attach", columns=110, lines=34) as terminal:
        terminal.wait_for("! alarm: entropy collapse")
        terminal.press("a")
        terminal.wait_for("raise train.entropy_coef")
        os.kill(pid, signal.SIGSTOP)
        terminal.wait_for("? no answer")
        terminal.wait_for("trying again (")
        os.kill(pid, signal.SIGCONT)
        terminal.wait_for("► running")
        os.kill(pid, signal.SIGKILL)
        terminal.wait_for("✗ failed")
        terminal.press("\x1b")
        terminal.wait_for("is gone without an end")
        terminal.press("q")
        assert terminal.wait() == 1
