"""Estimates from a handful of runs: interquartile means, medians and their bootstrap intervals.

After Agarwal, Schwarzer, Castro, Courville and Bellemare, "Deep Reinforcement Learning at the Edge of the Statistical
Precipice" (NeurIPS 2021). Seeds are few and their results are far from normal; the paper's answer is a robust mean
with a percentile bootstrap interval. With five seeds or fewer such an interval is known to be too narrow rather than
too wide: a bootstrap never sees a value that no seed had.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.float64]

LEVEL = 0.95
REPLICATES = 10_000
"""Resamples of a group's runs for one number."""
CURVE_REPLICATES = 2_000
"""Resamples for a whole curve, the number that the paper uses for its curves."""

_SEED = 20_210_830
_CHUNK = 2_000_000
"""Numbers resampled at a time: bounds the memory."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with the ends of its 95 % interval.

    `low` and `high` are None where there is no interval: with a single run. `value` is None where there is no number,
    and an end of the interval is infinite where the number may be out of reach.
    """

    value: float | None
    low: float | None = None
    high: float | None = None


def interquartile_mean(values: Array, axis: int = 0) -> Array:
    """Mean of the middle half: floor(n / 4) of n values are cut at either end (IQM, Agarwal et al. 2021, section 4.3).

    As `scipy.stats.trim_mean(values, 0.25)`, which the paper's code uses: five values leave the middle three, and up to
    three values are all kept, so that it is their mean.
    """
    ordered = np.sort(values, axis=axis)
    count = ordered.shape[axis]
    cut = count // 4
    kept = np.take(ordered, np.arange(cut, count - cut), axis=axis)
    return np.asarray(kept.mean(axis=axis))


def median(values: Array, axis: int = 0) -> Array:
    """Median; the upper one of the middle two where they are not equal and one is infinite (out of reach)."""
    ordered = np.sort(values, axis=axis)
    count = ordered.shape[axis]
    lower = np.take(ordered, (count - 1) // 2, axis=axis)
    upper = np.take(ordered, count // 2, axis=axis)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(np.isfinite(upper), (lower + upper) / 2, upper))


class Resampler:
    """Draws a group's runs with replacement, always in the same way for the same group.

    `stream` numbers the groups of a comparison: each is resampled on its own (the strata of a stratified bootstrap),
    and with random numbers of its own, so that the difference of two groups' replicates is a replicate of the
    difference.
    """

    def __init__(self, runs: int, stream: int, replicates: int = REPLICATES) -> None:
        self.runs = runs
        generator = np.random.default_rng([_SEED, stream])
        self.drawn = generator.integers(0, runs, (replicates, runs))
        """Which runs each replicate holds: [replicates, runs]."""

    def replicates(
        self, values: Array, statistic: Callable[[Array, int], Array] = interquartile_mean, most: int = REPLICATES
    ) -> Array:
        """`statistic` of each resample of `values` [runs, ...]: [replicates, ...]."""
        drawn = self.drawn[:most]
        rows = max(1, _CHUNK // max(1, values.size))
        parts = [statistic(values[drawn[first : first + rows]], 1) for first in range(0, len(drawn), rows)]
        return np.concatenate(parts)

    def estimate(
        self, values: Array, statistic: Callable[[Array, int], Array] = interquartile_mean
    ) -> tuple[Estimate, Array]:
        """`statistic` of `values` [runs] with its interval, and the replicates behind it."""
        value = float(statistic(values, 0))
        replicates = self.replicates(values, statistic)
        return with_interval(value, replicates, self.runs > 1), replicates


def with_interval(value: float, replicates: Array, known: bool = True) -> Estimate:
    """The percentile interval of `replicates` around `value`; none where it is not `known`."""
    if not known:
        return Estimate(value)
    low, high = interval(replicates)
    return Estimate(value, float(low), float(high))


def interval(replicates: Array, level: float = LEVEL) -> tuple[Array, Array]:
    """The percentile interval of `replicates` [replicates, ...]: Efron and Tibshirani (1993), chapter 13.

    The ends are replicates themselves, the outer neighbours of the exact percentiles, so that they are right for
    infinite values too.
    """
    ordered = np.sort(replicates, axis=0)
    last = len(ordered) - 1
    tail = (1 - level) / 2
    return ordered[math.floor(tail * last)], ordered[math.ceil((1 - tail) * last)]


def area(xs: Array, ys: Array, low: float, high: float) -> float:
    """Mean height of the piecewise linear curve (xs, ys) over [low, high]: its area by the trapezoidal rule, exact for
    such a curve, over the width. The value at `low` where the range has no width."""
    if high <= low:
        return float(np.interp(low, xs, ys))
    inside = xs[(xs > low) & (xs < high)]
    grid = np.concatenate([[low], inside, [high]])
    heights = np.interp(grid, xs, ys)
    return float(np.sum(np.diff(grid) * (heights[1:] + heights[:-1]) / 2) / (high - low))
