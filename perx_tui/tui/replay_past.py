"""What prioritized replay did in the newest iterations, kept for the pictures of its distributions over time."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from engine import ReplayView, Snapshot

LENGTH = 64
"""Iterations that are remembered."""


class ReplayPast:
    """The newest views, without their tables: those are long, and only the newest is shown."""

    def __init__(self) -> None:
        self.version = 0
        self._views: deque[ReplayView] = deque(maxlen=LENGTH)
        self._iteration = -1

    def offer(self, snapshot: Snapshot) -> None:
        """Remember the view of an iteration that has not been seen yet."""
        if snapshot.iteration != self._iteration and snapshot.replay.segments:
            self._iteration = snapshot.iteration
            self._views.append(replace(snapshot.replay, table=(), top=()))
            self.version += 1

    @property
    def views(self) -> Sequence[ReplayView]:
        """Oldest first."""
        return self._views
