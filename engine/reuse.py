"""What prioritized replay did in an iteration, in the numbers that the panel and the metrics show."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from engine.replay import SegmentSampler
from engine.snapshot import ReplayView, SegmentSummary

USES_BINS = 9
"""0 to 7 uses, then 8 and more."""
PRIORITY_BINS = 16
TOP = 10


def reuse_statistics(
    sampler: SegmentSampler, metric: Tensor, distribution: Tensor, rewards: Tensor
) -> tuple[dict[str, float], ReplayView]:
    """Metrics under replay/ and the panel's view.

    metric [S]: priority metric after the last update; distribution [S]: the probabilities the scheme gives it;
    rewards [T, S]. The effective sample size is (sum p)^2 / (S * sum p^2), the entropy is divided by log S: both are 1
    for a uniform distribution.
    """
    uses, metric, chances = sampler.uses.cpu(), metric.detach().cpu(), distribution.cpu()
    segments = len(metric)
    counts = uses.double()
    quantiles = torch.quantile(counts, torch.tensor([0.5, 0.9, 0.99], dtype=torch.float64)).tolist()
    entropy = float(-(chances * chances.clamp(min=1e-300).log()).sum())
    values = {
        "replay/uses_mean": float(counts.mean()),
        "replay/uses_max": float(counts.max()),
        "replay/uses_p50": quantiles[0],
        "replay/uses_p90": quantiles[1],
        "replay/uses_p99": quantiles[2],
        "replay/unused": float((uses == 0).double().mean()),
        "replay/ess": float(chances.sum().square() / (segments * chances.square().sum())),
        "replay/entropy": entropy / math.log(segments) if segments > 1 else 1.0,
    }
    if sampler.draws:
        values |= {
            "replay/weight_min": float(sampler.weight_low),
            "replay/weight_mean": float(sampler.weight_sum) / sampler.draws,
            "replay/weight_max": float(sampler.weight_high),
        }
    histogram = torch.bincount(uses.clamp(max=USES_BINS - 1), minlength=USES_BINS).tolist()
    powers = metric.double().clamp(min=1e-12).log10()
    low, high = float(powers.min()), float(powers.max())
    priorities = torch.histc(powers, bins=PRIORITY_BINS, min=low, max=high if high > low else low + 1.0)
    best = metric.topk(min(TOP, segments)).indices
    scores = rewards.index_select(1, best.to(rewards.device)).sum(0).cpu()
    top = tuple(
        SegmentSummary(index=agent, age=0, agent=agent, priority=priority, probability=chance, uses=count, score=score)
        for agent, priority, chance, count, score in zip(
            best.tolist(),
            metric[best].tolist(),
            chances[best].tolist(),
            uses[best].tolist(),
            scores.tolist(),
            strict=True,
        )
    )
    view = ReplayView(
        scheme=sampler.scheme.name,
        segments=segments,
        draws=sampler.draws,
        uses_histogram=tuple(histogram),
        priority_histogram=tuple(int(count) for count in priorities.tolist()),
        priority_range=(10**low, 10**high),
        top=top,
    )
    return values, view
