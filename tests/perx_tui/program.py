"""How tests run `perx-tui` as a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .pseudo_terminal import PseudoTerminal

REPOSITORY = Path(__file__).resolve().parents[2]

TINY = """\
# Breakout at a size that trains an iteration in milliseconds.
[env]
name = "breakout"
agents = 16

[policy]
hidden = 16

[train]
total_steps = 2560
horizon = 16
minibatch = 128
threads = 1
"""
"""A profile whose iterations have 256 steps."""

ENDLESS = TINY.replace("2560", "1_000_000_000") + "\n[run]\ncheckpoint_every = 1_000_000\n"
"""The same without an end, and with no checkpoints but those that are asked for."""


def environment() -> dict[str, str]:
    """This process's environment with the repository on the path, and one thread for arithmetic."""
    paths = [str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1", "COLUMNS": "100"}


def command(*arguments: str) -> list[str]:
    """What starts `perx-tui ARGUMENTS`."""
    return [sys.executable, "-m", "perx_tui", *arguments]


def answer(folder: Path, *arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """What `perx-tui ARGUMENTS` says in `folder` without a terminal, once it has ended."""
    return subprocess.run(
        command(*arguments),
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def on_terminal(folder: Path, *arguments: str, columns: int = 80, lines: int = 24) -> PseudoTerminal:
    """`perx-tui ARGUMENTS` in `folder` on a terminal of its own."""
    return PseudoTerminal(command(*arguments), folder, environment(), columns=columns, lines=lines)


def record(run: Path) -> dict[str, Any]:
    """What run.json of a run holds."""
    return dict(json.loads((run / "run.json").read_text()))


def kill_runs(folder: Path) -> None:
    """Ends at once what still trains in `folder`/runs."""
    for path in (folder / "runs").glob("*/run.json"):
        run = record(path.parent)
        if run["state"] not in ("finished", "failed", "stopped"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(run["pid"], signal.SIGKILL)


def steps(run: Path) -> int:
    """Steps that a run has recorded."""
    rows = metrics(run)
    return int(rows[-1]["step"]) if rows else 0


def eventually(condition: Callable[[], object], seconds: float = 20) -> None:
    """Wait until `condition` answers something true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def metrics(run: Path) -> list[dict[str, Any]]:
    """What metrics.jsonl of a run holds; nothing when it is not there."""
    path = run / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def checkpoints(run: Path) -> list[str]:
    """Names of a run's checkpoints, oldest first."""
    return sorted(path.name for path in (run / "checkpoints").glob("step-*"))
