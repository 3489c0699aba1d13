"""When alarms are raised and cleared, against a slow version that looks at the whole past every time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.alarms import GIB, LEAST, WINDOW, AlarmJudge, AlarmRule, Change, Reading, alarm_rules
from engine.profile import Profile
from engine.snapshot import Memory

UNIFORM = math.log(3)
HEALTHY = {
    "sps": 40_000.0,
    "loss/entropy": 0.6,
    "loss/grad_norm": 0.8,
    "loss/approx_kl": 0.004,
    "loss/clip_fraction": 0.04,
    "loss/explained_variance": 0.9,
    "replay/ess": 0.7,
    "replay/uses_max": 7.0,
    "replay/uses_mean": 1.0,
}
SICK = {
    "disk": {},
    "gradients": {"loss/grad_norm": 900.0},
    "entropy": {"loss/entropy": 0.001},
    "kl": {"loss/approx_kl": 0.3},
    "clip": {"loss/clip_fraction": 0.8},
    "value": {"loss/explained_variance": -3.0},
    "speed": {"sps": 15_000.0},
    "gpu": {},
    "ess": {"replay/ess": 0.01},
    "uses": {"replay/uses_max": 200.0},
}
"""What each rule is out of range at; two are no matter of metrics."""
RULES = {rule.name: rule for rule in alarm_rules()}


def profile(**alarms: object) -> Profile:
    made = Profile.load("breakout.toml")
    for key, value in ({"warmup": 0} | alarms).items():
        made = made.with_value(f"alarms.{key}", value)
    return made


def reading(iteration: int, *, full: bool = False, **metrics: float) -> Reading:
    memory = Memory(gpu_used=99 if full else 10, gpu_total=100)
    free = GIB // 2 if full else 100 * GIB
    return Reading(64 * iteration, iteration, HEALTHY | metrics, memory, free)


def sick(name: str, iteration: int) -> Reading:
    return reading(iteration, full=name in ("disk", "gpu"), **SICK[name])


def patience(rule: AlarmRule, made: Profile) -> int:
    return int(getattr(made.alarms, rule.after)) if rule.after else 1


@pytest.mark.parametrize("name", RULES)
def test_every_rule_waits_raises_once_and_clears(name: str) -> None:
    """Law: raised by the k-th bad iteration in a row and no earlier, cleared by the m-th good one and no earlier."""
    made, rule = profile(explained_variance_after=7), RULES[name]
    judge = AlarmJudge(UNIFORM, clock=lambda: 123.0)
    number = 0

    def judged(bad: bool) -> list[Change]:
        nonlocal number
        number += 1
        its = sick(name, number) if bad else reading(number)
        return [change for change in judge.judge(its, made) if change.alarm.name == name]

    assert [judged(False) for _ in range(LEAST)] == [[]] * LEAST
    waits = patience(rule, made)
    assert [judged(True) for _ in range(waits - 1)] == [[]] * (waits - 1)
    (raised,) = judged(True)
    alarm = raised.alarm
    assert raised.raised
    assert alarm in judge.active
    assert alarm.iteration == number
    assert alarm.since == 123.0
    assert alarm.value is not None
    assert alarm.threshold is not None
    assert (alarm.value < alarm.threshold) == rule.low
    assert judged(True) == []
    assert [judged(False) for _ in range(9)] == [[]] * 9
    (cleared,) = judged(False)
    assert not cleared.raised
    assert cleared.alarm is alarm
    assert judge.active == ()
    assert "back in range" in cleared.text
    assert "e+" not in cleared.text


@pytest.mark.parametrize("name", RULES)
def test_a_line_says_what_is_wrong_and_what_to_try(name: str) -> None:
    made = profile(explained_variance_after=1, raise_after=1)
    judge = AlarmJudge(UNIFORM)
    for iteration in range(LEAST):
        judge.judge(reading(iteration), made)
    changes = judge.judge(sick(name, LEAST), made)
    (text,) = [change.text for change in changes if change.alarm.name == name]
    rule = RULES[name]
    assert text.startswith(rule.title + ": ")
    assert text.endswith("; " + rule.advice)
    assert len(text) <= 170
    assert text.isascii()
    assert any(digit.isdigit() for digit in text)
    assert ("below" if rule.low else "above") in text


@pytest.mark.parametrize("name", RULES)
def test_every_alarm_can_be_switched_off_and_goes_at_once(name: str) -> None:
    rule, made = RULES[name], profile(explained_variance_after=2, raise_after=2)
    judge = AlarmJudge(UNIFORM)
    for iteration in range(LEAST):
        judge.judge(reading(iteration), made)
    for iteration in range(5):
        judge.judge(sick(name, iteration), made)
    assert name in [alarm.name for alarm in judge.active]
    off = made.with_value(rule.key, type(getattr(made.alarms, rule.setting))(0))
    changes = [change for change in judge.judge(sick(name, 9), off) if change.alarm.name == name]
    assert [change.raised for change in changes] == [False]
    assert "switched off" in changes[0].text
    assert all(change.alarm.name != name for k in range(30) for change in judge.judge(sick(name, k), off))
    silent = AlarmJudge(UNIFORM)
    none = made.with_value("alarms.enabled", False)
    assert [silent.judge(sick(name, iteration), none) for iteration in range(60)] == [[]] * 60


def slow_active(values: Sequence[float | None], bound: float, k: int, m: int, warmup: int) -> bool:
    """Whether an alarm "above `bound`" is raised after `values`, from the definition: k bad ones in a row came, and
    since the last such row no m good ones in a row did. Values that are missing count for neither."""
    judged = [value > bound for value in values[warmup:] if value is not None]
    rows = [n for n in range(k, len(judged) + 1) if all(judged[n - k : n])]
    rests = [n for n in range(m, len(judged) + 1) if not any(judged[n - m : n])]
    return bool(rows) and (not rests or rows[-1] > rests[-1])


@given(
    values=st.lists(st.one_of(st.none(), st.just(math.nan), st.floats(0, 0.1), st.just(math.inf)), max_size=60),
    k=st.integers(1, 4),
    m=st.integers(1, 4),
    warmup=st.integers(0, 8),
)
def test_an_alarm_stands_exactly_when_the_whole_past_says_so(
    values: list[float | None], k: int, m: int, warmup: int
) -> None:
    made = profile(raise_after=k, clear_after=m, warmup=warmup, kl_high=0.05)
    judge = AlarmJudge(UNIFORM)
    past: list[float | None] = []
    told = False
    for iteration, value in enumerate(values, start=1):
        its = reading(iteration) if value is None else reading(iteration, **{"loss/approx_kl": value})
        if value is None:
            del its.metrics["loss/approx_kl"]  # type: ignore[attr-defined]
        changes = [change for change in judge.judge(its, made) if change.alarm.name == "kl"]
        past.append(None if value is None or math.isnan(value) else value)
        stands = any(alarm.name == "kl" for alarm in judge.active)
        assert stands == slow_active(past, 0.05, k, m, warmup)
        # A change is told exactly when there is one.
        assert [change.raised for change in changes] == ([stands] if stands != told else [])
        told = stands


@given(st.lists(st.booleans(), min_size=1, max_size=120), st.integers(1, 6), st.integers(1, 6))
def test_no_alarm_flickers(bad: list[bool], k: int, m: int) -> None:
    """Law: at least m iterations lie between raising and clearing, at least k between clearing and raising."""
    made, judge = profile(raise_after=k, clear_after=m), AlarmJudge(UNIFORM)
    turns = []
    for iteration, each in enumerate(bad):
        its = reading(iteration, **{"loss/clip_fraction": 0.9 if each else 0.1})
        turns += [(iteration, change.raised) for change in judge.judge(its, made)]
    for (before, was_raised), (after, raised) in pairwise(turns):
        assert raised != was_raised
        assert after - before >= (k if raised else m)


def slow_speeds(values: Sequence[float], warmup: int, share: float, k: int, m: int) -> list[bool]:
    """For each iteration whether the alarm of the speed stands: the reference is the median of the last iterations that
    were not out of range, or not judged."""
    usual: list[float] = []
    judged: list[bool] = []
    stands, result = False, []
    for number, value in enumerate(values, start=1):
        enough = len(usual) >= LEAST
        out = enough and value < share * median(usual[-WINDOW:])
        if number <= warmup or not enough:
            usual.append(value)
        else:
            if not out:
                usual.append(value)
            judged.append(out)
            if not stands and judged[-k:] == [True] * k:
                stands = True
            elif stands and judged[-m:] == [False] * m:
                stands = False
        result.append(stands)
    return result


@given(
    st.lists(st.sampled_from([100.0, 90.0, 60.0, 45.0, 20.0]), max_size=150),
    st.integers(0, 12),
    st.integers(1, 4),
    st.integers(1, 4),
)
def test_speed_is_held_against_the_median_of_the_good_times(values: list[float], warmup: int, k: int, m: int) -> None:
    made, judge = profile(warmup=warmup, raise_after=k, clear_after=m), AlarmJudge(UNIFORM)
    stood = []
    for iteration, value in enumerate(values):
        judge.judge(reading(iteration, sps=value), made)
        stood.append(any(alarm.name == "speed" for alarm in judge.active))
    assert stood == slow_speeds(values, warmup, 0.5, k, m)


def test_a_lasting_stall_never_becomes_the_usual() -> None:
    made, judge = profile(), AlarmJudge(UNIFORM)
    for iteration in range(50):
        judge.judge(reading(iteration), made)
    for iteration in range(50, 1000):
        judge.judge(reading(iteration, sps=15_000.0), made)
    assert [alarm.name for alarm in judge.active] == ["speed"]


def test_an_edit_of_the_training_begins_a_new_usual_speed() -> None:
    """Keeping twice the segments is slower by right."""
    made, judge = profile(), AlarmJudge(UNIFORM)
    for iteration in range(50):
        judge.judge(reading(iteration), made)
    for iteration in range(50, 60):
        judge.judge(reading(iteration, sps=15_000.0), made)
    edited = made.with_value("replay.factor", 2.0)
    (cleared,) = judge.judge(reading(60, sps=15_000.0), edited)
    assert "settings" in cleared.text
    assert [judge.judge(reading(iteration, sps=15_000.0), edited) for iteration in range(61, 90)] == [[]] * 29
    other = edited.with_value("alarms.kl_high", 0.5)
    for iteration in range(90, 95):
        judge.judge(reading(iteration, sps=4_000.0), other)
    assert [alarm.name for alarm in judge.active] == ["speed"], "an edit of an alarm forgets nothing"


def test_the_warm_up_keeps_learning_quiet_but_not_the_disk() -> None:
    made, judge = profile(warmup=30), AlarmJudge(UNIFORM)
    for iteration in range(30):
        judge.judge(reading(iteration, full=True, **{"loss/clip_fraction": 0.9, "loss/entropy": 0.0}), made)
    assert [alarm.name for alarm in judge.active] == ["disk", "gpu"]


def test_the_worst_comes_first_and_events_come_before_all() -> None:
    made, judge = profile(raise_after=1), AlarmJudge(UNIFORM)
    judge.judge(reading(1, **{"loss/clip_fraction": 0.9, "loss/entropy": 0.0, "replay/ess": 0.0}), made)
    judge.judge(reading(2, full=True), made)
    (change,) = judge.raise_event("checkpoint", "no checkpoint", "disk full", "make room", step=9, iteration=2)
    assert change.alarm.level == "error"
    assert judge.raise_event("checkpoint", "no checkpoint", "disk full", "make room", step=9, iteration=3) == []
    assert [alarm.name for alarm in judge.active] == ["checkpoint", "disk", "entropy", "clip", "gpu", "ess"]
    (over,) = judge.clear_event("checkpoint", "one was saved")
    assert over.text == "no checkpoint: no alarm any more, one was saved"
    assert judge.clear_event("checkpoint", "one was saved") == []


def test_topk_may_draw_from_few_segments() -> None:
    made = profile(raise_after=1).with_value("replay.scheme", "topk")
    assert AlarmJudge(UNIFORM).judge(reading(1, **{"replay/ess": 0.001}), made) == []


def test_an_environment_of_one_action_has_no_entropy_to_lose() -> None:
    made = profile(raise_after=1)
    assert AlarmJudge(0.0).judge(reading(1, **{"loss/entropy": 0.0}), made) == []


def test_every_rule_has_a_key_of_the_profile_that_is_live_and_off_at_zero() -> None:
    made = Profile.load("breakout.toml")
    bounds = [
        info for info in made.fields() if info.section == "alarms" and "off" in info.help and info.type == "float"
    ]
    assert {info.key for info in bounds} == {rule.key for rule in alarm_rules()}
    for info in bounds:
        assert info.live
        assert info.low is not None
        assert info.high is not None
        assert info.low <= 0 <= info.high
        assert info.default != 0
