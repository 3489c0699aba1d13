"""What one iteration collects: N segments of T steps, stored time-major so that every step is one contiguous block."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Minibatch:
    """M segments out of the buffer: each field [T, M], observations [T, M, D], state [layers, parts, M, hidden]."""

    observations: Tensor
    actions: Tensor
    logprobs: Tensor
    values: Tensor
    advantages: Tensor
    resets: Tensor
    state: Tensor
    masks: Tensor | None


class RolloutBuffer:
    """Tensors [T, N], `observations` [T+1, N, D], written by the collector and read by the learner.

    `resets` is 1 where the step before ended an episode; its row 0 is zero because `state`, the recurrent state at each
    segment's start, is zeroed already. `ratios` starts at 1 and is written back after each minibatch, as `values` is.
    """

    def __init__(
        self, horizon: int, agents: int, observation_size: int, state: Tensor, device: torch.device | str = "cpu"
    ) -> None:
        def zeros(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(*shape, dtype=dtype, device=device)

        self.horizon, self.agents = horizon, agents
        self.observations = zeros(horizon + 1, agents, observation_size)
        self.actions = zeros(horizon, agents, dtype=torch.int32)
        self.logprobs, self.values, self.rewards = (zeros(horizon, agents) for _ in range(3))
        self.ratios, self.advantages, self.final_values = (zeros(horizon, agents) for _ in range(3))
        self.terminals = zeros(horizon, agents, dtype=torch.uint8)
        self.truncations = zeros(horizon, agents, dtype=torch.uint8)
        self.done = zeros(horizon, agents, dtype=torch.uint8)
        self.resets = zeros(horizon, agents, dtype=torch.uint8)
        self.live = zeros(horizon, agents, dtype=torch.uint8)
        self.bootstrap = zeros(agents)
        self.state = torch.zeros_like(state, device=device)
        self.masks: Tensor | None = None
        """`live` as float32 where some agent did not act; None when every step counts."""

    def bytes(self) -> int:
        """Memory of all tensors."""
        return sum(value.nbytes for value in vars(self).values() if isinstance(value, Tensor))

    def finish(self, reward_clamp: float) -> None:
        """Derives what follows from a whole horizon: ends, resets, clamped rewards, ratios of 1."""
        torch.bitwise_or(self.terminals, self.truncations, out=self.done)
        self.resets[1:] = self.done[:-1]
        if reward_clamp > 0:
            self.rewards.clamp_(-reward_clamp, reward_clamp)
        self.ratios.fill_(1.0)
        self.masks = None if bool(self.live.all()) else self.live.float()

    def gather(self, segments: Tensor) -> Minibatch:
        """Copies the segments with the given indices [M]."""

        def take(source: Tensor) -> Tensor:
            return source.index_select(1, segments)

        return Minibatch(
            observations=take(self.observations[: self.horizon]),
            actions=take(self.actions),
            logprobs=take(self.logprobs),
            values=take(self.values),
            advantages=take(self.advantages),
            resets=take(self.resets),
            state=self.state.index_select(2, segments),
            masks=None if self.masks is None else take(self.masks),
        )

    def write_back(self, segments: Tensor, values: Tensor, ratios: Tensor) -> None:
        """Stores what the newest policy said of the segments just trained on, both [T, M]."""
        self.values.index_copy_(1, segments, values)
        self.ratios.index_copy_(1, segments, ratios)
