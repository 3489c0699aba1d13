"""Which episode is worth watching: the best or the newest of those that ended in the last horizon.

Nothing is recorded for it. Where an episode stands is followed by the rewards alone, and the one that is chosen is
played again from where its environment stood at the horizon's start.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.replica import Replica
from engine.snapshot import Clip, Follow, Frame
from engine.trainer import Trainer

CLIP_SECONDS = 1.0
"""Another episode is told this often at most."""
BEST_SECONDS = 30.0
"""The best episode stays the best for so long."""


@dataclass(frozen=True, slots=True)
class Ended:
    """An episode that ended: its environment, its first and last step within the horizon, and its return as far as it
    was followed."""

    environment: int
    first: int
    last: int
    total: float


class Follower:
    """Asked after every iteration while somebody follows; what it costs is T additions of E numbers."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._replica: Replica | None = None
        self._totals = np.zeros(trainer.batch.environments)
        self._iteration = -1
        self._told, self._best, self._follow = -np.inf, -np.inf, ""

    def clip(self, follow: Follow) -> Clip | None:
        """The episode to show by "best" or "newest", None where what was shown before stays."""
        trainer, buffer = self._trainer, self._trainer.buffer
        agents = buffer.agents // trainer.batch.environments
        rewards, done = (tensor[:, ::agents].cpu().numpy() for tensor in (buffer.rewards, buffer.done))
        if trainer.iteration != self._iteration + 1 or follow != self._follow:
            self._totals[:] = 0.0
            self._told, self._best, self._follow = -np.inf, -np.inf, follow
        self._iteration = trainer.iteration
        found = choose(follow, self._totals, rewards, done)
        now = time.monotonic()
        stale = now - self._told >= BEST_SECONDS
        if found is None or now - self._told < CLIP_SECONDS:
            return None
        if follow == "best" and not stale and found.total <= self._best:
            return None
        self._told, self._best = now, found.total
        return self._play_again(found, follow, agents)

    def _play_again(self, found: Ended, follow: Follow, agents: int) -> Clip:
        trainer, buffer = self._trainer, self._trainer.buffer
        if self._replica is None:
            self._replica = Replica(trainer.batch)
        shown = slice(found.first, found.last + 1)
        columns = [
            tensor[shown, found.environment * agents].tolist()
            for tensor in (buffer.actions, buffer.rewards, buffer.values, buffer.done)
        ]
        states = self._replica.states(found.environment, buffer)[shown]
        frames = tuple(
            Frame(state, action, reward, value, bool(done))
            for state, action, reward, value, done in zip(states, *columns, strict=True)
        )
        return Clip(found.environment, trainer.iteration, frames, follow, found.total)


def choose(
    follow: Follow, totals: npt.NDArray[np.float64], rewards: npt.NDArray[np.float32], done: npt.NDArray[np.uint8]
) -> Ended | None:
    """The best or the newest episode that ended in a horizon of rewards and ends [T, E], None where none did.

    `totals` [E] are the returns of the running episodes, and are brought to the horizon's end. Of several that are
    equally new the best is taken.
    """
    first = np.zeros(len(totals), dtype=np.int64)
    found: Ended | None = None
    for t in range(len(rewards)):
        totals += rewards[t]
        ended = done[t].nonzero()[0]
        if not len(ended):
            continue
        which = int(ended[totals[ended].argmax()])
        if found is None or follow == "newest" or totals[which] > found.total:
            found = Ended(which, int(first[which]), t, float(totals[which]))
        totals[ended] = 0.0
        first[ended] = t + 1
    return found
