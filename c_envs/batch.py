"""Many environments of one kind, stepped together straight into the caller's buffers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

from c_envs import _native
from c_envs.info import check, settings_tuple, spec

if TYPE_CHECKING:
    # Typing knows buffers from Python 3.12 on.
    Buffer = Any


MOST_THREADS = _native.THREADS_MAX
"""Threads that a batch can have, or that can step ranges of one without threads of its own."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """Sums over the episodes that ended; divide by `episodes` for means. `length` is in steps."""

    episodes: int
    score: float
    episode_return: float
    length: float


class Batch:
    """`environments` environments of one kind and the `slots` time slots of a rollout they play into.

    A row is one agent: N = environments * agents_per_environment of them, those of an environment side by side. The
    same seed gives the same bytes for any number of `threads`, at most MOST_THREADS (0: what `cores` says). With one
    thread, callers may step ranges that do not overlap from threads of their own; any other call while another
    thread's is under way raises RuntimeError, as does any use after a fork; use after `close` raises
    ValueError. An action outside its range counts as 0, a float outside [-1, 1] as the nearer end, nan as 0.
    """

    def __init__(
        self,
        name: str,
        environments: int,
        seed: int = 0,
        threads: int = 1,
        config: Mapping[str, object] | None = None,
        slots: int = 1,
    ) -> None:
        """EnvironmentConfigError for a bad name or config, ValueError for other numbers out of range."""
        self.name = name
        self.config = check(name, config or {})
        self.spec = spec(name, self.config)
        self.seed = _seed(seed)
        self.environments = environments
        self.rows = environments * self.spec.agents_per_environment
        self.slots = slots
        self.threads = threads or cores()
        self._native = _native.Batch(name, settings_tuple(self.config), environments, self.seed, self.threads, slots)

    def bind(
        self,
        *,
        observations: Buffer,
        actions: Buffer,
        rewards: Buffer,
        terminals: Buffer,
        truncations: Buffer,
        masks: Buffer,
        final_observations: Buffer,
    ) -> None:
        """Take the buffers of T slots, N rows, D floats an observation, and hold them until the next bind or close.

        float32 observations[T+1, N, D], int32 actions[T, N] (float32 when the spec says continuous), float32
        rewards[T, N], uint8 terminals, truncations, masks[T, N], float32 final_observations[N, D]; flat buffers of as
        many items will do. C-contiguous; all but the actions writable; none may share memory. ValueError otherwise, and
        then the buffers bound before stay bound.
        """
        self._native.bind(observations, actions, rewards, terminals, truncations, masks, final_observations)

    def reset(self, episode_seed: int | None = None) -> None:
        """Every environment to the first episode of its own seed, statistics cleared; writes observations[0].

        `episode_seed` in the place of the batch's seed gives other episodes on the same levels.
        """
        self._native.reset(self.seed if episode_seed is None else _seed(episode_seed))

    def step(self, t: int, first: int = 0, count: int | None = None) -> None:
        """Environments first .. first+count-1 play actions[t] (count None: all from first on), with the GIL released.

        Writes rewards[t], terminals[t], truncations[t], masks[t] (1: a live agent acted) and observations[t+1]. Who
        dies while others play on has its terminal at once, and masks of 0 until the next episode. An environment whose
        episode ended begins the next at once: observations[t+1] is then the new episode's first. When the end was a
        truncation, final_observations[row] is the old episode's last observation; else it is left alone.
        """
        self._native.step(t, first, _count(count))

    def observe(self, slot: int) -> None:
        """Write the current observations of all environments into observations[slot], 0 .. T."""
        self._native.observe(slot)

    def statistics(self, first: int = 0, count: int | None = None) -> Statistics:
        """Sums over the episodes of environments first .. first+count-1 (None: all from first on) that ended since the
        last call for them, in the order of environments; cleared by it."""
        return Statistics(*self._native.statistics(first, _count(count)))

    def state(self, environment: int) -> bytes:
        """Everything about one environment, its generator included."""
        return self._native.state(environment)

    def states(self) -> bytes:
        """What `state` gives for every environment, one after another."""
        return self._native.states()

    def set_state(self, environment: int, state: bytes) -> None:
        """Put an environment where `state` was taken; ValueError for bytes that are no state of this config."""
        self._native.set_state(environment, state)

    def save(self) -> bytes:
        """The states of all environments and the statistics not yet asked for, with a header and a checksum."""
        return self._native.save()

    def load(self, saved: bytes) -> None:
        """Go on where `save` was called on a batch of equal name, config, seed and size; ValueError otherwise."""
        self._native.load(saved)

    def constants(self) -> bytes:
        """What all environments share and never change, such as levels: a block of plain data without pointers."""
        return self._native.constants()

    def assign(self, sums: bytes, states: bytes) -> None:
        """Take over all environments of a batch of equal name, config, seed and size that is played elsewhere, such as
        on a GPU: `states`, and the `sums` of the episodes not yet asked for (four numbers of 8 bytes an environment:
        episodes, then score, return and length as doubles). ValueError for bytes of a wrong number or a state that
        cannot be."""
        self._native.assign(sums, states)

    def close(self) -> None:
        """Let go of buffers and threads. May be called again."""
        self._native.close()

    def __enter__(self) -> Batch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def cores() -> int:
    """Cores this process may run on, or MOST_THREADS where there are more."""
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(found, MOST_THREADS)


def _seed(seed: int) -> int:
    if not 0 <= seed < 2**64:
        raise ValueError(f"seed is {seed}; it must be from 0 to 2**64 - 1")
    return seed


def _count(count: int | None) -> int:
    """A range's length as the C side takes it: -1 for "all from first on"."""
    if count is None:
        return -1
    if count < 0:
        raise ValueError(f"count is {count}; it must not be negative")
    return count
