"""What one iteration collects: N segments of T steps, stored time-major so that every step is one contiguous block."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.scalars import Scalar
from engine.segments import Segments


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
        self._agent = torch.arange(agents, device=device)
        self._agent_here = torch.arange(agents)
        self.environments = torch.zeros(0, 0, dtype=torch.uint8)
        """States of the environments at the horizon's start, [E, bytes] on the host."""
        self.masks: Tensor | None = None
        """`live` as float32 where some agent did not act; None when every step counts."""

    def bytes(self) -> int:
        """Memory of all tensors."""
        return sum(value.nbytes for value in vars(self).values() if isinstance(value, Tensor))

    def finish(self, reward_clamp: Scalar) -> None:
        """Derives what follows from a whole horizon: ends, resets, clamped rewards (the number 0: left as they are),
        ratios of 1."""
        torch.bitwise_or(self.terminals, self.truncations, out=self.done)
        self.resets[1:] = self.done[:-1]
        if isinstance(reward_clamp, Tensor):
            self.rewards.clamp_(-reward_clamp, reward_clamp)
        elif reward_clamp > 0:
            self.rewards.clamp_(min=-reward_clamp, max=reward_clamp)
        self.ratios.fill_(1.0)

    def mask(self, *, all_live: bool) -> None:
        """Masks what is not live; `all_live`: every agent acted in every step, so that there is nothing to mask."""
        self.masks = None if all_live else self.live.float()

    def segments(self, iteration: int) -> Segments:
        """The buffer's segments, sharing its memory: the next horizon overwrites them."""
        return Segments(
            observations=self.observations[: self.horizon],
            actions=self.actions,
            logprobs=self.logprobs,
            values=self.values,
            rewards=self.rewards,
            ratios=self.ratios,
            advantages=self.advantages,
            final_values=self.final_values,
            done=self.done,
            resets=self.resets,
            masks=self.masks,
            bootstrap=self.bootstrap,
            state=self.state,
            environments=(self.environments,),
            environment=self._agent_here // max(1, self.agents // max(1, len(self.environments))),
            agent=self._agent,
            iteration=torch.full_like(self._agent, iteration),
        )
