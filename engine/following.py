"""Which episode is worth watching: the best or the newest of those that ended in the last horizon.

Nothing is recorded for it. Where an episode stands is followed by the rewards alone, and the one that is chosen is
played again from where its environment stood at the horizon's start.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

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
    """Told of every iteration while somebody follows, and asked for an episode after some of them: iterations can be
    shorter than an episode is watched. What it is told costs a few operations on the device, which nobody waits for."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._replica: Replica | None = None
        self._before = self._totals = self._nothing()
        """Returns [E] of the running episodes at the beginning and at the end of the last horizon."""
        self._iteration = -1
        self._told, self._best, self._follow = -np.inf, -np.inf, ""

    def _nothing(self) -> Tensor:
        return torch.zeros(self._trainer.batch.environments, dtype=torch.float64, device=self._trainer.device)

    def after_iteration(self, follow: Follow) -> None:
        """Follows the returns through the horizon in the buffer. Another wish, a way back or an iteration that nobody
        followed begins anew."""
        if self._trainer.iteration != self._iteration + 1 or follow != self._follow:
            self._totals = self._nothing()
            self._told, self._best, self._follow = -np.inf, -np.inf, follow
        self._iteration = self._trainer.iteration
        self._before, self._totals = self._totals, carried(self._totals, *self._horizon())

    def _horizon(self) -> tuple[Tensor, Tensor]:
        """Rewards and ends [T, E] of every environment's first agent."""
        buffer = self._trainer.buffer
        agents = buffer.agents // self._trainer.batch.environments
        return buffer.rewards[:, ::agents], buffer.done[:, ::agents]

    def clip(self, follow: Follow) -> Clip | None:
        """The episode to show by "best" or "newest", None where what was shown before stays."""
        now = time.monotonic()
        if now - self._told < CLIP_SECONDS:
            return None
        before, rewards, done = (tensor.cpu().numpy() for tensor in (self._before, *self._horizon()))
        found = choose(follow, before.copy(), rewards, done)
        stale = now - self._told >= BEST_SECONDS
        if found is None or (follow == "best" and not stale and found.total <= self._best):
            return None
        self._told, self._best = now, found.total
        return self._play_again(found, follow, self._trainer.buffer.agents // len(before))

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


def carried(totals: Tensor, rewards: Tensor, done: Tensor) -> Tensor:
    """Returns [E] of the running episodes after a horizon of rewards and ends [T, E], from those before it."""
    steps = torch.arange(1, len(rewards) + 1, dtype=torch.int32, device=rewards.device).unsqueeze(1)
    ended = (done * steps).amax(0)  # steps to the last end, 0 where there was none
    since = rewards.double().masked_fill(steps <= ended, 0.0).sum(0)
    return totals.masked_fill(ended > 0, 0.0) + since
