"""Commands that were given and are not confirmed yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from engine import Snapshot


@dataclass(frozen=True, slots=True)
class Pending:
    """A command that was given and is not confirmed by a snapshot yet."""

    text: str
    confirmed: Callable[[Snapshot], bool]
    since: float
    paused: bool
    """Whether the run stands still when it has obeyed."""


def saved(asked: Snapshot, new: Snapshot) -> bool:
    """A checkpoint of the step at which it was asked for, or of a later one, is there."""
    return new.checkpoint_step is not None and new.checkpoint_step >= asked.step
