"""What prioritized replay did in an iteration, in the numbers that the panel and the metrics show."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from engine.replay import SegmentSampler
from engine.scalars import Scalar
from engine.segments import Experience
from engine.snapshot import Histogram, ReplayView, SegmentSummary

USES_BINS = 9
"""0 to 7 uses, then 8 and more."""
BINS = 16
AGES = (0, 1, 2, 4, 8, 16, 32)
"""Ages at which a bin of the age statistics begins; the last one is open."""
TOP = 10
TABLE = 4096


def clipped(ratios: Tensor, clip: Scalar) -> Tensor:
    """Share of each segment's ratios [T, M] that leave 1 by more than `clip`, [M]."""
    return ((ratios - 1).abs() > clip).float().mean(0)


class Reuse:
    """Gathers what was drawn and clipped over the minibatches of an iteration."""

    def __init__(self) -> None:
        self._segments: list[Tensor] = []
        self._clipped: list[Tensor] = []

    def record(self, segments: Tensor, clipped: Tensor) -> None:
        """A minibatch was trained on: its segments [M] and the shares [M] of their ratios that were clipped."""
        self._segments.append(segments)
        self._clipped.append(clipped)

    def drawn(self, iteration: int, experience: Experience) -> tuple[Tensor, Tensor]:
        """Age, int64, and clip fraction of every draw, on the host."""
        if not self._segments:
            return torch.zeros(0, dtype=torch.int64), torch.zeros(0)
        ages = iteration - experience.iterations()[torch.cat(self._segments)]
        return ages.cpu(), torch.cat(self._clipped).cpu()


def reuse_statistics(
    sampler: SegmentSampler,
    experience: Experience,
    metric: Tensor,
    distribution: Tensor,
    reuse: Reuse,
    iteration: int,
    table: bool = False,
) -> tuple[dict[str, float], ReplayView]:
    """Metrics under replay/ and the panel's view.

    metric [S]: priority metric after the last update; distribution [S]: the probabilities the scheme gives it. The
    effective sample size is (sum p)^2 / (S * sum p^2), the entropy is divided by log S: both are 1 for a uniform
    distribution. `table` asks for a row for every segment.
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
    weights = torch.cat(sampler.drawn_weights).cpu() if sampler.drawn_weights else torch.zeros(0)
    if len(weights):
        values |= {
            "replay/weight_min": float(weights.min()),
            "replay/weight_mean": float(weights.mean()),
            "replay/weight_max": float(weights.max()),
        }
    ages, clipped = reuse.drawn(iteration, experience)
    if segments > experience.fresh and len(ages):
        values |= {
            "replay/old_share": float((ages > 0).double().mean()),
            "replay/age_mean": float(ages.double().mean()),
            "replay/age_max": float(ages.max()),
        }
    priorities = _histogram(metric.clamp(min=1e-12), log=True)
    rows = _Rows(experience, metric, chances, uses, iteration)
    view = ReplayView(
        scheme=sampler.scheme.name,
        segments=segments,
        fresh=experience.fresh,
        draws=sampler.draws,
        uses_histogram=tuple(torch.bincount(uses.clamp(max=USES_BINS - 1), minlength=USES_BINS).tolist()),
        priority_histogram=priorities.counts,
        priority_range=(10**priorities.low, 10**priorities.high),
        weights=_histogram(weights) if len(weights) else Histogram(),
        ages=_age_histogram(ages),
        clip_by_age=_by_age(ages, clipped),
        top=rows.highest(TOP),
        table=rows.highest(TABLE) if table else (),
    )
    return values, view


def _histogram(values: Tensor, log: bool = False) -> Histogram:
    """Counts in equal slices between the smallest and the largest value, or between their logarithms to base 10."""
    values = values.double().log10() if log else values.double()
    low, high = float(values.min()), float(values.max())
    counts = torch.histc(values, bins=BINS, min=low, max=high if high > low else low + 1.0)
    return Histogram(tuple(int(count) for count in counts.tolist()), low, high, log)


def _age_histogram(ages: Tensor) -> Histogram:
    """Draws by age, an iteration a slice."""
    if not len(ages):
        return Histogram()
    counts = torch.bincount(ages.clamp(max=BINS - 1), minlength=min(BINS, int(ages.max()) + 1))
    return Histogram(tuple(counts.tolist()), 0.0, float(len(counts)))


def _by_age(ages: Tensor, clipped: Tensor) -> tuple[tuple[int, float], ...]:
    """Mean clip fraction of the draws from each of `AGES` up to the next; ages that nothing has are left out."""
    found = []
    for first, stop in zip(AGES, (*AGES[1:], 1 << 62), strict=True):
        these = (ages >= first) & (ages < stop)
        if bool(these.any()):
            found.append((first, float(clipped[these].mean())))
    return tuple(found)


class _Rows:
    """Summaries of segments, made for those that are asked for."""

    def __init__(self, experience: Experience, metric: Tensor, chances: Tensor, uses: Tensor, iteration: int) -> None:
        self._metric, self._chances, self._uses = metric, chances, uses
        self._experience, self._iteration = experience, iteration

    def highest(self, count: int) -> tuple[SegmentSummary, ...]:
        """The `count` segments with the highest metric, in its order."""
        best = self._metric.topk(min(count, len(self._metric))).indices
        there = best.to(self._experience.stores[0].rewards.device)
        columns = (
            best.tolist(),
            self._experience.agents()[there].tolist(),
            self._metric[best].tolist(),
            self._chances[best].tolist(),
            self._uses[best].tolist(),
            (self._iteration - self._experience.iterations()[there]).tolist(),
            self._experience.scores()[there].tolist(),
        )
        return tuple(SegmentSummary(*row) for row in zip(*columns, strict=True))
