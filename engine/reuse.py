"""What prioritized replay did in an iteration, in the numbers that the panel and the metrics show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
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

    def drawn(self) -> tuple[Tensor, Tensor]:
        """Segment, int64, and clip fraction of every draw."""
        if not self._segments:
            return torch.zeros(0, dtype=torch.int64), torch.zeros(0)
        return torch.cat(self._segments), torch.cat(self._clipped)


@dataclass(frozen=True, slots=True)
class ReuseColumns:
    """What `reuse_metrics` and `reuse_view` are made of: a number for every segment [S], and behind them one for every
    draw [D].

    metric: priority metric after the last update; chances: the probabilities the scheme gives it, float64.
    """

    uses: Tensor
    metric: Tensor
    chances: Tensor
    agents: Tensor
    iterations: Tensor
    scores: Tensor
    drawn: Tensor
    weights: Tensor
    clipped: Tensor


def reuse_columns(
    sampler: SegmentSampler, experience: Experience, metric: Tensor, distribution: Tensor, reuse: Reuse
) -> ReuseColumns:
    """The columns as they stand, on the device. It is asked nothing."""
    drawn, clipped = reuse.drawn()
    return ReuseColumns(
        uses=sampler.uses,
        metric=metric.detach(),
        chances=distribution,
        agents=experience.agents(),
        iterations=experience.iterations(),
        scores=experience.scores(),
        drawn=drawn,
        weights=torch.cat(sampler.drawn_weights) if sampler.drawn_weights else torch.zeros(0),
        clipped=clipped,
    )


def reuse_metrics(columns: ReuseColumns, fresh: int, iteration: int) -> dict[str, float]:
    """Metrics under replay/, from columns on the host whose first `fresh` segments are of this iteration.

    The effective sample size is (sum p)^2 / (S * sum p^2), the entropy is divided by log S: both are 1 for a uniform
    distribution.
    """
    chances, segments = columns.chances, len(columns.metric)
    counts = np.bincount(columns.uses.numpy())
    p50, p90, p99 = _quantiles(counts, segments, (0.5, 0.9, 0.99))
    entropy = float(-(chances * chances.clamp(min=1e-300).log()).sum())
    values = {
        "replay/uses_mean": float(counts @ np.arange(len(counts))) / segments,
        "replay/uses_max": float(len(counts) - 1),
        "replay/uses_p50": p50,
        "replay/uses_p90": p90,
        "replay/uses_p99": p99,
        "replay/unused": int(counts[0]) / segments,
        "replay/ess": float(chances.sum().square() / (segments * chances.square().sum())),
        "replay/entropy": entropy / math.log(segments) if segments > 1 else 1.0,
    }
    weights = _finite(columns.weights)
    if len(weights):
        lowest, highest = weights.aminmax()
        values |= {
            "replay/weight_min": float(lowest),
            "replay/weight_mean": float(weights.mean()),
            "replay/weight_max": float(highest),
        }
    if segments > fresh and len(columns.drawn):
        ages = _ages(columns, iteration).numpy()
        values |= {
            "replay/old_share": np.count_nonzero(ages) / len(ages),
            "replay/age_mean": float(ages.sum()) / len(ages),
            "replay/age_max": float(ages.max()),
        }
    return values


def reuse_view(
    scheme: str, draws: int, columns: ReuseColumns, fresh: int, iteration: int, table: bool = False
) -> ReplayView:
    """What the panel shows of the same columns. `table` asks for a row for every segment."""
    ages, weights = _ages(columns, iteration), _finite(columns.weights)
    priorities = _histogram(columns.metric.clamp(min=1e-12), log=True)
    return ReplayView(
        scheme=scheme,
        segments=len(columns.metric),
        fresh=fresh,
        draws=draws,
        uses_histogram=tuple(torch.bincount(columns.uses.clamp(max=USES_BINS - 1), minlength=USES_BINS).tolist()),
        priority_histogram=priorities.counts,
        priority_range=(10**priorities.low, 10**priorities.high),
        weights=_histogram(weights) if len(weights) else Histogram(),
        ages=_age_histogram(ages),
        clip_by_age=_by_age(ages, columns.clipped),
        top=_highest(columns, iteration, TOP),
        table=_highest(columns, iteration, TABLE) if table else (),
    )


def _finite(weights: Tensor) -> Tensor:
    """The weights without those that overflowed with their priorities; their minibatches were taken back."""
    return weights[weights.isfinite()]


def _ages(columns: ReuseColumns, iteration: int) -> Tensor:
    """The age of every draw, in iterations [D]."""
    return iteration - columns.iterations[columns.drawn]


def _quantiles(counts: np.ndarray, total: int, shares: Sequence[float]) -> list[float]:
    """Quantiles of `total` whole numbers of which `counts[k]` are k, between two of them in proportion."""
    ranks = np.array(shares) * (total - 1)
    below = np.floor(ranks)
    places = np.searchsorted(counts.cumsum(), np.concatenate((below, np.ceil(ranks))), side="right")
    (low, high), share = places.reshape(2, -1), ranks - below
    # From the nearer of the two, as torch.quantile does it: to the last bit.
    between = np.where(share < 0.5, low + share * (high - low), high - (1 - share) * (high - low))
    return [float(value) for value in between]


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
    oldest = int(ages.max()) if len(ages) else -1
    for first, stop in zip(AGES, (*AGES[1:], 1 << 62), strict=True):
        if first > oldest:
            break
        these = (ages >= first) & (ages < stop)
        if bool(these.any()):
            found.append((first, float(clipped[these].mean())))
    return tuple(found)


def _highest(columns: ReuseColumns, iteration: int, count: int) -> tuple[SegmentSummary, ...]:
    """Summaries of the `count` segments with the highest metric, in its order."""
    best = columns.metric.topk(min(count, len(columns.metric))).indices
    found = (
        best.tolist(),
        columns.agents[best].tolist(),
        columns.metric[best].tolist(),
        columns.chances[best].tolist(),
        columns.uses[best].tolist(),
        (iteration - columns.iterations[best]).tolist(),
        columns.scores[best].tolist(),
    )
    return tuple(SegmentSummary(*row) for row in zip(*found, strict=True))
