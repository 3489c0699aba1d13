"""Which runs are seeds of one another, and what a group of them is called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.comparison.curves import RunMetrics

_MOST = 3
"""Settings that a label names before it only counts them."""


def group_runs(runs: Sequence[RunMetrics]) -> dict[str, list[RunMetrics]]:
    """The runs by experiment, in the order in which each was first met; keys are labels fit to be shown.

    A label is the profile's name where that tells the groups apart, otherwise the settings in which they differ.
    """
    groups: list[list[RunMetrics]] = []
    for run in runs:
        home = next((group for group in groups if group[0].settings == run.settings), None)
        if home is None:
            groups.append([run])
        else:
            home.append(run)
    return dict(zip(_labels([group[0] for group in groups]), groups, strict=True))


def _labels(runs: Sequence[RunMetrics]) -> list[str]:
    """A label for each of these runs, no two alike; one run stands for each group."""
    names = {run.profile for run in runs}
    labels = []
    for run in runs:
        alike = [other for other in runs if other.profile == run.profile]
        described = "" if len(alike) == 1 else _described(run, alike)
        labels.append(" ".join(filter(None, [run.profile if len(names) > 1 or not described else "", described])))
    return [
        label if labels.count(label) == 1 else f"{label} ({run.name})" for label, run in zip(labels, runs, strict=True)
    ]


def _described(run: RunMetrics, alike: Sequence[RunMetrics]) -> str:
    """The settings in which the runs `alike` differ, with this run's values."""
    keys = dict.fromkeys(key for other in alike for key in other.settings)
    differing = [key for key in keys if any(other.settings.get(key) != run.settings.get(key) for other in alike)]
    # What tells most of them apart stands first, where a narrow screen still shows it.
    differing.sort(key=lambda key: -len({repr(other.settings.get(key)) for other in alike}))
    leaves = [key.rpartition(".")[2] for key in differing]
    parts = [
        f"{leaf if leaves.count(leaf) == 1 else key}={_shown(run.settings[key])}"
        for key, leaf in zip(differing, leaves, strict=True)
        if key in run.settings
    ]
    more = [f"+{len(parts) - _MOST}"] if len(parts) > _MOST else []
    return " ".join([*parts[:_MOST], *more])


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping | list | tuple):
        return "..."
    return f"{value:g}" if isinstance(value, float) else str(value)
