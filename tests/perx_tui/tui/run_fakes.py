"""Runs of a folder as a listing tells them, and a watch that looks only when a test says so."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine import RunInfo
from perx_tui.tui.browser.board import Listing
from perx_tui.tui.browser.details import Details
from perx_tui.tui.browser.watch import Watch

NOW = 1_700_000_000.0


def info(name: str, state: str = "finished", *, root: Path = Path("runs"), **fields: Any) -> RunInfo:
    """A run that has done half of its steps."""
    known: dict[str, Any] = {
        "step": 4_000_000,
        "total_steps": 8_000_000,
        "score": 123.4,
        "sps": 41_700.0,
        "bytes": 3 << 20,
        "started": NOW - 3700,
        "updated": NOW - 5,
        "profile": "breakout",
        "seed": 1,
        "device": "cpu",
        "pid": 4321,
        "host": "here",
    }
    return replace(RunInfo(name, root / name, state), **{**known, **fields})


MANY = (
    info("night", "running", seed=7, started=NOW - 3),
    info("plain-s1", score=408.5, started=NOW - 1000, bytes=12 << 20),
    info("plain-s2", score=508.4, seed=2, started=NOW - 90_000, bytes=9 << 20),
    info("maze-of-all-the-levels-there-are", "stopped", profile="maze", score=0.953, sps=800.0, started=NOW - 400_000),
    info("broken", "failed", score=None, step=256, started=NOW - 500_000, bytes=700),
    info("killed", "lost", profile="maze-fixed", seed=None, started=NOW - 9_000_000),
    info("waits", "paused", score=77.7, started=NOW - 200),
    info("\\x1b\\x5b31mred \\x5bbold\\x5d", "unreadable", step=None, total_steps=None, score=None, sps=None, bytes=4,
         started=NOW - 5000, updated=None, profile="", seed=None, device="", pid=None, host=""),
)  # fmt: skip
"""One of every kind."""

LEARNED = Details(
    Path("runs/plain-s1"),
    checkpoints=("step-000001000000", "step-000004000000"),
    events=(
        (NOW - 900, "checkpoint step-000001000000"),
        (NOW - 800, "edit train.gamma: 0.99 -> 0.995 at 1.20M"),
        (NOW - 700, "checkpoint step-000004000000"),
        (NOW - 690, "finished at 4.00M"),
    ),
    xs=tuple(100_000.0 * k for k in range(1, 41)),
    ys=tuple(400.0 * k / (k + 8) + 12.0 * (k % 3) for k in range(1, 41)),
)


class StillWatch(Watch):
    """Shows what a test hands it; `started` counts whoever asked for a thread."""

    def __init__(self, runs: tuple[RunInfo, ...] = MANY, root: Path = Path("runs"), details: Details = LEARNED) -> None:
        super().__init__(root)
        self.show(*runs)
        self.details = details
        self.running = False
        self.wanted: Path | None = None

    def show(self, *runs: RunInfo) -> None:
        self.listing = Listing(self.root, runs, 40 << 30, NOW)

    def start(self) -> None:
        self.running = True

    def stop(self) -> None:
        self.running = False

    def want(self, path: Path | None) -> None:
        self.wanted = path

    def look(self) -> None:
        """The runs that are still there."""
        self.show(*(run for run in self.listing.runs if run.path.exists()))


def on_disk(root: Path, *runs: RunInfo) -> tuple[RunInfo, ...]:
    """The runs with folders, as much of them as opening and deleting look at."""
    made = []
    for run in runs:
        path = root / run.name
        path.mkdir(parents=True)
        (path / "run.json").write_text(json.dumps({"state": run.state}))
        made.append(replace(run, path=path))
    return tuple(made)
