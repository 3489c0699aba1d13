"""Generalized advantage estimation with V-trace clipping (Schulman et al. 2015; Espeholt et al. 2018)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from engine import _kernels


@dataclass(frozen=True, slots=True)
class AdvantageSettings:
    """Discount, trace decay and the two clips of the importance ratio."""

    gamma: float
    gae_lambda: float
    rho_clip: float
    c_clip: float


def compute_advantages(
    rewards: Tensor,
    values: Tensor,
    ratios: Tensor,
    done: Tensor,
    final_values: Tensor,
    bootstrap: Tensor,
    settings: AdvantageSettings,
    out: Tensor,
) -> None:
    """Writes the advantage of every step into `out`.

        delta_t = min(ratio_t, rho_clip) * (r_t + gamma * V_next_t - V_t)
        A_t     = delta_t + gamma * lambda * min(ratio_t, c_clip) * (1 - done_t) * A_{t+1}

    V_next is V_{t+1} inside an episode, `bootstrap` after the last step, zero after a terminal step, and the value of
    the episode's last observation (`final_values`) where it was cut by a time limit, which is no termination.

    Shapes: [T, N], time-major, bootstrap [N]; `done` uint8, the rest float32, all contiguous and on one device.
    """
    if rewards.device.type == "cpu":
        _kernels.advantages(
            rewards.numpy(),
            values.numpy(),
            ratios.numpy(),
            done.numpy(),
            final_values.numpy(),
            bootstrap.numpy(),
            settings.gamma,
            settings.gae_lambda,
            settings.rho_clip,
            settings.c_clip,
            out.numpy(),
        )
    else:
        torch_advantages(rewards, values, ratios, done, final_values, bootstrap, settings, out)


def torch_advantages(
    rewards: Tensor,
    values: Tensor,
    ratios: Tensor,
    done: Tensor,
    final_values: Tensor,
    bootstrap: Tensor,
    settings: AdvantageSettings,
    out: Tensor,
) -> None:
    """The same on any device, one small operation a step."""
    alive = 1.0 - done.to(rewards.dtype)
    following = torch.cat((values[1:], bootstrap.unsqueeze(0)))
    target = rewards + settings.gamma * (alive * following + final_values)
    delta = ratios.clamp(max=settings.rho_clip) * (target - values)
    decay = settings.gamma * settings.gae_lambda * ratios.clamp(max=settings.c_clip) * alive
    running = torch.zeros_like(bootstrap)
    for t in range(rewards.shape[0] - 1, -1, -1):
        running = torch.addcmul(delta[t], decay[t], running, out=out[t])
