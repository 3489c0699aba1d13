"""Which segments are trained on: priorities, sampling schemes, importance weights and the count of uses.

    metric_i = |A_i| over the live steps of segment i: their sum, mean, maximum, or eta * max + (1 - eta) * mean
    p_i      = (metric_i + eps)^alpha
    P_i      = p_i / sum_j p_j
    w_i      = (S * P_i)^-beta

(Schaul et al. 2015, "Prioritized Experience Replay", with segments in the place of transitions; eta as in Kapturowski
et al. 2019, "R2D2".)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from engine.device_minibatch import MOST_SEGMENTS, MinibatchKernels
from engine.scalars import Scalar

EPSILON = 1e-6
ETA = 0.9


def priority_metric(
    advantages: Tensor, masks: Tensor | None, metric: str, kernels: MinibatchKernels | None = None
) -> Tensor:
    """Priority metric [S] of each segment from advantages [T, S]; `masks` [T, S] is 1 on live steps, None: all are.

    `kernels` are those of the GPU they are on.
    """
    if kernels is not None:
        return kernels.metric(advantages, masks, metric, ETA)
    size = advantages.abs()
    if masks is not None:
        size = size * masks
    if metric == "sum":
        return size.sum(0)
    if metric == "max":
        return size.amax(0)
    mean = size.sum(0) / (masks.sum(0).clamp(min=1) if masks is not None else advantages.shape[0])
    if metric == "mean":
        return mean
    return ETA * size.amax(0) + (1 - ETA) * mean


def probabilities(metric: Tensor, alpha: Scalar) -> Tensor:
    """P_i in float64, where the sum of many thousand small numbers stays exact enough to search."""
    powered = (metric.double() + EPSILON).pow(alpha)
    return powered / powered.sum()


def importance_weights(chosen: Tensor, segments: int, beta: Scalar, normalized: bool) -> Tensor:
    """w = (S * P)^-beta for the probabilities of the drawn segments, float32; `normalized` divides by the largest."""
    weights = (segments * chosen).pow(-beta)
    if normalized:
        weights = weights / weights.max()
    return weights.float()


@dataclass(frozen=True, slots=True)
class Draw:
    """One minibatch: the segments' indices [M] and their importance weights [M]."""

    segments: Tensor
    weights: Tensor


@dataclass(frozen=True, slots=True)
class SamplingSettings:
    """Live settings of the sampler."""

    alpha: Scalar
    beta: Scalar
    replacement: bool
    normalize_weights: bool


class Scheme(ABC):
    """A way to choose segments. `distribution` is what the panel shows; `choose` may use it or not.

    A draw has two halves. `chance` is what is random about it and needs to know no metric; `choose` computes the draw
    from it and asks nothing of the host, so that a CUDA graph can hold it.
    """

    name: ClassVar[str]

    def by_power(self, settings: SamplingSettings) -> tuple[Scalar, bool] | None:
        """Where each draw is independent and in proportion to (metric + eps)^alpha: this alpha, and whether the draws
        are `stratified`. None where it is otherwise."""
        return None

    def distribution(self, metric: Tensor, settings: SamplingSettings) -> Tensor:
        """P [S]: how likely each segment is to be the next one drawn."""
        return torch.full_like(metric, 1 / len(metric), dtype=torch.float64)

    def chance(
        self,
        segments: int,
        count: int,
        replacement: bool,
        generator: torch.Generator,
        device: torch.device,
        out: Tensor | None = None,
    ) -> Tensor:
        """The random numbers of one draw of `count` out of so many segments, uniform in [0, 1), float64."""
        size = self.uniforms(segments, count, replacement)
        return torch.rand(size, generator=generator, dtype=torch.float64, device=device, out=out)

    def uniforms(self, segments: int, count: int, replacement: bool) -> int:
        """How many uniform numbers such a draw takes."""
        return count

    @abstractmethod
    def choose(self, metric: Tensor, chance: Tensor, count: int, settings: SamplingSettings) -> Draw:
        """`count` segments for one minibatch, as `chance` will have it."""

    def start_iteration(self) -> None:  # noqa: B027 (most schemes remember nothing)
        """Forgets what belongs to the iteration before."""


