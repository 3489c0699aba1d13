"""Groups of runs beside one another: interquartile mean curves, areas, times to a threshold, differences."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from engine.comparison.curves import EPISODES, ITERATIONS, Axis, Curve, RunMetrics, read_run
from engine.comparison.grouping import group_runs
from engine.comparison.statistics import (
    CURVE_REPLICATES,
    LEVEL,
    Array,
    Estimate,
    Resampler,
    area,
    interquartile_mean,
    interval,
    median,
    with_interval,
)
from engine.errors import RunError

METRIC = "episode/score"
GRID = 200
"""Places at which a group's curve is given, evenly spaced."""


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run's figures. `auc` is the mean height of its curve over the comparison's range, `final` the height at the
    range's end, `last` at the run's own end; the threshold's are None where it was not reached or not asked for."""

    name: str
    path: str
    seed: int | None
    state: str
    step: int
    seconds: float
    auc: float
    final: float
    last: float
    sps: float
    threshold_steps: int | None
    threshold_seconds: float | None


@dataclass(frozen=True, slots=True)
class ThresholdReach:
    """How many of a group's runs reached the threshold, and when: the median over all of them.

    A run that did not counts as infinitely late, so that the median stays honest. It is None where half the runs or
    more did not; an infinite end of the interval says that more training may not be enough.
    """

    reached: int
    runs: int
    steps: Estimate
    seconds: Estimate


@dataclass(frozen=True, slots=True)
class RunGroup:
    """Runs that differ only in their seeds, as one curve and its figures: interquartile means with 95 % intervals.

    `xs` spans what all of the group's runs have; `low` and `high`, the pointwise interval, are None for a single run.
    """

    label: str
    runs: tuple[RunSummary, ...]
    xs: tuple[float, ...]
    values: tuple[float, ...]
    low: tuple[float, ...] | None
    high: tuple[float, ...] | None
    auc: Estimate
    final: Estimate
    sps: Estimate
    threshold: ThresholdReach | None


@dataclass(frozen=True, slots=True)
class Difference:
    """`group` minus `baseline`: differences of interquartile means; no interval where either has a single run."""

    group: str
    baseline: str
    auc: Estimate
    final: Estimate
    sps: Estimate


@dataclass(frozen=True, slots=True)
class Comparison:
    """Groups of runs in one metric. `start` and `end` bound the range of x (steps, or seconds of training) that every
    run has: areas and final values are taken there. `differences` has every pair, the later group minus the earlier.
    `notes` are one-line warnings about what the figures do not say."""

    metric: str
    x: Axis
    start: float
    end: float
    threshold: float | None
    groups: tuple[RunGroup, ...]
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]

    def difference(self, group: str, baseline: str) -> Difference | None:
        """That of a pair of labels; None for one that is not there."""
        return next((each for each in self.differences if (each.group, each.baseline) == (group, baseline)), None)

    def as_dict(self) -> dict[str, Any]:
        """All of it as plain values for JSON, where an infinite number has to become null."""
        return {"level": LEVEL} | asdict(self)


def compare_groups(
    folders: Sequence[Path] | Mapping[str, Sequence[Path]],
    *,
    metric: str = METRIC,
    x: Axis = "steps",
    threshold: float | None = None,
) -> Comparison:
    """Compares the runs in these folders, grouped by experiment, or by the caller's own labels where it is a mapping.

    RunError for a folder that holds no run or no metrics yet, for an unknown metric, and for runs without a common
    range.
    """
    if isinstance(folders, Mapping):
        return compare_runs(
            {label: [read_run(path) for path in paths] for label, paths in folders.items()}, metric, x, threshold
        )
    return compare_runs(group_runs([read_run(path) for path in folders]), metric, x, threshold)


def compare_runs(
    groups: Mapping[str, Sequence[RunMetrics]], metric: str = METRIC, x: Axis = "steps", threshold: float | None = None
) -> Comparison:
    """Compares runs that have been read: see `compare_groups`."""
    everything = [run for runs in groups.values() for run in runs]
    if not everything or not all(groups.values()):
        raise RunError("nothing to compare: a group needs at least one run")
    _require_metric(everything, metric)
    curves = {label: [run.curve(metric) for run in runs] for label, runs in groups.items()}
    start, end = _common_range(everything, [curve for each in curves.values() for curve in each], x)
    made, replicates = [], []
    for stream, (label, runs) in enumerate(groups.items()):
        figures = [
            _summarize(run, curve, x, start, end, threshold) for run, curve in zip(runs, curves[label], strict=True)
        ]
        group, resampled = _group(label, figures, curves[label], x, threshold, stream)
        made.append(group)
        replicates.append(resampled)
    return Comparison(
        metric=metric,
        x=x,
        start=start,
        end=end,
        threshold=threshold,
        groups=tuple(made),
        differences=tuple(
            _difference(made[later], replicates[later], made[earlier], replicates[earlier])
            for earlier, later in combinations(range(len(made)), 2)
        ),
        notes=(*_notes(groups), *([] if threshold is None else _too_short(curves))),
    )


