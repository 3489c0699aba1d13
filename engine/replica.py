"""Plays an environment's last horizon again, to show it."""

from __future__ import annotations

import numpy as np

import c_envs
from engine.device_environments import DeviceBatch
from engine.rollout import RolloutBuffer


class Replica:
    """One environment on the CPU that plays again what one of a batch played, with the same bytes wherever it lives."""

    def __init__(self, batch: c_envs.Batch | DeviceBatch) -> None:
        slots, agents, size = batch.slots, batch.spec.agents_per_environment, batch.spec.observation_size
        flags = [np.zeros((slots, agents), np.uint8) for _ in range(3)]
        self._actions = np.zeros((slots, agents), np.int32)
        self._batch = c_envs.Batch(batch.name, 1, seed=batch.seed, config=batch.config, slots=slots)
        self._batch.bind(
            observations=np.zeros((slots + 1, agents, size), np.float32),
            actions=self._actions,
            rewards=np.zeros((slots, agents), np.float32),
            terminals=flags[0],
            truncations=flags[1],
            masks=flags[2],
            final_observations=np.zeros((agents, size), np.float32),
        )

    def states(self, environment: int, buffer: RolloutBuffer) -> list[bytes]:
        """The environment's state before each step of the horizon in the buffer."""
        agents = self._actions.shape[1]
        first = environment * agents
        # Waits for the device, so that the states at the horizon's start have arrived, too.
        self._actions[:] = buffer.actions[:, first : first + agents].cpu().numpy()
        self._batch.set_state(0, buffer.environments[environment].numpy().tobytes())
        states = []
        for t in range(len(self._actions)):
            states.append(self._batch.state(0))
            self._batch.step(t)
        return states
