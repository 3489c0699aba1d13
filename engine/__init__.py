"""The training engine: PPO with prioritized replay of trajectory segments, usable from a script without a terminal.

Importing this package does not import torch; the trainer's thread does.
"""

from engine.errors import CheckpointError, DeviceError, EngineError, ProfileError, RunError
from engine.snapshot import Clip, Frame, LogLine, Memory, Phase, ReplayView, SegmentSummary, Snapshot

__all__ = [
    "CheckpointError",
    "Clip",
    "DeviceError",
    "EngineError",
    "Frame",
    "LogLine",
    "Memory",
    "Phase",
    "ProfileError",
    "ReplayView",
    "RunError",
    "SegmentSummary",
    "Snapshot",
]
