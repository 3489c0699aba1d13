"""Alarms: after every iteration a run is judged by its metrics, and what does not look well is told.

A rule holds one quantity against one bound of the profile's [alarms]. An alarm is raised when its rule was out of range
in `alarms.raise_after` judged iterations in a row and cleared after `alarms.clear_after` in range in a row, so that a
value that wavers about its bound never flickers. An iteration without the quantity counts for neither.

Two bounds follow the run itself, steps/s and the gradient norm: their reference is the median of the last iterations
that were in range or not judged, which begins anew when a setting changes that speed or gradients depend on.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Literal

from engine.profile import Profile
from engine.snapshot import Alarm, Memory, Snapshot

GIB = 1024**3
WINDOW = 101
"""Iterations in range that a running median is taken over."""
LEAST = 5
"""A median of fewer is no reference yet."""

Level = Literal["warning", "error"]


@dataclass(frozen=True, slots=True)
class Reading:
    """What an iteration is judged by."""

    step: int
    iteration: int
    metrics: Mapping[str, float]
    memory: Memory
    disk_free: int | None = None
    """Bytes left for this user on the disk of the run's folder; None where nobody knows."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a threshold is made of."""

    profile: Profile
    setting: float
    """The rule's own key of [alarms]."""
    uniform_entropy: float
    usual: float | None
    """The running median of the rule's quantity, None while there is none."""


@dataclass(frozen=True, slots=True)
class AlarmRule:
    """One thing that is watched. `low`: it is out of range below its threshold, otherwise above it.

    `patient` rules wait for the warm-up. `relative` ones have a running median for a reference. `after` is the setting
    that says how often in a row is too often; "" raises at once.
    """

    name: str
    title: str
    level: Level
    setting: str
    measure: Callable[[Reading, Profile], float | None]
    threshold: Callable[[Bounds], float | None]
    say: Callable[[float, float, Bounds], str]
    advice: str
    low: bool = False
    patient: bool = True
    relative: bool = False
    after: str = "raise_after"
    unit: str = ""
    """What stands behind the setting's number for people: "x usual"."""

    @property
    def key(self) -> str:
        """The profile's key of its bound."""
        return f"alarms.{self.setting}"

    def is_off(self, profile: Profile) -> bool:
        """Nobody wants to hear of it, or it means nothing under this profile."""
        topk = self.name == "ess" and profile.replay.scheme == "topk"  # few segments are its very purpose
        return not profile.alarms.enabled or getattr(profile.alarms, self.setting) == 0 or topk


def _metric(key: str) -> Callable[[Reading, Profile], float | None]:
    return lambda reading, _: reading.metrics.get(key)


def _own(bounds: Bounds) -> float:
    return bounds.setting


def _uses(reading: Reading, _: Profile) -> float | None:
    most, mean = reading.metrics.get("replay/uses_max"), reading.metrics.get("replay/uses_mean")
    return most / mean if most is not None and mean else None


def _gpu(reading: Reading, _: Profile) -> float | None:
    used, total = reading.memory.gpu_used, reading.memory.gpu_total
    return used / total if used is not None and total else None


def _disk(reading: Reading, _: Profile) -> float | None:
    return None if reading.disk_free is None else reading.disk_free / GIB


def _gradient_bound(bounds: Bounds) -> float | None:
    if bounds.usual is None:
        return None
    return bounds.setting * max(bounds.usual, bounds.profile.train.max_grad_norm)


def _speed_bound(bounds: Bounds) -> float | None:
    return None if bounds.usual is None else bounds.setting * bounds.usual


