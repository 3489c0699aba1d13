"""How tests run `perx-tui` as a process of its own."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

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


def environment() -> dict[str, str]:
    """This process's environment with the repository on the path, and one thread for arithmetic."""
    paths = [str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1", "COLUMNS": "100"}


def metrics(run: Path) -> list[dict[str, Any]]:
    """What metrics.jsonl of a run holds; nothing when it is not there."""
    path = run / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def checkpoints(run: Path) -> list[str]:
    """Names of a run's checkpoints, oldest first."""
    return sorted(path.name for path in (run / "checkpoints").glob("step-*"))
