"""The estimators against slow versions that are written straight from the definitions."""

from __future__ import annotations

import itertools
import math
import random
import statistics as plain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.comparison.statistics import (
    Estimate,
    Resampler,
    area,
    interquartile_mean,
    interval,
    median,
)

numbers = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=25)


def slow_iqm(values: list[float]) -> float:
    """Cut a quarter of the values, rounded down, from either end of the sorted list; average the rest."""
    ordered = sorted(values)
    for _ in range(len(values) // 4):
        del ordered[0], ordered[-1]
    return math.fsum(ordered) / len(ordered)


@given(numbers)
def test_the_interquartile_mean_is_that_of_the_middle_half(values: list[float]) -> None:
    assert float(interquartile_mean(np.array(values))) == pytest.approx(slow_iqm(values), rel=1e-9, abs=1e-6)


def test_the_interquartile_mean_ignores_one_outlier_of_five_and_works_along_an_axis() -> None:
    values = np.array([[1.0, 2.0, 3.0, 4.0, 1e9], [5.0, 5.0, 5.0, 5.0, -1e9]])
    assert interquartile_mean(values, 1).tolist() == [3.0, 5.0]
    assert interquartile_mean(values.T, 0).tolist() == [3.0, 5.0]


@given(numbers)
def test_the_median_is_the_plain_one_for_finite_numbers(values: list[float]) -> None:
    assert float(median(np.array(values))) == pytest.approx(plain.median(values))


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([1.0, 2.0, math.inf], 2.0),
        ([1.0, math.inf], math.inf),
        ([1.0, 3.0, 5.0, math.inf], 4.0),
        ([math.inf], math.inf),
    ],
)
def test_the_median_counts_what_never_happened_as_infinitely_late(times: list[float], expected: float) -> None:
    assert float(median(np.array(times))) == expected


@pytest.mark.parametrize("values", [[3.0, 9.0], [1.0, 2.0, 4.0], [0.0, 1.0, 5.0, 6.0, 20.0]])
def test_the_bootstrap_draws_the_distribution_that_enumeration_finds(values: list[float]) -> None:
    """All n^n resamples of n values are few enough to list; the replicates have their mean and their percentiles."""
    every = np.array([slow_iqm(list(drawn)) for drawn in itertools.product(values, repeat=len(values))])
    replicates = Resampler(len(values), stream=0).replicates(np.array(values))
    assert set(np.round(replicates, 9)) <= set(np.round(every, 9))
    assert replicates.mean() == pytest.approx(every.mean(), abs=4 * every.std() / math.sqrt(len(replicates)))
    spread = max(values) - min(values)
    for share in (0.1, 0.5, 0.9):
        place = np.quantile(replicates, share)
        assert (every < place + 1e-9).mean() >= share - 0.02
        assert (every < place - 1e-9).mean() <= share + 0.02
    low, high = interval(replicates)
    assert low >= min(values) - 1e-9 * spread
    assert high <= max(values) + 1e-9 * spread


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=400))
def test_the_interval_holds_at_least_95_percent_of_the_replicates(values: list[float]) -> None:
    low, high = interval(np.array(values))
    inside = [low <= value <= high for value in values]
    assert sum(inside) >= 0.95 * len(values)
    assert low in values
    assert high in values


def test_the_interval_covers_the_mean_of_normal_seeds_about_as_often_as_it_says() -> None:
    """Ten seeds of a symmetric distribution: the percentile bootstrap reaches some 88 to 95 % there."""
    generator = np.random.default_rng(7)
    resampler = Resampler(10, stream=3, replicates=1000)
    covered = 0
    for _ in range(300):
        found, _ = resampler.estimate(generator.normal(5.0, 2.0, 10))
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 5.0 <= found.high
    assert 0.83 <= covered / 300 <= 0.98


def test_the_same_group_is_always_resampled_alike_and_another_group_otherwise() -> None:
    again = Resampler(5, stream=1).drawn
    assert (Resampler(5, stream=1).drawn == again).all()
    assert (Resampler(5, stream=2).drawn != again).any()


def test_a_single_run_has_no_interval() -> None:
    estimate, replicates = Resampler(1, stream=0).estimate(np.array([4.0]))
    assert estimate == Estimate(4.0, None, None)
    assert set(replicates) == {4.0}


def test_a_curve_is_resampled_by_whole_runs() -> None:
    """Two runs, one high and one low everywhere: every replicate is high, low or between, never a mixture over x."""
    curves = np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    replicates = Resampler(2, stream=0).replicates(curves, most=500)
    assert replicates.shape == (500, 3)
    assert (replicates == replicates[:, :1]).all()
    assert set(replicates[:, 0]) == {0.0, 0.5, 1.0}


def slow_area(xs: list[float], ys: list[float], low: float, high: float, pieces: int = 20_000) -> float:
    """Midpoint sums of the piecewise linear curve."""
    total = 0.0
    for k in range(pieces):
        x = low + (high - low) * (k + 0.5) / pieces
        right = next((i for i, known in enumerate(xs) if known >= x), len(xs) - 1)
        left = max(0, right - 1)
        share = (x - xs[left]) / (xs[right] - xs[left]) if right > left else 0.0
        total += ys[left] + (ys[right] - ys[left]) * share
    return total / pieces


def test_the_area_is_the_mean_height_between_two_places() -> None:
    generator = random.Random(5)
    for _ in range(5):
        xs = sorted(generator.uniform(0, 10) for _ in range(8))
        ys = [generator.uniform(-3, 3) for _ in xs]
        low, high = sorted((generator.uniform(xs[0], xs[-1]), generator.uniform(xs[0], xs[-1])))
        assert area(np.array(xs), np.array(ys), low, high) == pytest.approx(slow_area(xs, ys, low, high), abs=1e-4)


def test_the_area_over_nothing_is_the_height_there() -> None:
    assert area(np.array([0.0, 2.0]), np.array([1.0, 3.0]), 1.0, 1.0) == 2.0
