"""A policy that plays on the CPU, beside training or after it, with environments of its own."""

from __future__ import annotations

import numpy as np
import torch

import c_envs
from engine.parallel import prepare_thread
from engine.policy import Policy
from engine.profile import Profile


class Game:
    """`environments` environments of a profile and a policy for them; call it in one thread.

    Actions are drawn from the policy, or are its likeliest ones with `greedy`, which may be changed between two steps.
    `seed` decides the random numbers of the environments and of the policy; levels that are made from the profile's
    seed are those of training.
    """

    def __init__(self, profile: Profile, environments: int, *, seed: int = 0, greedy: bool = False) -> None:
        prepare_thread()
        env, policy = profile.env, profile.policy
        spec = c_envs.spec(env.name, env.config)
        self.greedy = greedy
        self.agents = environments * spec.agents_per_environment
        self.policy = Policy(
            spec.observation_size, spec.actions, core=policy.core, hidden=policy.hidden, layers=policy.layers
        )
        self.batch = c_envs.Batch(
            env.name, environments, seed=profile.train.seed, threads=1, config=env.config, slots=1
        )
        self._observations = torch.zeros(2, self.agents, spec.observation_size)
        self.actions = torch.zeros(1, self.agents, dtype=torch.int32)
        self.rewards = torch.zeros(1, self.agents)
        self._flags = [torch.zeros(1, self.agents, dtype=torch.uint8) for _ in range(3)]
        final = torch.zeros(self.agents, spec.observation_size)
        self.batch.bind(
            observations=self._observations.numpy(),
            actions=self.actions.numpy(),
            rewards=self.rewards.numpy(),
            terminals=self._flags[0].numpy(),
            truncations=self._flags[1].numpy(),
            masks=self._flags[2].numpy(),
            final_observations=final.numpy(),
        )
        self.logits = torch.zeros(self.agents, spec.actions)
        """Of the last step, as `values` are."""
        self.values = torch.zeros(self.agents)
        self._generator = torch.Generator()
        self.restart(seed)

    def restart(self, seed: int) -> None:
        """The first episodes of a seed, whatever was played before."""
        self._generator.manual_seed(seed)
        self.batch.reset(seed)
        self._state = self.policy.initial_state(self.agents)

    @torch.no_grad()
    def step(self) -> np.ndarray:
        """One step of every environment; returns uint8 [N]: 1 where an episode ended."""
        self.logits, self.values, state = self.policy.step(self._observations[0], self._state)
        if self.greedy:
            actions = self.logits.argmax(-1)
        else:
            actions = torch.multinomial(self.logits.softmax(-1), 1, generator=self._generator).squeeze(-1)
        self.actions[0] = actions.int()
        self.batch.step(0)
        done = torch.maximum(self._flags[0][0], self._flags[1][0])
        self._observations[0].copy_(self._observations[1])
        self._state = state * (1.0 - done.float())[None, None, :, None]
        ended: np.ndarray = done.numpy()
        return ended

    def close(self) -> None:
        """Frees the environments."""
        self.batch.close()
