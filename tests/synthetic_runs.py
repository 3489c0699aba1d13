"""Run folders with metrics that a test chose, written the way a training session writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from engine import Profile, RunFolder


def write_run(
    root: Path,
    name: str,
    rows: Sequence[Mapping[str, float]],
    *sets: str,
    profile: str = "breakout.toml",
    seed: int = 1,
    state: str = "finished",
    edits: int = 0,
) -> Path:
    """A run called `name` with these metrics; the profile with `sets` and `seed` as if it had trained on the CPU."""
    resolved = Profile.load(profile, [*sets, f"train.seed={seed}"]).for_device("cpu")
    info = {"seed": seed, "device": "cpu", "total_steps": resolved.train.total_steps}
    with RunFolder.create(root, name, resolved.name, resolved.to_toml(), info) as folder:
        for row in rows:
            folder.append_metrics(row)
        for _ in range(edits):
            folder.append_event("edit", key="replay.alpha", old=0.8, new=0.4)
        folder.set_state(state)
        return folder.path


def rows(
    scores: Sequence[float | None], *, every: int = 1000, sps: float = 500.0, episodes: int = 100, **more: float
) -> list[dict[str, float]]:
    """An iteration for each score, `every` steps apart at `sps` steps per second; None: no episode ended in it."""
    made = []
    for iteration, score in enumerate(scores, start=1):
        row: dict[str, float] = {"step": iteration * every, "iteration": iteration, "time": iteration * every / sps}
        row |= {"sps": sps, "loss/policy": 0.01 * iteration, **more}
        if score is not None:
            row |= {"episode/score": score, "episode/count": episodes, "episode/length": 10.0 + iteration}
        made.append(row)
    return made
