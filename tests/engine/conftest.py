"""Small profiles and trainers for the engine's tests."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from engine import Profile, Snapshot, TrainingSession
from engine.trainer import Trainer

TINY = [
    "env.agents=8",
    "train.horizon=16",
    "train.minibatch=64",
    "train.total_steps=100000",
    "policy.hidden=16",
    "train.threads=1",
    "train.device=cpu",
    "train.precision=float32",
    "run.checkpoint_every=1000",
]


def tiny_profile(*sets: str, name: str = "breakout.toml") -> Profile:
    """A profile whose iteration takes milliseconds."""
    return Profile.load(name, [*TINY, *sets])


@pytest.fixture
def make_trainer() -> Iterator[Callable[..., Trainer]]:
    made: list[Trainer] = []

    def make(*sets: str, name: str = "breakout.toml", **options: Any) -> Trainer:
        made.append(Trainer(tiny_profile(*sets, name=name).for_device("cpu"), torch.device("cpu"), **options))
        return made[-1]

    yield make
    for trainer in made:
        trainer.close()


@pytest.fixture
def make_session(tmp_path: Path) -> Iterator[Callable[..., TrainingSession]]:
    made: list[TrainingSession] = []

    def make(
        *sets: str, resume: Path | None = None, name: str | None = None, profile: str = "breakout.toml"
    ) -> TrainingSession:
        made.append(
            TrainingSession(tiny_profile(*sets, name=profile), runs=tmp_path / "runs", name=name, resume=resume)
        )
        return made[-1]

    yield make
    for session in made:
        session.stop(checkpoint=False)
        if session.is_alive:
            session.join(30)


def lines(path: Path) -> list[dict[str, Any]]:
    """The records of metrics.jsonl or events.jsonl."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def figures(record: dict[str, Any]) -> dict[str, Any]:
    """Metrics without the clock's."""
    return {key: value for key, value in record.items() if not key.startswith("time") and key != "sps"}


def wait_for(session: TrainingSession, condition: Callable[[Snapshot], bool], seconds: float = 60.0) -> Snapshot:
    """The first snapshot that meets the condition."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        snapshot = session.snapshot()
        if condition(snapshot):
            return snapshot
        time.sleep(0.005)
    raise AssertionError(f"not reached in {seconds} s: {session.snapshot()}")


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until the condition holds, at most 10 seconds."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)
