"""The values of the observations that time limits cut episodes at, where the host cannot ask who was cut.

What happens to an agent whose episode was cut is done for every agent and kept where it was: the step of the cut and
the recurrent state after it are noted at once, and the values are computed together, once in as many steps as such an
episode has at least, because in these no agent is cut twice.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.policy import Policy


def note_cuts(cut: Tensor, state: Tensor, cut_state: Tensor) -> None:
    """Keeps `state` [layers, parts, N, hidden] in `cut_state` for the agents that are `cut`, a bool [N]."""
    cut_state.copy_(torch.where(cut[None, None, :, None], state, cut_state))


def value_cuts(policy: Policy, observations: Tensor, cut_state: Tensor, cut_at: Tensor, final_values: Tensor) -> None:
    """Writes the values of the last `observations` [N, D] to `final_values` [T, N], each at the step `cut_at` [N] of
    its cut; T there means that nobody cut the agent, and is what is left there for the next time."""
    value = policy.step(observations, cut_state)[1]
    # The gates make a number of what is infinite, which then nobody would find.
    value = value.masked_fill(~torch.isfinite(observations).all(-1), torch.nan)
    horizon = len(final_values)
    at = cut_at.clamp(max=horizon - 1).unsqueeze(0)
    kept = torch.where(cut_at < horizon, value, final_values.gather(0, at)[0])
    final_values.scatter_(0, at, kept.unsqueeze(0))
    cut_at.fill_(horizon)


def steps_between(truncation_steps: int, horizon: int) -> int:
    """Steps after which the values are due, T at most; 0 where no time limit cuts an episode."""
    return min(truncation_steps, horizon)
