"""Errors a user can cause. Each message is one clear line: what, where, what to do."""

from __future__ import annotations

from collections.abc import Sequence


class EngineError(Exception):
    """Base of every error that front ends show as a line instead of a traceback."""


class ProfileError(EngineError):
    """A profile or an edit of it is wrong. `problems` has one line for each fault, every fault at once."""

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems: tuple[str, ...] = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


class RunError(EngineError):
    """A run folder cannot be made, found, read or written."""


class CheckpointError(RunError):
    """A checkpoint is damaged, incomplete or of another schema."""


class DeviceError(EngineError):
    """The device a profile asks for is not there."""


class BenchError(EngineError):
    """What a benchmark is asked to compare is not to be had here."""
