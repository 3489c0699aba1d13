"""A run's metrics as numbers, and the learning curve that one metric makes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from engine.comparison.experiment import experiment_settings
from engine.comparison.statistics import Array
from engine.errors import ProfileError, RunError
from engine.profile import Profile
from engine.run_folder import RunFolder
from engine.run_listing import plain_text, run_info

Axis: TypeAlias = Literal["steps", "time"]

EPISODES = 100
"""An episode metric is averaged over the newest iterations that together ended at least so many episodes."""
ITERATIONS = 10
"""Any other metric is averaged over so many iterations."""

_AXES = ("step", "time", "iteration")


@dataclass(frozen=True, slots=True)
class Curve:
    """One metric of one run, smoothed; all arrays have a place per iteration that has a value.

    The value at an iteration is the mean over a window that ends there. An episode metric is a mean over the episodes
    that ended in an iteration, a few or many: its window is the fewest iterations with at least `EPISODES` episodes,
    and each iteration weighs as many as it ended. For other metrics the window is `ITERATIONS` iterations. Before the
    first window is full the mean is over all there is, and `full` says that it does not stand for much yet.
    """

    steps: Array
    seconds: Array
    values: Array
    full: np.ndarray[Any, np.dtype[np.bool_]]

    def axis(self, x: Axis) -> Array:
        """Environment steps, or seconds of training since the run began."""
        return self.steps if x == "steps" else self.seconds

    def reaches(self, threshold: float) -> int | None:
        """The first place with a full window whose value is at least `threshold`; None where there is none."""
        reached = np.flatnonzero(self.full & (self.values >= threshold))
        return int(reached[0]) if len(reached) else None


@dataclass(frozen=True, slots=True, eq=False)
class RunMetrics:
    """What a comparison needs of a run: who it is, and its metrics as arrays over iterations (nan: no value)."""

    name: str
    path: Path
    profile: str
    seed: int | None
    state: str
    total_steps: int | None
    settings: Mapping[str, object]
    """Every key of its profile that makes it another experiment when it differs."""
    edits: int
    """How often a setting was changed while it trained."""
    steps: Array
    seconds: Array
    columns: Mapping[str, Array]

    @property
    def metrics(self) -> frozenset[str]:
        """Names of the metrics that have a value."""
        return frozenset(self.columns)

    @property
    def sps(self) -> float:
        """Environment steps per second of training, without the first iteration, which warms up."""
        steps, seconds = self.steps[-1], self.seconds[-1]
        if len(self.steps) > 1:
            steps, seconds = steps - self.steps[0], seconds - self.seconds[0]
        return float(steps / seconds) if seconds > 0 else math.nan

    def curve(self, metric: str) -> Curve:
        """The learning curve of `metric`. RunError when this run has no value of it."""
        values = self.columns.get(metric)
        if values is None:
            raise RunError(f"the run {self.name!r} has no {metric!r}{self._why(metric)}")
        known = np.isfinite(values)
        raw = values[known]
        if metric.startswith("episode/") and metric != "episode/count":
            weights = self.columns.get("episode/count", np.ones_like(values))[known]
            weights = np.where(np.isfinite(weights) & (weights > 0), weights, 1.0)
            smooth, full = window_means(raw, weights, EPISODES)
        else:
            smooth, full = window_means(raw, np.ones_like(raw), ITERATIONS)
        return Curve(self.steps[known], self.seconds[known], smooth, full)

    def _why(self, metric: str) -> str:
        if not metric.startswith("episode/"):
            return ""
        count = len(self.steps)
        return f" yet: no episode has ended in its {count} iteration{'s' if count != 1 else ''}"


def window_means(values: Array, weights: Array, enough: float) -> tuple[Array, np.ndarray[Any, np.dtype[np.bool_]]]:
    """Weighted means over windows that end at each place: the fewest places whose weights sum to `enough`.

    Also says where the window is full; before that it begins at the first place.
    """
    before = np.concatenate([[0.0], np.cumsum(weights)])
    sums = before[1:]
    first = np.maximum(np.searchsorted(before, sums - enough, side="right") - 1, 0)
    means = np.empty_like(values)
    for place, start in enumerate(first):
        window = slice(start, place + 1)
        means[place] = np.average(values[window], weights=weights[window])
    return means, sums >= enough


def read_run(path: Path) -> RunMetrics:
    """The run in the folder `path`, which may still train. RunError where it is no run or has no metrics yet."""
    folder = RunFolder.read(path)
    info = run_info(path)
    rows = _increasing(folder.read_metrics())
    if not rows:
        raise RunError(f"the run {info.name!r} has no metrics yet: its first iteration has not ended")
    name = plain_text(str(folder.record.get("profile", path.name)))
    try:
        profile = Profile.from_toml(folder.profile_toml, name)
    except ProfileError as error:
        raise RunError(f"cannot read profile.toml of the run {info.name!r}: {error.problems[0]}") from None
    edits = sum(event.get("kind") == "edit" for event in folder.read_events())
    keys = {key for row in rows for key, value in row.items() if _number(value) is not None} - set(_AXES)
    return RunMetrics(
        name=info.name,
        path=path,
        profile=name,
        seed=profile.train.seed,
        state=info.state,
        total_steps=profile.train.total_steps,
        settings=experiment_settings(profile),
        edits=edits,
        steps=_column(rows, "step"),
        seconds=_column(rows, "time"),
        columns={plain_text(key): _column(rows, key) for key in sorted(keys)},
    )


def _increasing(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows that have a step and a time, each beyond the one before."""
    kept: list[dict[str, Any]] = []
    last = (-math.inf, -math.inf)
    for row in rows:
        step, seconds = _number(row.get("step")), _number(row.get("time"))
        if step is not None and seconds is not None and step > last[0] and seconds > last[1]:
            last = (step, seconds)
            kept.append(row)
    return kept


def _column(rows: list[dict[str, Any]], key: str) -> Array:
    numbers = (_number(row.get(key)) for row in rows)
    return np.array([math.nan if number is None else number for number in numbers])


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