class Prioritized(Scheme):
    """Independent draws from P, or without replacement."""

    name = "prioritized"

    def by_power(self, settings: SamplingSettings) -> tuple[Scalar, bool] | None:
        return (settings.alpha, False) if settings.replacement else None

    def distribution(self, metric: Tensor, settings: SamplingSettings) -> Tensor:
        return probabilities(metric, settings.alpha)

    def uniforms(self, segments: int, count: int, replacement: bool) -> int:
        return count if replacement else segments

    def choose(self, metric: Tensor, chance: Tensor, count: int, settings: SamplingSettings) -> Draw:
        chances = self.distribution(metric, settings)
        if settings.replacement:
            cumulative = chances.cumsum(0)
            chosen = torch.searchsorted(cumulative[:-1], chance * cumulative[-1], right=True)
        else:
            # The smallest of independent exponential waiting times is a draw in proportion to the rates, and the next
            # smallest one a draw from the rest (Efraimidis and Spirakis 2006).
            chosen = (-torch.log1p(-chance) / chances).topk(count, largest=False).indices
        weights = importance_weights(chances[chosen], len(chances), settings.beta, settings.normalize_weights)
        return Draw(chosen, weights)


class Stratified(Prioritized):
    """One draw from each of M equal slices of the cumulative distribution: the same expectation as independent draws,
    with less variance (Schaul et al. 2015, appendix B.2.1). Always with replacement."""

    name = "stratified"

    def by_power(self, settings: SamplingSettings) -> tuple[Scalar, bool] | None:
        return settings.alpha, True

    def uniforms(self, segments: int, count: int, replacement: bool) -> int:
        return count

    def choose(self, metric: Tensor, chance: Tensor, count: int, settings: SamplingSettings) -> Draw:
        chances = self.distribution(metric, settings)
        cumulative = chances.cumsum(0)
        slices = (torch.arange(count, device=chances.device) + chance) / count
        chosen = torch.searchsorted(cumulative[:-1], slices * cumulative[-1], right=True)
        weights = importance_weights(chances[chosen], len(chances), settings.beta, settings.normalize_weights)
        return Draw(chosen, weights)


class Rank(Prioritized):
    """p_i = (1 / rank_i)^alpha, the highest metric having rank 1: blind to the metric's scale and to outliers."""

    name = "rank"

    def by_power(self, settings: SamplingSettings) -> tuple[Scalar, bool] | None:
        return None

    def distribution(self, metric: Tensor, settings: SamplingSettings) -> Tensor:
        ranks = torch.empty(len(metric), dtype=torch.float64, device=metric.device)
        order = metric.argsort(descending=True, stable=True)
        ranks[order] = torch.arange(1, len(metric) + 1, dtype=torch.float64, device=metric.device)
        powered = ranks.pow(-settings.alpha)
        return powered / powered.sum()


class Uniform(Prioritized):
    """Every segment is as likely as any other: prioritized sampling with alpha = 0."""

    name = "uniform"

    def by_power(self, settings: SamplingSettings) -> tuple[Scalar, bool] | None:
        return (0.0, False) if settings.replacement else None

    def distribution(self, metric: Tensor, settings: SamplingSettings) -> Tensor:
        return probabilities(metric, 0.0)


class TopK(Scheme):
    """The segments with the highest metric at the moment of the draw. Nothing is left to chance: all weights are 1."""

    name = "topk"

    def distribution(self, metric: Tensor, settings: SamplingSettings) -> Tensor:
        return probabilities(metric, 1.0)

    def uniforms(self, segments: int, count: int, replacement: bool) -> int:
        return 0

    def choose(self, metric: Tensor, chance: Tensor, count: int, settings: SamplingSettings) -> Draw:
        chosen = metric.topk(count).indices
        return Draw(chosen, torch.ones(count, device=metric.device))


