"""A run's metrics read back as a curve: windows, gaps, damage, thresholds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import RunError, read_run
from engine.comparison.curves import EPISODES, window_means

from ...synthetic_runs import rows, write_run


def slow_window_means(values: list[float], weights: list[int], enough: int) -> tuple[list[float], list[bool]]:
    """Go back from each place, episode by episode, until there are enough."""
    means, full = [], []
    for place in range(len(values)):
        total, taken, back = 0.0, 0, place
        while back >= 0 and taken < enough:
            total += values[back] * weights[back]
            taken += weights[back]
            back -= 1
        means.append(total / taken)
        full.append(taken >= enough)
    return means, full


@given(st.lists(st.tuples(st.floats(-100, 100), st.integers(1, 60)), min_size=1, max_size=60), st.integers(1, 120))
def test_a_window_is_the_fewest_iterations_with_enough_episodes(pairs: list[tuple[float, int]], enough: int) -> None:
    values, weights = [value for value, _ in pairs], [weight for _, weight in pairs]
    means, full = window_means(np.array(values), np.array(weights, dtype=float), enough)
    slow, slow_full = slow_window_means(values, weights, enough)
    assert means.tolist() == pytest.approx(slow, abs=1e-9)
    assert full.tolist() == slow_full


def test_iterations_without_an_episode_leave_no_point_and_others_weigh_by_their_episodes(tmp_path: Path) -> None:
    metrics = rows([None, 4.0, None, 10.0], episodes=20)
    metrics[3]["episode/count"] = 60
    curve = read_run(write_run(tmp_path, "a", metrics)).curve("episode/score")
    assert curve.steps.tolist() == [2000.0, 4000.0]
    assert curve.values.tolist() == [4.0, (20 * 4.0 + 60 * 10.0) / 80]
    assert curve.full.tolist() == [False, False]


def test_metrics_that_are_not_of_episodes_are_averaged_over_ten_iterations(tmp_path: Path) -> None:
    curve = read_run(write_run(tmp_path, "a", rows([1.0] * 15))).curve("loss/policy")
    raw = [0.01 * k for k in range(1, 16)]
    assert curve.values[0] == pytest.approx(raw[0])
    assert curve.values[14] == pytest.approx(sum(raw[5:]) / 10)
    assert curve.full.tolist() == [False] * 9 + [True] * 6


def test_a_threshold_is_reached_by_the_window_not_by_one_lucky_episode(tmp_path: Path) -> None:
    metrics = rows([1.0, 0.0, 0.5, 0.9, 0.8], episodes=EPISODES)
    metrics[0]["episode/count"] = 1
    curve = read_run(write_run(tmp_path, "a", metrics)).curve("episode/score")
    assert curve.values[0] == 1.0
    place = curve.reaches(0.9)
    assert place == 3
    assert curve.steps[place] == 4000.0
    assert curve.seconds[place] == 8.0
    assert curve.reaches(0.95) is None


def test_null_torn_and_repeated_rows_are_left_out(tmp_path: Path) -> None:
    metrics = rows([1.0, float("nan"), 3.0])
    path = write_run(tmp_path, "a", metrics)
    with (path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2000, "time": 4.0, "episode/score": 99}\n{"step": "x", "time": 1}\n{"step": true}\n[1]\n')
        file.write('{"step": 4000, "time": 8.0, "episode/score": true, "big": ' + "9" * 400 + '}\n{"step": 5000, "ti')
    run = read_run(path)
    assert run.steps.tolist() == [1000.0, 2000.0, 3000.0, 4000.0]
    assert run.curve("episode/score").steps.tolist() == [1000.0, 3000.0]
    assert "big" not in run.metrics


def test_the_speed_leaves_the_first_iteration_out(tmp_path: Path) -> None:
    metrics = rows([1.0, 1.0, 1.0], every=1000, sps=500.0)
    for row in metrics:
        row["time"] += 60.0
    assert read_run(write_run(tmp_path, "slow-start", metrics)).sps == pytest.approx(500.0)
    assert read_run(write_run(tmp_path, "short", rows([1.0]))).sps == pytest.approx(500.0)


def test_a_run_without_metrics_says_so(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="'young' has no metrics yet") as caught:
        read_run(write_run(tmp_path, "young", []))
    assert "\n" not in str(caught.value)


def test_a_run_whose_profile_cannot_be_read_says_which_and_why(tmp_path: Path) -> None:
    path = write_run(tmp_path, "old", rows([1.0]))
    (path / "profile.toml").write_text('[env]\nname = "breakout"\nunheard = 1\nof = 2\n')
    with pytest.raises(RunError, match=r"profile\.toml of the run 'old'.*unheard") as caught:
        read_run(path)
    assert "\n" not in str(caught.value)


def test_a_run_that_has_no_episode_says_how_far_it_is(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path, "a", rows([None, None])))
    with pytest.raises(RunError, match="no episode has ended in its 2 iterations"):
        run.curve("episode/score")
