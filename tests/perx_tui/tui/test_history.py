"""Metrics kept for the charts."""

from __future__ import annotations

import math
import tracemalloc
from unittest import mock

import pytest
from fakes import metrics
from hypothesis import given
from hypothesis import strategies as st

from perx_tui.tui.history import CAPACITY, RECENT, History, Series


def test_a_series_stays_small_and_keeps_the_shape() -> None:
    """Law: however long a run is, a series holds at most its capacity, and its buckets are means of what they cover."""
    series = Series()
    for x in range(50_000):
        series.append(float(x), 2.0 * x)
    assert len(series.xs) == len(series.ys) <= CAPACITY
    assert list(series.xs) == sorted(series.xs)
    assert sum(series.ys) / len(series.ys) == pytest.approx(50_000, rel=0.01)
    for x, y in zip(series.xs, series.ys, strict=True):
        assert y == pytest.approx(2 * x, abs=200)


def test_a_series_takes_its_memory_at_once() -> None:
    series = Series()
    series.append(0, 1.0)
    tracemalloc.start()
    try:
        for x in range(1, 3 * CAPACITY):
            series.append(x, 1.0)
        grown, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert grown < peak < 64 * RECENT, "the newest values are all that is added"


def test_the_newest_values_are_kept_as_they_came() -> None:
    series = Series()
    for x in range(3000):
        series.append(x, float(x % 7))
    assert list(series.recent) == [float(x % 7) for x in range(3000 - RECENT, 3000)]
    assert series.last == 2999 % 7


def test_a_value_that_is_not_finite_is_remembered_but_not_charted() -> None:
    series = Series()
    series.append(1, 5.0)
    series.append(2, math.nan)
    assert list(series.ys) == [5.0]
    assert math.isnan(series.last or 0.0)
    assert (series.best, series.best_x) == (5.0, 1)


def test_a_history_knows_what_it_has_and_grows_its_version() -> None:
    history = History()
    history.feed([metrics(1), metrics(2)])
    version = history.version
    assert history.iteration == 2
    history.feed([metrics(3)])
    assert history.version > version
    assert list(history.recent("sps", 2)) == [metrics(2)["sps"], metrics(3)["sps"]]
    assert history.recent("no such metric", 5) == ()
    assert history.series("no such metric") is None


def test_a_metric_that_is_absent_in_an_iteration_has_no_point_there() -> None:
    history = History()
    history.feed([{"step": 1, "iteration": 1, "episode/score": 3.0}, {"step": 2, "iteration": 2}])
    series = history.series("episode/score")
    assert series is not None
    assert (list(series.xs), list(series.ys)) == ([1.0], [3.0])


def test_a_spike_of_one_iteration_survives_every_merge() -> None:
    series = Series()
    for x in range(50 * CAPACITY):
        series.append(float(x), 1000.0 if x == 1234 else math.sin(x), time=2.0 * x)
    assert max(series.highs) == 1000.0
    assert max(series.ys) < 100, "the mean of its bucket hides it"
    assert series.xs[list(series.highs).index(1000.0)] == pytest.approx(1234, abs=64)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300))
def test_buckets_hold_mean_smallest_and_largest_of_their_points(values: list[float]) -> None:
    """Against the whole list, cut into pieces of the stride that the series has come to."""
    series = Series()
    with mock.patch("perx_tui.tui.history.CAPACITY", 8):
        for x, value in enumerate(values):
            series.append(float(x), value, time=0.5 * x)
    stride = 1
    while math.ceil(len(values) / stride) > 8:
        stride *= 2
    pieces = [values[start : start + stride] for start in range(0, len(values), stride)]
    assert list(series.lows) == [min(piece) for piece in pieces]
    assert list(series.highs) == [max(piece) for piece in pieces]
    assert list(series.ys) == pytest.approx([sum(piece) / len(piece) for piece in pieces], abs=1e-6)
    assert list(series.xs) == [min(start + stride, len(values)) - 1 for start in range(0, len(values), stride)]
    assert list(series.times) == [0.5 * x for x in series.xs]


def test_what_can_be_charted_are_metrics_not_axes() -> None:
    history = History()
    history.feed([metrics(1)])
    assert {"episode/score", "sps"} <= set(history.metrics())
    assert not {"step", "time", "iteration"} & set(history.metrics())
