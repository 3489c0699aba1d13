"""Runs side by side: learning curves, groups of seeds, intervals, differences. numpy only, no torch.

`curves` makes a curve of a run's metrics, `grouping` finds which runs are seeds of one another, `statistics` holds the
estimators, `comparing` puts them together.
"""

from __future__ import annotations

from engine.comparison.comparing import (
    Comparison,
    Difference,
    RunGroup,
    RunSummary,
    ThresholdReach,
    compare_groups,
    compare_runs,
)
from engine.comparison.curves import RunMetrics, read_run
from engine.comparison.experiment import experiment_changes
from engine.comparison.grouping import group_runs
from engine.comparison.statistics import Estimate

__all__ = [
    "Comparison",
    "Difference",
    "Estimate",
    "RunGroup",
    "RunMetrics",
    "RunSummary",
    "ThresholdReach",
    "compare_groups",
    "compare_runs",
    "experiment_changes",
    "group_runs",
    "read_run",
]