class Sequential(Scheme):
    """Every segment once in random order, then again in another order: plain PPO."""

    name = "sequential"

    def __init__(self) -> None:
        self._queue: Tensor | None = None
        self._segments = 0

    def start_iteration(self) -> None:
        self._queue = None

    def chance(
        self,
        segments: int,
        count: int,
        replacement: bool,
        generator: torch.Generator,
        device: torch.device,
        out: Tensor | None = None,
    ) -> Tensor:
        """The next `count` segments of the order, int64."""
        queue = self._queue if segments == self._segments else None
        while queue is None or len(queue) < count:
            order = torch.randperm(segments, generator=generator, device=device)
            queue = order if queue is None else torch.cat((queue, order))
        self._queue, self._segments = queue[count:], segments
        return queue[:count] if out is None else out.copy_(queue[:count])

    def choose(self, metric: Tensor, chance: Tensor, count: int, settings: SamplingSettings) -> Draw:
        return Draw(chance, torch.ones(count, device=metric.device))


SCHEMES: dict[str, type[Scheme]] = {
    scheme.name: scheme for scheme in (Prioritized, Stratified, Rank, TopK, Uniform, Sequential)
}


class SegmentSampler:
    """Draws minibatches and counts how often each segment was used in the iteration."""

    def __init__(
        self,
        segments: int,
        generator: torch.Generator,
        device: torch.device | str = "cpu",
        kernels: MinibatchKernels | None = None,
    ) -> None:
        self.kernels = kernels
        """What draws on the GPU that the segments are on."""
        self.segments, self.generator = segments, generator
        self.uses = torch.zeros(segments, dtype=torch.int64, device=device)
        self.drawn_weights: list[Tensor] = []
        self.draws = 0
        self.scheme: Scheme = Uniform()

    def start_iteration(self, segments: int) -> None:
        """Uses and weights count from zero again, for that many segments."""
        if segments == self.segments:
            self.uses.zero_()
        else:
            self.uses = torch.zeros(segments, dtype=torch.int64, device=self.uses.device)
        self.segments = segments
        self.drawn_weights = []
        self.draws = 0
        self.scheme.start_iteration()

    def use_scheme(self, name: str) -> None:
        """Switches the scheme; the present one keeps its place in the iteration."""
        if self.scheme.name != name:
            self.scheme = SCHEMES[name]()

    def draw(self, metric: Tensor, count: int, settings: SamplingSettings) -> Draw:
        """One minibatch of `count` segments, sorted by index, for the metric [S]."""
        chance = self.scheme.chance(len(metric), count, settings.replacement, self.generator, metric.device)
        drawn = self.choose(metric, chance, count, settings)
        self.drawn_weights.append(drawn.weights)
        self.draws += count
        return drawn

    def choose(self, metric: Tensor, chance: Tensor, count: int, settings: SamplingSettings) -> Draw:
        """The minibatch that `chance` makes of it, sorted by index; its uses are counted."""
        power = self.scheme.by_power(settings)
        if self.kernels is not None and power is not None and len(metric) <= MOST_SEGMENTS:
            alpha, stratified = power
            return Draw(
                *self.kernels.draw(
                    metric,
                    chance,
                    count,
                    alpha,
                    settings.beta,
                    EPSILON,
                    self.uses,
                    stratified=stratified,
                    normalized=settings.normalize_weights,
                )
            )
        drawn = self.scheme.choose(metric, chance, count, settings)
        self.uses.index_add_(0, drawn.segments, torch.ones_like(drawn.segments))
        segments, order = drawn.segments.sort(stable=True)
        return Draw(segments, drawn.weights[order])
