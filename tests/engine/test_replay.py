"""Prioritization against its formulas: frequencies, weights, and the laws that tie the schemes together."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from engine.replay import (
    SCHEMES,
    Draw,
    SamplingSettings,
    Scheme,
    SegmentSampler,
    importance_weights,
    priority_metric,
    probabilities,
)
from engine.reuse import Reuse, clipped, reuse_columns, reuse_metrics, reuse_view
from engine.segments import Experience
from tests.engine.test_segments import make_segments

METRIC = torch.tensor([0.1, 0.5, 1.0, 2.0, 4.0, 0.0, 8.0, 3.0])


def settings(
    alpha: float = 0.8, beta: float = 1.0, replacement: bool = True, normalize: bool = False
) -> SamplingSettings:
    return SamplingSettings(alpha=alpha, beta=beta, replacement=replacement, normalize_weights=normalize)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw(scheme: Scheme, metric: torch.Tensor, count: int, settings: SamplingSettings, chance: torch.Generator) -> Draw:
    """`count` segments as the scheme chooses them: neither sorted nor counted."""
    numbers = scheme.chance(len(metric), count, settings.replacement, chance, metric.device)
    return scheme.choose(metric, numbers, count, settings)


def chi_square(counts: np.ndarray, expected: np.ndarray) -> float:
    return float(((counts - expected) ** 2 / expected).sum())


def chi_square_limit(degrees: int) -> float:
    """The 99.99 % quantile (Wilson and Hilferty's approximation)."""
    return degrees * (1 - 2 / (9 * degrees) + 3.719 * math.sqrt(2 / (9 * degrees))) ** 3


def test_each_metric_is_what_its_name_says() -> None:
    advantages = torch.tensor([[1.0, -4.0], [-2.0, 0.5], [3.0, 7.0]])
    masks = torch.tensor([[1.0, 1.0], [1.0, 1.0], [1.0, 0.0]])
    assert priority_metric(advantages, None, "sum").tolist() == [6.0, 11.5]
    assert priority_metric(advantages, masks, "sum").tolist() == [6.0, 4.5]
    assert priority_metric(advantages, masks, "mean").tolist() == [2.0, 2.25]
    assert priority_metric(advantages, masks, "max").tolist() == [3.0, 4.0]
    assert priority_metric(advantages, masks, "eta").tolist() == pytest.approx(
        [0.9 * 3 + 0.1 * 2, 0.9 * 4 + 0.1 * 2.25]
    )


def test_probabilities_follow_the_power_law() -> None:
    chances = probabilities(METRIC, 0.7)
    powers = [(m + 1e-6) ** 0.7 for m in METRIC.tolist()]
    np.testing.assert_allclose(chances.numpy(), np.array(powers) / sum(powers), rtol=1e-6)


@pytest.mark.parametrize("alpha", [0.0, 0.4, 1.0])
def test_draws_with_replacement_have_the_stated_frequencies(alpha: float) -> None:
    sampler = SegmentSampler(8, generator())
    sampler.use_scheme("prioritized")
    for _ in range(1000):
        sampler.draw(METRIC, 40, settings(alpha))
    powers = (METRIC.double().numpy() + 1e-6) ** alpha
    expected = powers / powers.sum() * 40_000
    common = expected > 5
    assert chi_square(sampler.uses.numpy()[common], expected[common]) < chi_square_limit(int(common.sum()) - 1)


def test_draws_without_replacement_have_the_frequencies_of_successive_draws() -> None:
    """Pairs drawn without replacement come as often as when one draws twice from what is left."""
    metric = torch.tensor([1.0, 2.0, 3.0, 4.0])
    scheme = SCHEMES["prioritized"]()
    rng, counts = generator(), np.zeros((4, 4))
    for _ in range(30_000):
        first, second = draw(scheme, metric, 2, settings(1.0, replacement=False), rng).segments.tolist()
        assert first != second
        counts[first, second] += 1
    chances = probabilities(metric, 1.0).numpy()
    expected = np.array(
        [[chances[i] * chances[j] / (1 - chances[i]) if i != j else 0.0 for j in range(4)] for i in range(4)]
    )
    pairs = ~np.eye(4, dtype=bool)
    assert chi_square(counts[pairs], expected[pairs] * 30_000) < chi_square_limit(11)


@pytest.mark.parametrize("replacement", [True, False])
def test_alpha_zero_is_uniform_sampling_exactly(replacement: bool) -> None:
    """The same random numbers choose the same segments with the same weights."""
    one = draw(SCHEMES["prioritized"](), METRIC, 5, settings(0.0, 0.6, replacement), generator(7))
    two = draw(SCHEMES["uniform"](), METRIC.flip(0), 5, settings(0.9, 0.6, replacement), generator(7))
    assert torch.equal(one.segments, two.segments)
    assert torch.equal(one.weights, two.weights)
    assert torch.allclose(one.weights, torch.ones(5))


def test_weights_follow_their_formula() -> None:
    chances = probabilities(METRIC, 0.8)
    weights = importance_weights(chances, 8, 0.4, normalized=False)
    np.testing.assert_allclose(weights.numpy(), [(8 * p) ** -0.4 for p in chances.tolist()], rtol=1e-5)
    assert importance_weights(chances, 8, 0.4, normalized=True).max() == 1.0
    assert torch.equal(importance_weights(chances, 8, 0.0, normalized=False), torch.ones(8))


def test_with_beta_one_the_weighted_mean_is_unbiased() -> None:
    """E[w x] over prioritized draws equals the plain mean of x, whatever the priorities."""
    values = torch.arange(8, dtype=torch.float64)
    drawn = draw(SCHEMES["prioritized"](), METRIC + 0.1, 400_000, settings(0.6, 1.0), generator(3))
    products = drawn.weights.double() * values[drawn.segments]
    error = products.std() / math.sqrt(len(products))
    assert abs(float(products.mean() - values.mean())) < 4 * float(error)


def test_topk_takes_the_highest_and_weighs_them_equally() -> None:
    drawn = draw(SCHEMES["topk"](), METRIC, 3, settings(), generator())
    assert drawn.segments.tolist() == [6, 4, 7]
    assert torch.equal(drawn.weights, torch.ones(3))


def test_sequential_uses_every_segment_once_before_any_twice() -> None:
    sampler = SegmentSampler(8, generator())
    sampler.use_scheme("sequential")
    for round_ in range(1, 4):
        for _ in range(2):
            sampler.draw(METRIC, 4, settings())
        assert sampler.uses.tolist() == [round_] * 8
    orders = {
        tuple(draw(SCHEMES["sequential"](), METRIC, 8, settings(), generator(s)).segments.tolist()) for s in range(5)
    }
    assert len(orders) > 1, "the order is shuffled"


def test_sequential_fills_a_minibatch_across_two_rounds() -> None:
    sampler = SegmentSampler(8, generator())
    sampler.use_scheme("sequential")
    for _ in range(8):
        sampler.draw(METRIC, 3, settings())
    assert sampler.uses.tolist() == [3] * 8


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
def test_counts_and_weights_of_an_iteration_start_at_zero(scheme: str) -> None:
    sampler = SegmentSampler(8, generator())
    sampler.use_scheme(scheme)
    sampler.draw(METRIC, 4, settings())
    sampler.start_iteration(8)
    assert sampler.uses.sum() == 0
    sampler.draw(METRIC, 4, settings())
    assert sampler.uses.sum() == 4


def test_reuse_statistics_are_those_of_the_counts_and_the_distribution() -> None:
    sampler, reuse = SegmentSampler(8, generator()), Reuse()
    sampler.use_scheme("topk")
    experience = Experience(make_segments(6, 9, horizon=5), make_segments(2, 6, horizon=5))
    for _ in range(12):
        drawn = sampler.draw(METRIC, 2, settings())
        ratios = torch.ones(5, 2)
        ratios[0, 0] = 2.0
        reuse.record(drawn.segments, clipped(ratios, 0.2))
    chances = probabilities(METRIC, 1.0)
    columns = reuse_columns(sampler, experience, METRIC, chances, reuse)
    values = reuse_metrics(columns, experience.fresh, iteration=9)
    view = reuse_view("topk", sampler.draws, columns, experience.fresh, iteration=9, table=True)
    assert values["replay/uses_mean"] == 3.0
    assert values["replay/uses_max"] == 12.0
    assert values["replay/unused"] == 0.75
    p = chances.numpy()
    assert values["replay/ess"] == pytest.approx(p.sum() ** 2 / (8 * (p**2).sum()))
    positive = p[p > 0]
    assert values["replay/entropy"] == pytest.approx(-(positive * np.log(positive)).sum() / math.log(8))
    assert view.uses_histogram == (6, 0, 0, 0, 0, 0, 0, 0, 2), "the last bin also holds every larger count"
    assert sum(view.priority_histogram) == 8
    # The two highest are segment 6, an older one of iteration 6, and segment 4, a fresh one.
    assert values["replay/old_share"] == 0.5
    assert values["replay/age_mean"] == 1.5
    assert values["replay/age_max"] == 3.0
    assert view.ages.counts == (12, 0, 0, 12)
    assert dict(view.clip_by_age) == pytest.approx({0: 0.2, 2: 0.0})
    assert [(row.index, row.agent, row.age, row.uses) for row in view.top[:3]] == [
        (6, 0, 3, 12),
        (4, 4, 0, 12),
        (7, 1, 3, 0),
    ]
    assert view.top[0].score == 5 * 600.0
    assert len(view.table) == 8
    assert (view.scheme, view.draws) == ("topk", 24)
    assert view.segments == 8
    assert view.fresh == 6


@pytest.mark.parametrize("segments", [1, 2, 3, 10, 101, 2048, 4097])
def test_the_uses_of_an_iteration_are_told_to_the_last_bit_as_torch_tells_them(segments: int) -> None:
    chance = generator()
    experience = Experience(make_segments(segments, 1, horizon=1), None)
    for mean in (0.0, 0.3, 1.0, 7.0, 40.0):
        sampler = SegmentSampler(segments, chance)
        sampler.uses = torch.poisson(torch.full((segments,), mean), generator=chance).long()
        columns = reuse_columns(sampler, experience, torch.ones(segments), torch.ones(segments).double(), Reuse())
        values = reuse_metrics(columns, segments, iteration=1)
        counts = sampler.uses.double()
        for place, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
            assert values[f"replay/uses_{place}"] == float(torch.quantile(counts, share)), (mean, place)
        assert values["replay/uses_mean"] == float(counts.mean())
        assert values["replay/uses_max"] == float(counts.max())
        assert values["replay/unused"] == float((counts == 0).double().mean())


def test_a_uniform_distribution_has_full_effective_size() -> None:
    sampler = SegmentSampler(8, generator())
    experience = Experience(make_segments(8, 1), None)
    chances = probabilities(torch.ones(8), 1.0)
    columns = reuse_columns(sampler, experience, torch.ones(8), chances, Reuse())
    values = reuse_metrics(columns, experience.fresh, iteration=1)
    view = reuse_view("prioritized", sampler.draws, columns, experience.fresh, iteration=1)
    assert values["replay/ess"] == pytest.approx(1.0)
    assert values["replay/entropy"] == pytest.approx(1.0)
    assert "replay/weight_mean" not in values, "no draw, no weight"
    assert "replay/old_share" not in values, "nothing is old"
    assert sum(view.priority_histogram) == 8
    assert view.table == ()


def test_rank_depends_on_order_alone() -> None:
    scheme = SCHEMES["rank"]()
    chances = scheme.distribution(METRIC, settings(0.7))
    expected = np.array([1 / rank**0.7 for rank in (7, 6, 5, 4, 2, 8, 1, 3)])
    np.testing.assert_allclose(chances.numpy(), expected / expected.sum(), rtol=1e-9)
    assert torch.equal(chances, scheme.distribution(METRIC.exp() * 1000, settings(0.7)))
    torch.testing.assert_close(scheme.distribution(METRIC, settings(0.0)), torch.full((8,), 1 / 8, dtype=torch.float64))


def test_stratified_draws_have_the_same_expectation_and_less_variance() -> None:
    counts = {}
    for name in ("prioritized", "stratified"):
        scheme, rng = SCHEMES[name](), generator(5)
        drawn = [draw(scheme, METRIC, 16, settings(0.8), rng).segments for _ in range(4000)]
        counts[name] = torch.stack([torch.bincount(segments, minlength=8) for segments in drawn]).double()
    expected = probabilities(METRIC, 0.8) * 16
    for name, found in counts.items():
        error = (found.mean(0) - expected).abs() / (found.std(0) / math.sqrt(4000) + 1e-9)
        assert error[expected > 0.01].max() < 4.5, name
    assert counts["stratified"].var(0).sum() < 0.5 * counts["prioritized"].var(0).sum()
    assert (counts["stratified"] - expected).abs().max() < 2, "a slice more or less at each end"
