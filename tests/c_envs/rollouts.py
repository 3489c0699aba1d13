"""A batch with buffers of its own, and random actions to play."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

import c_envs


class Rollout:
    """A bound batch of T slots that has been reset; its buffers are attributes by the names `bind` gives them."""

    def __init__(
        self,
        name: str,
        environments: int = 16,
        slots: int = 8,
        seed: int = 0,
        threads: int = 1,
        config: Mapping[str, object] | None = None,
    ) -> None:
        self.batch = c_envs.Batch(name, environments, seed=seed, threads=threads, config=config or {}, slots=slots)
        self.buffers = buffers_for(self.batch)
        self.batch.bind(**self.buffers)
        self.batch.reset()

    def __getattr__(self, name: str) -> npt.NDArray[Any]:
        return self.__dict__["buffers"][name]

    def play(self, random: np.random.Generator) -> None:
        """One rollout of random actions that goes on from where the last one ended."""
        self.observations[0] = self.observations[-1]
        if self.batch.spec.continuous:
            self.actions[:] = random.uniform(-1, 1, self.actions.shape)
        else:
            self.actions[:] = random.integers(0, self.batch.spec.actions, self.actions.shape)
        for t in range(self.batch.slots):
            self.batch.step(t)

    def digest(self) -> str:
        """A hash of every buffer's bytes."""
        hasher = hashlib.sha256()
        for buffer in self.buffers.values():
            hasher.update(buffer.tobytes())
        return hasher.hexdigest()


def buffers_for(batch: c_envs.Batch) -> dict[str, npt.NDArray[Any]]:
    """Fresh buffers of the shapes that `batch.bind` asks for."""
    slots, rows, size = batch.slots, batch.rows, batch.spec.observation_size
    return {
        "observations": np.zeros((slots + 1, rows, size), np.float32),
        "actions": np.zeros((slots, rows), np.float32 if batch.spec.continuous else np.int32),
        "rewards": np.zeros((slots, rows), np.float32),
        "terminals": np.zeros((slots, rows), np.uint8),
        "truncations": np.zeros((slots, rows), np.uint8),
        "masks": np.zeros((slots, rows), np.uint8),
        "final_observations": np.zeros((rows, size), np.float32),
    }
