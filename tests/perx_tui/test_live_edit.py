"""A setting changed in the editor of a running program: in force at once, recorded, and kept by a resumed run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .program import TINY, environment, metrics
from .pseudo_terminal import PseudoTerminal

ITERATION = 256
"""Steps of one iteration."""


def edits(run: Path) -> list[dict[str, Any]]:
    path = run / "events.jsonl"
    events = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [event for event in events if event["kind"] == "edit"]


def test_uniform_draws_chosen_in_the_editor_even_out_the_weights_from_the_next_iteration_on(tmp_path: Path) -> None:
    """The effective sample size becomes the whole, the edit is in events.jsonl, and a resumed run keeps it."""
    (tmp_path / "tiny.toml").write_text(TINY.replace("2560", "1_000_000_000"))
    program = [sys.executable, "-m", "perx_tui"]
    run = tmp_path / "runs" / "edited"
    start = [*program, "--profile", "tiny.toml", "--name", "edited"]
    with PseudoTerminal(start, tmp_path, environment(), columns=160, lines=48) as terminal:
        terminal.wait_for(lambda: metrics(run))
        terminal.press("e")
        terminal.wait_for("train.learning_rate")
        terminal.press("scheme")
        terminal.wait_for("replay.scheme")
        terminal.press("\r")
        terminal.press("u")
        terminal.wait_for("prioritized → uniform")
        terminal.press("\r")
        terminal.wait_for(lambda: edits(run))
        terminal.press("\x1b")
        terminal.press("\x1b")
        terminal.wait_for("replay · uniform")
        changed = edits(run)[0]
        terminal.wait_for(lambda: metrics(run)[-1]["step"] > changed["step"] + 3 * ITERATION)
        terminal.press("q")
        terminal.wait_for("Stop with a checkpoint")
        terminal.press("s")
        assert terminal.wait() == 0
    assert (changed["key"], changed["old"], changed["new"]) == ("replay.scheme", "prioritized", "uniform")
    before = [row for row in metrics(run) if row["step"] < changed["step"]]
    after = [row for row in metrics(run) if row["step"] > changed["step"]]
    assert all(row["replay/ess"] < 0.999 for row in before)
    assert [row["replay/ess"] for row in after] == pytest.approx([1.0] * len(after))

    done = metrics(run)[-1]["step"]
    resume = [*program, "--resume", "edited", "--headless", "--steps", str(done + 2 * ITERATION)]
    subprocess.run(resume, cwd=tmp_path, env=environment(), check=True, timeout=60, stdin=subprocess.DEVNULL)
    kept = [row["replay/ess"] for row in metrics(run) if row["step"] > done]
    assert kept == pytest.approx([1.0, 1.0])