def _require_metric(runs: Sequence[RunMetrics], metric: str) -> None:
    """RunError with what is near and what there is, unless some run has the metric."""
    known = sorted(set().union(*(run.metrics for run in runs)))
    if metric in known:
        return
    there = f"there are: {', '.join(known)}" if known else "there is none"
    if metric in ("episode/score", "episode/return", "episode/length"):
        raise RunError(f"no episode has ended in these runs, so that there is no {metric!r} yet; {there}")
    near = difflib.get_close_matches(metric, known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise RunError(f"these runs have no metric {metric!r}: {hint}{there}")


def _common_range(runs: Sequence[RunMetrics], curves: Sequence[Curve], x: Axis) -> tuple[float, float]:
    """The range of x in which every run has a value."""
    starts = [float(curve.axis(x)[0]) for curve in curves]
    ends = [float(curve.axis(x)[-1]) for curve in curves]
    start, end = max(starts), min(ends)
    if start > end:
        late, early = runs[starts.index(start)], runs[ends.index(end)]
        unit = "steps" if x == "steps" else "seconds"
        raise RunError(
            f"the runs share no {unit}: the first value of {late.name!r} is at {start:,.0f}, and {early.name!r} ends "
            f"at {end:,.0f}; train it further or leave it out"
        )
    return start, end


def _summarize(run: RunMetrics, curve: Curve, x: Axis, start: float, end: float, threshold: float | None) -> RunSummary:
    xs = curve.axis(x)
    place = None if threshold is None else curve.reaches(threshold)
    return RunSummary(
        name=run.name,
        path=str(run.path),
        seed=run.seed,
        state=run.state,
        step=int(run.steps[-1]),
        seconds=float(run.seconds[-1]),
        auc=area(xs, curve.values, start, end),
        final=float(np.interp(end, xs, curve.values)),
        last=float(curve.values[-1]),
        sps=run.sps,
        threshold_steps=None if place is None else int(curve.steps[place]),
        threshold_seconds=None if place is None else float(curve.seconds[place]),
    )


def _group(
    label: str, figures: Sequence[RunSummary], curves: Sequence[Curve], x: Axis, threshold: float | None, stream: int
) -> tuple[RunGroup, dict[str, Array]]:
    """A group's estimates, and the replicates of those whose differences are told."""
    resampler = Resampler(len(figures), stream)
    estimates: dict[str, Estimate] = {}
    replicates: dict[str, Array] = {}
    for name in ("auc", "final", "sps"):
        estimates[name], replicates[name] = resampler.estimate(np.array([getattr(run, name) for run in figures]))
    start = max(float(curve.axis(x)[0]) for curve in curves)
    end = min(float(curve.axis(x)[-1]) for curve in curves)
    grid = np.linspace(start, end, GRID) if end > start else np.array([end])
    heights = np.array([np.interp(grid, curve.axis(x), curve.values) for curve in curves])
    low = high = None
    if len(figures) > 1:
        ends = interval(resampler.replicates(heights, most=CURVE_REPLICATES))
        low, high = (tuple(each.tolist()) for each in ends)
    group = RunGroup(
        label=label,
        runs=tuple(figures),
        xs=tuple(grid.tolist()),
        values=tuple(interquartile_mean(heights).tolist()),
        low=low,
        high=high,
        **estimates,
        threshold=None if threshold is None else _reach(figures, resampler),
    )
    return group, replicates


def _reach(figures: Sequence[RunSummary], resampler: Resampler) -> ThresholdReach:
    def estimate(times: Sequence[float | None]) -> Estimate:
        late = np.array([math.inf if time is None else float(time) for time in times])
        found, _ = resampler.estimate(late, median)
        return found if found.value is not None and math.isfinite(found.value) else Estimate(None)

    return ThresholdReach(
        reached=sum(run.threshold_steps is not None for run in figures),
        runs=len(figures),
        steps=estimate([run.threshold_steps for run in figures]),
        seconds=estimate([run.threshold_seconds for run in figures]),
    )


def _difference(
    group: RunGroup, replicates: Mapping[str, Array], baseline: RunGroup, others: Mapping[str, Array]
) -> Difference:
    known = len(group.runs) > 1 and len(baseline.runs) > 1

    def of(name: str) -> Estimate:
        value = getattr(group, name).value - getattr(baseline, name).value
        return with_interval(value, replicates[name] - others[name], known)

    return Difference(group.label, baseline.label, auc=of("auc"), final=of("final"), sps=of("sps"))


def _too_short(curves: Mapping[str, Sequence[Curve]]) -> list[str]:
    """Groups with runs that are too short for any threshold to count."""
    notes = []
    for label, each in curves.items():
        short = sum(not curve.full.any() for curve in each)
        if short:
            notes.append(
                f"{label}: {short} of {len(each)} runs have not filled a window of {EPISODES} episodes ({ITERATIONS} "
                "iterations for other metrics), so that they cannot have reached the threshold"
            )
    return notes


def _notes(groups: Mapping[str, Sequence[RunMetrics]]) -> list[str]:
    """What somebody who reads the figures should know, a line each."""
    notes = []
    everything = [run for runs in groups.values() for run in runs]
    longest = max(run.steps[-1] for run in everything)
    for run in everything:
        if run.steps[-1] < 0.95 * longest:
            notes.append(
                f"{run.name} ({run.state}) has {run.steps[-1]:,.0f} steps, others up to {longest:,.0f}: areas and "
                "final values are taken where all have values"
            )
        if run.edits:
            times = f"{run.edits} settings were" if run.edits > 1 else "a setting was"
            notes.append(f"{times} changed while {run.name} trained; it stands with those that it ended with")
    for label, runs in groups.items():
        seeds = [run.seed for run in runs]
        double = sorted({str(seed) for seed in seeds if seeds.count(seed) > 1})
        if double:
            notes.append(f"{label}: several runs have seed {', '.join(double)}, so that the interval says too little")
    return notes