RULES: tuple[AlarmRule, ...] = (
    AlarmRule(
        "disk",
        "disk nearly full",
        "error",
        "disk_free_low",
        _disk,
        _own,
        lambda value, bound, _: f"{value:.2f} GiB are free on the disk of the run, below {bound:g} GiB",
        "make room or delete old runs: without it no checkpoint can be written",
        low=True,
        patient=False,
        after="",
        unit=" GiB",
    ),
    AlarmRule(
        "gradients",
        "exploding gradients",
        "error",
        "grad_norm_high",
        _metric("loss/grad_norm"),
        _gradient_bound,
        lambda value, bound, _: f"gradient norm {value:.3g}, above {bound:.3g}",
        "lower train.learning_rate, or cut large rewards by train.reward_clamp",
        relative=True,
        unit=" x usual",
    ),
    AlarmRule(
        "entropy",
        "entropy collapse",
        "error",
        "entropy_low",
        _metric("loss/entropy"),
        lambda bounds: bounds.setting * bounds.uniform_entropy if bounds.uniform_entropy > 0 else None,
        lambda value, bound, bounds: (
            f"entropy {value:.3g}, below {bound:.3g} ({bounds.setting:.3g} of a uniform policy's)"
        ),
        "the policy hardly explores: raise train.entropy_coef, or lower train.learning_rate",
        low=True,
        unit=" x uniform",
    ),
    AlarmRule(
        "kl",
        "KL too high",
        "warning",
        "kl_high",
        _metric("loss/approx_kl"),
        _own,
        lambda value, bound, _: f"KL divergence of an update {value:.3g}, above {bound:.3g}",
        "the policy changes too fast: lower train.learning_rate or train.clip",
    ),
    AlarmRule(
        "clip",
        "clip fraction too high",
        "warning",
        "clip_fraction_high",
        _metric("loss/clip_fraction"),
        _own,
        lambda value, bound, _: f"{value:.3g} of the ratios are cut, above {bound:.3g}",
        "much of the data teaches nothing: lower train.learning_rate, or raise train.clip",
    ),
    AlarmRule(
        "value",
        "value head useless",
        "warning",
        "explained_variance_low",
        _metric("loss/explained_variance"),
        _own,
        lambda value, bound, _: f"explained variance {value:.3g}, below {bound:.3g} for long",
        "its values are worse than a constant: raise train.value_coef, lower train.learning_rate",
        low=True,
        after="explained_variance_after",
        unit=" for long",
    ),
    AlarmRule(
        "speed",
        "training stalls",
        "warning",
        "sps_low",
        _metric("sps"),
        _speed_bound,
        lambda value, bound, bounds: (
            f"{value:,.0f} steps/s, below {bound:,.0f} ({bounds.setting:.3g} of the usual {bounds.usual or 0:,.0f})"
        ),
        "see which phase has grown, and whether other programs use this machine",
        low=True,
        relative=True,
        unit=" x usual",
    ),
    AlarmRule(
        "gpu",
        "GPU memory nearly full",
        "warning",
        "gpu_memory_high",
        _gpu,
        _own,
        lambda value, bound, _: f"{value:.1%} of the GPU's memory are in use, above {bound:.1%}",
        "start with a smaller train.minibatch or env.agents, or see who else uses the GPU",
        patient=False,
    ),
    AlarmRule(
        "ess",
        "few segments weigh",
        "warning",
        "ess_low",
        _metric("replay/ess"),
        _own,
        lambda value, bound, _: f"effective sample size {value:.3g} of the segments, below {bound:.3g}",
        "few segments get most of the draws: lower replay.alpha",
        low=True,
    ),
    AlarmRule(
        "uses",
        "segments overused",
        "warning",
        "uses_high",
        _uses,
        _own,
        lambda value, bound, _: f"a segment was used {value:.3g} times as often as the mean, above {bound:.3g}",
        "lower replay.alpha, or draw without replacement (replay.replacement = false)",
        unit=" x mean",
    ),
)
"""What is watched, the worst first."""


def read_alarm(rule: AlarmRule, snapshot: Snapshot, profile: Profile) -> float | None:
    """What `rule` looks at, as the newest snapshot has it; None while there is no such figure."""
    reading = Reading(snapshot.step, snapshot.iteration, snapshot.metrics, snapshot.memory, snapshot.disk_free)
    return rule.measure(reading, profile)


_EVENTS = ("nan", "checkpoint")
"""Alarms that other code raises: they come before all rules."""
_ORDER = {name: place for place, name in enumerate((*_EVENTS, *(rule.name for rule in RULES)))}


def alarm_rules() -> tuple[AlarmRule, ...]:
    """Everything that is watched, the worst first."""
    return RULES


@dataclass(frozen=True, slots=True)
class Change:
    """An alarm that was raised or cleared. `value` and `threshold` are those of the iteration in which it was."""

    alarm: Alarm
    raised: bool
    value: float | None
    threshold: float | None
    reason: str = ""
    """Why it was cleared, where it was not by recovery."""

    @property
    def text(self) -> str:
        """One line: what is wrong and what to try, or that it is over."""
        alarm = self.alarm
        if self.raised:
            return f"{alarm.title}: {alarm.text}; {alarm.advice}"
        if self.reason:
            return f"{alarm.title}: no alarm any more, {self.reason}"
        now = "" if self.value is None else f", now {self.value:{',.0f' if abs(self.value) >= 1000 else '.4g'}}"
        return f"{alarm.title}: back in range{now}"


