"""Metrics kept for the charts."""

from __future__ import annotations

import math

import pytest
from fakes import metrics

from perx_tui.tui.history import CAPACITY, RECENT, History, Series


def test_a_series_stays_small_and_keeps_the_shape() -> None:
    """Law: however long a run is, a series holds at most its capacity, and its buckets are means of what they cover."""
    series = Series()
    for x in range(50_000):
        series.append(float(x), 2.0 * x)
    assert len(series.xs) == len(series.ys) <= CAPACITY
    assert series.xs == sorted(series.xs)
    assert sum(series.ys) / len(series.ys) == pytest.approx(50_000, rel=0.01)
    for x, y in zip(series.xs, series.ys, strict=True):
        assert y == pytest.approx(2 * x, abs=200)


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
    assert series.ys == [5.0]
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
    assert (series.xs, series.ys) == ([1], [3.0])
