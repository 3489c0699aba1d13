"""Whether a run learns, in one word."""

from __future__ import annotations

import math
import random
import statistics
from unittest import mock

import pytest
from driving import staged
from fakes import FakeSession, metrics, running
from hypothesis import given
from hypothesis import strategies as st

from perx_tui.tui import history as history_module
from perx_tui.tui.history import History
from perx_tui.tui.trend import LEAST, trend

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=LEAST, max_size=300)


@given(VALUES)
def test_the_change_is_that_of_the_means_and_counts_at_three_standard_errors(ys: list[float]) -> None:
    """Against Python's own statistics."""
    found = trend(range(0, 100 * len(ys), 100), ys)
    size = max(5, min(20, len(ys) // 3), len(ys) // 10)
    now, before = ys[-size:], ys[-2 * size : -size]
    change = statistics.fmean(now) - statistics.fmean(before)
    error = math.sqrt((statistics.variance(now) + statistics.variance(before)) / size)
    assert found is not None
    assert found.change == pytest.approx(change, abs=1e-6)
    assert found.steps == 100 * size
    if abs(abs(change) - 3 * error) > 1e-6:
        assert found.direction == ("same" if abs(change) < 3 * error else "better" if change > 0 else "worse")


@given(VALUES)
def test_a_run_turned_upside_down_goes_the_other_way(ys: list[float]) -> None:
    found, turned = trend(range(len(ys)), ys), trend(range(len(ys)), [-y for y in ys])
    assert found is not None
    assert turned is not None
    assert turned.direction == {"better": "worse", "worse": "better", "same": "same"}[found.direction]


def test_noise_around_one_value_is_seldom_called_a_change() -> None:
    draw = random.Random(3)
    runs = [[10 + draw.gauss(0, 2) for _ in range(400)] for _ in range(300)]
    called = sum(trend(range(400), ys).direction != "same" for ys in runs)  # type: ignore[union-attr]
    assert called < 6


def test_a_young_run_that_rises_under_noise_is_called_improving() -> None:
    """Law: a third of a young run is compared with the third before: half of what it rose by in forty iterations shows,
    though single ones scatter as much as that."""
    draw = random.Random(4)
    runs = [[0.25 * x + draw.gauss(0, 2) for x in range(40)] for _ in range(300)]
    called = sum(trend(range(40), ys).direction == "better" for ys in runs)  # type: ignore[union-attr]
    assert called > 200


def test_a_constant_score_does_not_change() -> None:
    found = trend(range(20), [1.0] * 20)
    assert found is not None
    assert (found.direction, found.words) == ("same", "= no change: +0.000 in 6 steps")


def test_before_ten_points_nothing_is_said() -> None:
    assert trend(range(LEAST - 1), [float(y) for y in range(LEAST - 1)]) is None
    found = trend([1000.0 * x for x in range(LEAST)], [float(y) for y in range(LEAST)])
    assert found is not None
    assert (found.brief, found.words) == ("▲ +5.00", "▲ improving: +5.00 in 5.00k steps")


def test_a_trend_is_worked_out_once_for_every_addition() -> None:
    history = History()
    history.feed(metrics(iteration) for iteration in range(1, 30))
    with mock.patch.object(history_module, "trend", wraps=trend) as worked:
        first = history.trend("episode/score")
        assert history.trend("episode/score") is first
        history.feed([metrics(30)])
        history.trend("episode/score")
        assert worked.call_count == 2
    assert history.trend("no/such") is None


@pytest.mark.parametrize(("turn", "short", "long"), [(1, "▲ +", "▲ improving: +"), (-1, "▼ -", "▼ getting worse: -")])
async def test_the_screen_says_whether_the_score_rises(turn: int, short: str, long: str) -> None:
    session = FakeSession(running())
    session.past = [{**row, "episode/score": turn * row["episode/score"]} for row in session.past]
    async with staged(session, (80, 24)) as stage:
        assert f"score {short}" in stage.header
        assert long in stage.rows("curve")[-1]


async def test_a_run_that_has_just_begun_has_no_trend() -> None:
    async with staged(FakeSession(running(3), past=3), (80, 24)) as stage:
        assert "trend -" in stage.rows("curve")[-1]
        assert "score" not in stage.header