class _Watch:
    """How one rule stands: iterations in a row out of range and in it, and the quantity's recent past."""

    def __init__(self, rule: AlarmRule) -> None:
        self.rule = rule
        self.out = self.back = 0
        self.recent: deque[float] = deque(maxlen=WINDOW)

    def forget(self) -> None:
        self.out = self.back = 0

    @property
    def usual(self) -> float | None:
        return median(self.recent) if len(self.recent) >= LEAST else None

    def count(self, is_out: bool) -> None:
        self.out, self.back = (self.out + 1, 0) if is_out else (0, self.back + 1)


class AlarmJudge:
    """Knows which alarms are raised. `uniform_entropy` is that of a policy that chooses at random, in nats."""

    def __init__(self, uniform_entropy: float, clock: Callable[[], float] = time.time) -> None:
        self.active: tuple[Alarm, ...] = ()
        self._uniform_entropy = uniform_entropy
        self._clock = clock
        self._watches = [_Watch(rule) for rule in RULES]
        self._judged = 0
        self._profile: Profile | None = None

    def judge(self, reading: Reading, profile: Profile) -> list[Change]:
        """What an iteration changes: the alarms that it raises and those that it clears."""
        self._follow(profile)
        self._judged += 1
        changes = []
        for watch in self._watches:
            change = self._judge_one(watch, reading, profile)
            if change is not None:
                changes.append(change)
        return changes

    def raise_event(self, name: str, title: str, text: str, advice: str, *, step: int, iteration: int) -> list[Change]:
        """An alarm that no rule knows, of level "error"; nothing when it is raised already."""
        if self._find(name) is not None:
            return []
        alarm = Alarm(name, title, "error", text, advice, self._clock(), step, iteration)
        return [self._raise(alarm)]

    def clear_event(self, name: str, reason: str) -> list[Change]:
        """The end of such an alarm; nothing when it is not raised."""
        alarm = self._find(name)
        return [] if alarm is None else [self._clear(alarm, None, None, reason)]

    def _follow(self, profile: Profile) -> None:
        """Other settings of training and replay have another usual speed and another usual gradient."""
        before, self._profile = self._profile, profile
        if before is None or before is profile:
            return
        if (before.train, before.replay, before.env) != (profile.train, profile.replay, profile.env):
            for watch in self._watches:
                if watch.rule.relative:
                    watch.recent.clear()

    def _judge_one(self, watch: _Watch, reading: Reading, profile: Profile) -> Change | None:
        rule = watch.rule
        alarm = self._find(rule.name)
        value = rule.measure(reading, profile)
        if value is not None and math.isnan(value):
            value = None
        if rule.is_off(profile):
            watch.forget()
            return None if alarm is None else self._clear(alarm, value, None, "it is switched off")
        bounds = Bounds(profile, getattr(profile.alarms, rule.setting), self._uniform_entropy, watch.usual)
        bound = rule.threshold(bounds)
        if rule.relative and bound is None and alarm is not None:
            watch.forget()
            return self._clear(alarm, value, None, "the settings it was judged by have changed")
        if value is None:
            return None
        is_out = bound is not None and (value < bound if rule.low else value > bound)
        waits = bound is None or (rule.patient and self._judged <= profile.alarms.warmup)
        if rule.relative and (waits or not is_out) and math.isfinite(value):
            watch.recent.append(value)
        if bound is None or waits:
            return None
        watch.count(is_out)
        if alarm is None and watch.out >= self._patience(rule, profile):
            text = rule.say(value, bound, bounds)
            since, step, iteration = self._clock(), reading.step, reading.iteration
            return self._raise(
                Alarm(rule.name, rule.title, rule.level, text, rule.advice, since, step, iteration, value, bound)
            )
        if alarm is not None and watch.back >= profile.alarms.clear_after:
            return self._clear(alarm, value, bound, "")
        return None

    @staticmethod
    def _patience(rule: AlarmRule, profile: Profile) -> int:
        return int(getattr(profile.alarms, rule.after)) if rule.after else 1

    def _find(self, name: str) -> Alarm | None:
        return next((alarm for alarm in self.active if alarm.name == name), None)

    def _raise(self, alarm: Alarm) -> Change:
        self.active = tuple(sorted((*self.active, alarm), key=lambda each: _ORDER.get(each.name, -1)))
        return Change(alarm, True, alarm.value, alarm.threshold)

    def _clear(self, alarm: Alarm, value: float | None, threshold: float | None, reason: str) -> Change:
        self.active = tuple(each for each in self.active if each is not alarm)
        return Change(alarm, False, value, threshold, reason)
