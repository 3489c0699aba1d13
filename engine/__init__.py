"""The training engine: PPO with prioritized replay of trajectory segments, usable from a script without a terminal.

Importing this package does not import torch; the trainer's thread does, and `Player` when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from c_envs import ENVIRONMENTS, ROLES, EnvironmentInfo, Renderer
from engine.alarms import AlarmRule, alarm_rules, read_alarm
from engine.comparison import (
    Comparison,
    Difference,
    Estimate,
    RunGroup,
    RunMetrics,
    RunSummary,
    ThresholdReach,
    compare_groups,
    compare_runs,
    experiment_changes,
    group_runs,
    read_run,
)
from engine.errors import CheckpointError, DeviceError, EngineError, ProfileError, RunError
from engine.health import Check, check_machine
from engine.metric_catalogue import METRIC_CATALOGUE, MetricInfo, explain_metric
from engine.profile import FieldInfo, Profile, environment_fields, shipped_profiles
from engine.remote import RemoteSession
from engine.run_catalogue import RunCatalogue
from engine.run_folder import RunFolder
from engine.run_listing import RunInfo
from engine.session import TrainingSession
from engine.snapshot import (
    Alarm,
    Card,
    Clip,
    Frame,
    Histogram,
    LogLine,
    Memory,
    Phase,
    ReplayView,
    RunState,
    SegmentStep,
    SegmentSummary,
    SegmentView,
    Snapshot,
    Spectacle,
    SpectatorFrame,
)
from engine.study import Study, StudyRun, TaskTable, shipped_studies

if TYPE_CHECKING:
    from engine.bench import BenchReport, run_bench
    from engine.evaluation import EpisodeResult, Player

__all__ = [
    "ENVIRONMENTS",
    "METRIC_CATALOGUE",
    "ROLES",
    "Alarm",
    "AlarmRule",
    "BenchReport",
    "Card",
    "Check",
    "CheckpointError",
    "Clip",
    "Comparison",
    "DeviceError",
    "Difference",
    "EngineError",
    "EnvironmentInfo",
    "EpisodeResult",
    "Estimate",
    "FieldInfo",
    "Frame",
    "Histogram",
    "LogLine",
    "Memory",
    "MetricInfo",
    "Phase",
    "Player",
    "Profile",
    "ProfileError",
    "RemoteSession",
    "Renderer",
    "ReplayView",
    "RunCatalogue",
    "RunError",
    "RunFolder",
    "RunGroup",
    "RunInfo",
    "RunMetrics",
    "RunState",
    "RunSummary",
    "SegmentStep",
    "SegmentSummary",
    "SegmentView",
    "Snapshot",
    "Spectacle",
    "SpectatorFrame",
    "Study",
    "StudyRun",
    "TaskTable",
    "ThresholdReach",
    "TrainingSession",
    "alarm_rules",
    "check_machine",
    "compare_groups",
    "compare_runs",
    "environment_fields",
    "experiment_changes",
    "explain_metric",
    "group_runs",
    "read_alarm",
    "read_run",
    "run_bench",
    "shipped_profiles",
    "shipped_studies",
]


def __getattr__(name: str) -> Any:
    """Names whose module imports torch are imported when they are first used."""
    if name in ("EpisodeResult", "Player"):
        from engine import evaluation

        return getattr(evaluation, name)
    if name in ("BenchReport", "run_bench"):
        from engine import bench

        return getattr(bench, name)
    raise AttributeError(f"module 'engine' has no attribute {name!r}")
