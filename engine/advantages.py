"""Generalized advantage estimation with V-trace clipping (Schulman et al. 2015; Espeholt et al. 2018)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from engine import _kernels
from engine.device_experience import ExperienceKernels
from engine.scalars import Scalar


@dataclass(frozen=True, slots=True)
class AdvantageSettings:
    """Discount, trace decay and the two clips of the importance ratio."""

    gamma: Scalar
    gae_lambda: Scalar
    rho_clip: Scalar
    c_clip: Scalar


def compute_advantages(
    rewards: Tensor,
    values: Tensor,
    ratios: Tensor,
    done: Tensor,
    final_values: Tensor,
    bootstrap: Tensor,
    settings: AdvantageSettings,
    out: Tensor,
    kernels: ExperienceKernels | None = None,
) -> None:
    """Writes the advantage of every step into `out`.

        delta_t = min(ratio_t, rho_clip) * (r_t + gamma * V_next_t - V_t)
        A_t     = delta_t + gamma * lambda * min(ratio_t, c_clip) * (1 - done_t) * A_{t+1}

    V_next is V_{t+1} inside an episode, `bootstrap` after the last step, zero after a terminal step, and the value of
    the episode's last observation (`final_values`) where it was cut by a time limit, which is no termination.

    Shapes: [T, N], time-major, bootstrap [N]; `done` uint8, the rest float32, all contiguous and on one device. On a
    GPU `kernels` make one launch of it.
    """
    if kernels is not None:
        given = _on_device(settings, rewards.device)
        kernels.advantages(rewards, values, ratios, done, final_values, bootstrap, given, out)
        return
    if rewards.device.type != "cpu" or isinstance(settings.gamma, Tensor):
        torch_advantages(rewards, values, ratios, done, final_values, bootstrap, settings, out)
        return
    _kernels.advantages(
        rewards.numpy(),
        values.numpy(),
        ratios.numpy(),
        done.numpy(),
        final_values.numpy(),
        bootstrap.numpy(),
        settings.gamma,
        float(settings.gae_lambda),
        float(settings.rho_clip),
        float(settings.c_clip),
        out.numpy(),
    )


def _on_device(settings: AdvantageSettings, device: torch.device) -> Tensor:
    """The settings as float64 [4]. Numbers of the host's are on their way there without being waited for."""
    numbers = (settings.gamma, settings.gae_lambda, settings.rho_clip, settings.c_clip)
    if isinstance(settings.gamma, Tensor):
        return torch.stack([each for each in numbers if isinstance(each, Tensor)])
    return torch.tensor(numbers, dtype=torch.float64, pin_memory=True).to(device, non_blocking=True)


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


def explained_variance(advantages: Tensor, values: Tensor, masks: Tensor | None) -> Tensor:
    """1 - Var(A) / Var(A + V) over live steps, 0-D: what of the returns' variance the values [T, N] explain.

    nan where fewer than two steps are live.
    """
    live = slice(None) if masks is None else masks > 0
    errors, values = advantages[live], values[live]
    return 1 - errors.var() / (errors + values).var() if errors.numel() > 1 else errors.sum() * math.nan


def recordable_explained_variance(advantages: Tensor, values: Tensor, masks: Tensor | None) -> Tensor:
    """The same by operations whose shapes do not depend on how many steps are live, as a CUDA graph needs them."""
    if masks is None:
        return explained_variance(advantages, values, masks)

    def spread(quantity: Tensor) -> Tensor:
        mean = (quantity * masks).sum() / masks.sum()
        return ((quantity - mean) * masks).square().sum()

    return 1 - spread(advantages) / spread(advantages + values)
