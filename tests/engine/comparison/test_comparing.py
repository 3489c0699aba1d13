"""Groups of runs compared: who belongs together, what the figures are, what is said about runs that do not fit."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from engine import Comparison, Estimate, Profile, RunError, compare_groups, experiment_changes
from engine.comparison.statistics import Resampler, interquartile_mean

from ...synthetic_runs import rows, write_run

UNIFORM = "replay.scheme='uniform'"


def ramp(top: float, iterations: int = 10) -> list[float | None]:
    return [top * (k + 1) / iterations for k in range(iterations)]


def two_schemes(root: Path, seeds: int = 5) -> list[Path]:
    """Seeds with tops 10, 11, ... of the profile as it is, and twice that with the uniform scheme."""
    plain = [write_run(root, f"plain-s{s}", rows(ramp(9.0 + s)), seed=s) for s in range(1, seeds + 1)]
    return plain + [
        write_run(root, f"uni-s{s}", rows(ramp(18.0 + 2 * s)), UNIFORM, seed=s) for s in range(1, seeds + 1)
    ]


def labels(comparison: Comparison) -> list[str]:
    return [group.label for group in comparison.groups]


def test_seeds_of_one_experiment_are_grouped_and_named_by_what_differs(tmp_path: Path) -> None:
    comparison = compare_groups(two_schemes(tmp_path))
    assert labels(comparison) == ["scheme=prioritized", "scheme=uniform"]
    assert [[run.seed for run in group.runs] for group in comparison.groups] == [[1, 2, 3, 4, 5]] * 2


@pytest.mark.parametrize("setting", ["train.device='cuda'", "run.keep_checkpoints=7", "ui.refresh=1.0"])
def test_where_a_run_trained_and_how_it_was_kept_makes_no_other_experiment(tmp_path: Path, setting: str) -> None:
    """The saved profile of a run on a GPU names the GPU."""
    one = write_run(tmp_path, "a", rows(ramp(1.0)))
    other = write_run(tmp_path, "b", rows(ramp(1.0)), seed=2)
    profile = Profile.load("breakout.toml", ["train.seed=2"]).for_device("cpu")
    key, _, value = setting.partition("=")
    (other / "profile.toml").write_text(profile.with_value(key, json.loads(value.replace("'", '"'))).to_toml())
    assert len(compare_groups([one, other]).groups) == 1


@pytest.mark.parametrize("setting", ["train.total_steps=9000000", "env.agents=256", "env.config.frame_skip=2"])
def test_any_other_setting_makes_another_experiment(tmp_path: Path, setting: str) -> None:
    paths = [write_run(tmp_path, "a", rows(ramp(1.0))), write_run(tmp_path, "b", rows(ramp(1.0)), setting, seed=2)]
    comparison = compare_groups(paths)
    key, _, value = setting.partition("=")
    assert labels(comparison)[1] == f"{key.rpartition('.')[2]}={value}"


def test_other_profiles_are_named_by_their_names_and_never_two_groups_alike(tmp_path: Path) -> None:
    many = ["train.gamma=0.9", "train.gae_lambda=0.8", "train.clip=0.3", "train.entropy_coef=0.5"]
    paths = [
        write_run(tmp_path, "maze", rows(ramp(1.0)), profile="maze.toml"),
        write_run(tmp_path, "a", rows(ramp(1.0))),
        write_run(tmp_path, "b", rows(ramp(1.0)), *many),
    ]
    found = labels(compare_groups(paths))
    assert found[0] == "maze"
    assert found[1].startswith("breakout gamma=")
    assert found[2].startswith("breakout gamma=0.9 ")
    assert found[2].endswith("+1")
    assert labels(compare_groups(paths[1:2])) == ["breakout"]


def test_a_caller_may_group_and_name_for_itself(tmp_path: Path) -> None:
    paths = two_schemes(tmp_path, seeds=2)
    comparison = compare_groups({"odd": paths[::2], "even": paths[1::2]})
    assert labels(comparison) == ["odd", "even"]
    assert [run.name for run in comparison.groups[0].runs] == ["plain-s1", "uni-s1"]


def test_the_figures_are_the_interquartile_means_of_the_runs_figures(tmp_path: Path) -> None:
    """A ramp from top/10 to top over the range is 0.55 tops high on average."""
    plain, uniform = compare_groups(two_schemes(tmp_path)).groups
    assert [run.auc for run in plain.runs] == pytest.approx([0.55 * top for top in (10, 11, 12, 13, 14)])
    assert plain.auc.value == pytest.approx(0.55 * 12)
    assert (plain.final.value, uniform.final.value) == (pytest.approx(12.0), pytest.approx(24.0))
    assert plain.sps.value == pytest.approx(500.0)
    assert plain.xs[0] == 1000.0
    assert plain.xs[-1] == 10_000.0
    assert plain.values[0] == pytest.approx(1.2)
    assert plain.values[-1] == pytest.approx(12.0)


def test_the_intervals_are_those_of_an_independent_loop_over_the_same_draws(tmp_path: Path) -> None:
    comparison = compare_groups(two_schemes(tmp_path))
    tops = np.array([[10.0, 11, 12, 13, 14], [20.0, 22, 24, 26, 28]])
    slow = []
    for stream in (0, 1):
        means = []
        for drawn in Resampler(5, stream).drawn:
            kept = sorted(tops[stream][run] for run in drawn)[1:-1]
            means.append(sum(kept) / 3)
        slow.append(means)

    def ends(means: list[float]) -> tuple[float, float]:
        ordered = sorted(means)
        return ordered[math.floor(0.025 * 9999)], ordered[math.ceil(0.975 * 9999)]

    for group, means in zip(comparison.groups, slow, strict=True):
        assert (group.final.low, group.final.high) == pytest.approx(ends(means))
        assert group.low is not None
        assert group.high is not None
        assert group.low[-1] <= group.values[-1] <= group.high[-1]
    (difference,) = comparison.differences
    assert (difference.group, difference.baseline) == ("scheme=uniform", "scheme=prioritized")
    assert difference.final.value == pytest.approx(12.0)
    assert (difference.final.low, difference.final.high) == pytest.approx(
        ends([there - here for here, there in zip(*slow, strict=True)])
    )


def test_a_comparison_is_the_same_every_time(tmp_path: Path) -> None:
    paths = two_schemes(tmp_path, seeds=3)
    assert compare_groups(paths) == compare_groups(paths)


def test_a_single_run_has_no_interval_and_neither_has_its_difference(tmp_path: Path) -> None:
    paths = two_schemes(tmp_path, seeds=2)
    comparison = compare_groups([*paths[:2], paths[2]])
    alone = comparison.groups[1]
    assert (alone.low, alone.high, alone.auc.low, alone.auc.high) == (None, None, None, None)
    difference = comparison.difference("scheme=uniform", "scheme=prioritized")
    assert difference is not None
    assert difference.auc.value is not None
    assert (difference.auc.low, difference.auc.high) == (None, None)


def test_runs_are_compared_where_all_have_values_and_it_is_said_which_was_short(tmp_path: Path) -> None:
    paths = [
        write_run(tmp_path, "whole", rows([0.0] * 5 + [1.0] * 5)),
        write_run(tmp_path, "short", rows([None, 2.0, 2.0, 2.0]), seed=2, state="failed"),
    ]
    comparison = compare_groups(paths)
    assert (comparison.start, comparison.end) == (2000.0, 4000.0)
    assert [run.auc for run in comparison.groups[0].runs] == [0.0, 2.0]
    assert [run.last for run in comparison.groups[0].runs] == [1.0, 2.0]
    assert [note for note in comparison.notes if note.startswith("short (failed) has 4,000 steps")]


def test_over_time_a_faster_run_is_compared_at_the_same_moment(tmp_path: Path) -> None:
    """The same curve over steps at twice the speed: equal over steps, ahead over time."""
    slow = write_run(tmp_path, "slow", rows(ramp(10.0), sps=500.0))
    fast = write_run(tmp_path, "fast", rows(ramp(10.0), sps=1000.0), "train.threads=2")
    over_steps, over_time = compare_groups([slow, fast]), compare_groups([slow, fast], x="time")
    assert over_steps.differences[0].auc.value == pytest.approx(0.0)
    assert (over_time.start, over_time.end) == (2.0, 10.0)
    assert [group.final.value for group in over_time.groups] == pytest.approx([5.0, 10.0])
    assert over_time.groups[0].xs[-1] == 20.0


def test_times_to_a_threshold_are_medians_in_which_late_runs_count(tmp_path: Path) -> None:
    paths = [write_run(tmp_path, f"s{s}", rows(ramp(9.0 + s)), seed=s) for s in range(1, 6)]
    reach = compare_groups(paths, threshold=12.0).groups[0].threshold
    assert reach is not None
    assert (reach.reached, reach.runs) == (3, 5)
    assert reach.steps.value == 10_000.0
    assert reach.seconds.value == 20.0
    assert reach.steps.high == math.inf
    rarely = compare_groups(paths, threshold=13.5).groups[0].threshold
    assert rarely is not None
    assert rarely.reached == 1
    assert rarely.steps == rarely.seconds == Estimate(None)
    assert compare_groups(paths).groups[0].threshold is None


def test_a_run_with_too_few_episodes_for_a_threshold_is_noted(tmp_path: Path) -> None:
    paths = [
        write_run(tmp_path, "few", rows([5.0, 5.0], episodes=40)),
        write_run(tmp_path, "many", rows([5.0, 5.0], episodes=50), seed=2),
    ]
    comparison = compare_groups(paths, threshold=4.0)
    assert comparison.groups[0].threshold is not None
    assert comparison.groups[0].threshold.reached == 1
    assert [note for note in comparison.notes if "1 of 2 runs have not filled a window of 100 episodes" in note]
    assert compare_groups(paths).notes == ()


def test_edits_and_seeds_that_occur_twice_are_noted(tmp_path: Path) -> None:
    paths = [write_run(tmp_path, name, rows(ramp(1.0)), seed=4, edits=edits) for name, edits in (("a", 0), ("b", 2))]
    notes = compare_groups(paths).notes
    assert any("2 settings were changed while b trained" in note for note in notes)
    assert any("several runs have seed 4" in note for note in notes)


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (
            "episode/scor",
            "did you mean 'episode/score'? there are: episode/count, episode/length, episode/score, loss/",
        ),
        ("reward", "have no metric 'reward': there are: episode/count"),
        ("episode/return", "no episode has ended in these runs, so that there is no 'episode/return' yet"),
        ("replay/beta", "the run 'b' has no 'replay/beta'"),
    ],
)
def test_an_unknown_metric_is_answered_with_those_that_there_are(tmp_path: Path, metric: str, expected: str) -> None:
    more = {"replay/beta": 1.0}
    paths = [write_run(tmp_path, "a", rows([1.0], **more)), write_run(tmp_path, "b", rows([1.0]), seed=2)]
    with pytest.raises(RunError) as caught:
        compare_groups(paths, metric=metric)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_runs_without_a_common_range_are_refused_by_name(tmp_path: Path) -> None:
    early = write_run(tmp_path, "early", rows([1.0]))
    late = write_run(tmp_path, "late", rows([None, None, 1.0]), seed=2)
    with pytest.raises(RunError, match=r"first value of 'late' is at 3,000, and 'early' ends at 1,000"):
        compare_groups([early, late])


def test_runs_that_share_one_point_are_compared_there(tmp_path: Path) -> None:
    paths = [write_run(tmp_path, f"s{s}", rows([float(s)]), seed=s) for s in (1, 2)]
    (group,) = compare_groups(paths).groups
    assert group.auc.value == group.final.value == 1.5
    assert group.xs == (1000.0,)


def test_nothing_is_not_compared() -> None:
    with pytest.raises(RunError, match="at least one run"):
        compare_groups([])
    with pytest.raises(RunError, match="at least one run"):
        compare_groups({"empty": []})


def test_a_comparison_can_be_written_as_json(tmp_path: Path) -> None:
    whole = compare_groups(two_schemes(tmp_path, seeds=2), threshold=1e9).as_dict()
    assert json.loads(json.dumps(whole, allow_nan=False))["groups"][0]["runs"][0]["name"] == "plain-s1"


def test_changes_of_an_experiment_leave_the_seed_out() -> None:
    one = Profile.load("breakout.toml", ["train.seed=1"])
    other = Profile.load("breakout.toml", ["train.seed=2", UNIFORM, "run.keep_checkpoints=9"])
    assert experiment_changes(one, other) == {"replay.scheme": ("prioritized", "uniform")}


def test_the_interquartile_mean_of_the_curves_is_taken_at_every_place(tmp_path: Path) -> None:
    """At each x the middle three of five curves, whichever they are there."""
    tops = [ramp(10.0), ramp(11.0), list(reversed(ramp(12.0))), ramp(13.0), ramp(30.0)]
    paths = [write_run(tmp_path, f"s{s}", rows(top), seed=s) for s, top in enumerate(tops)]
    (group,) = compare_groups(paths).groups
    for place in (0, 77, 199):
        heights = np.array([np.interp(group.xs[place], np.arange(1, 11) * 1000.0, np.array(top)) for top in tops])
        assert group.values[place] == pytest.approx(float(interquartile_mean(heights)))


def test_comparing_does_not_import_torch() -> None:
    program = "import sys, engine.comparison; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], timeout=60, check=False).returncode == 0
