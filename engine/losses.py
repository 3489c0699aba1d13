"""The objective of PPO over a minibatch of segments (Schulman et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.scalars import Scalar, clamp, switched_on

STATISTICS = ("loss/policy", "loss/value", "loss/entropy", "loss/approx_kl_k1", "loss/approx_kl", "loss/clip_fraction")

LEAST_DEVIATION = 1e-6
"""What advantages deviate from their mean by is rounding below this share of it: some ten units in the last place."""


@dataclass(frozen=True, slots=True)
class LossSettings:
    """Coefficients of the objective. `value_clip` 0 turns value clipping off."""

    clip: Scalar
    value_clip: Scalar
    value_coef: Scalar
    entropy_coef: Scalar


@dataclass(frozen=True, slots=True)
class Targets:
    """What a minibatch is trained towards, each [T, S]; `advantages` are normalized and weighted already."""

    actions: Tensor
    logprobs: Tensor
    advantages: Tensor
    values: Tensor
    returns: Tensor
    masks: Tensor | None
    """1 where a live agent acted; None when every step counts."""


def ppo_loss(
    logits: Tensor, values: Tensor, targets: Targets, settings: LossSettings, count: Scalar
) -> tuple[Tensor, Tensor, Tensor]:
    """Sum over samples divided by `count`: the loss, the ratios [T, S] and the `STATISTICS` (both detached).

    logits [T, S, A], values [T, S]. `count` is the number of live samples of the whole minibatch, so that losses and
    gradients of its parts add up to those of the whole.

        policy  = -min(ratio * A, clip(ratio, 1 - eps, 1 + eps) * A)
        value   = 0.5 * max((V - R)^2, (V_old + clip(V - V_old, -eps_v, eps_v) - R)^2)
        entropy = -sum_a pi(a) log pi(a)

    The two estimates of KL(old, new) are k1 = -log ratio and k3 = ratio - 1 - log ratio (Schulman 2020).
    """
    logs = torch.log_softmax(logits, dim=-1)
    chosen = logs.gather(-1, targets.actions.unsqueeze(-1).long()).squeeze(-1)
    log_ratio = chosen - targets.logprobs
    ratio = log_ratio.exp()
    policy = -torch.min(
        ratio * targets.advantages, clamp(ratio, 1 - settings.clip, 1 + settings.clip) * targets.advantages
    )
    error = (values - targets.returns).square()
    if switched_on(settings.value_clip):
        limited = targets.values + clamp(values - targets.values, -settings.value_clip, settings.value_clip)
        error = torch.max(error, (limited - targets.returns).square())
    value = 0.5 * error
    entropy = -(logs.exp() * logs).sum(-1)
    each = policy + settings.value_coef * value - settings.entropy_coef * entropy
    if targets.masks is not None:
        each = each * targets.masks
    with torch.no_grad():
        clipped = ((ratio - 1).abs() > settings.clip).float()
        rows = torch.stack((policy, value, entropy, -log_ratio, ratio - 1 - log_ratio, clipped)).flatten(1)
        if targets.masks is not None:
            rows = rows * targets.masks.flatten()
        statistics = rows.sum(1) / count
        # Where no live agent acted, nothing was chosen: there is no ratio to correct for.
        seen = ratio if targets.masks is None else ratio.masked_fill(targets.masks <= 0, 1.0)
    return each.sum() / count, seen.detach(), statistics


def normalize(advantages: Tensor, masks: Tensor | None) -> Tensor:
    """Advantages with mean 0 and standard deviation 1 over the live steps; one live step alone becomes 0."""
    if masks is None:
        if advantages.numel() < 2:
            return torch.zeros_like(advantages)
        deviation, mean = torch.std_mean(advantages)
        return (advantages - mean) / (deviation + 1e-8)
    count = masks.sum()
    mean = (advantages * masks).sum() / count.clamp(min=1)
    centred = (advantages - mean) * masks
    deviation = (centred.square().sum() / (count - 1).clamp(min=1)).sqrt()
    # The mean of equal numbers can be off by a rounding error; the deviation is then that error, and no deviation.
    return torch.where(deviation <= LEAST_DEVIATION * mean.abs(), 0.0, centred / (deviation + 1e-8))
