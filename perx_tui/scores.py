"""The score that stands for a run at a moment: one iteration alone may end no episode, or a single lucky one."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

EPISODES = 100
"""Episodes that the score is averaged over, at least, once so many have ended."""


class RecentScore:
    """Mean score of about the last hundred episodes, fed with the metrics of iterations in order."""

    def __init__(self, history: Iterable[Mapping[str, float]] = ()) -> None:
        self.iteration = 0
        """The last iteration taken in."""
        self._means: deque[tuple[float, float]] = deque()
        self._count = 0.0
        self.feed(history)

    def feed(self, history: Iterable[Mapping[str, float]]) -> None:
        """Take in iterations that came after `iteration`."""
        for row in history:
            self.iteration = int(row["iteration"])
            count, score = row.get("episode/count", 0.0), row.get("episode/score")
            if not count or score is None:
                continue
            self._means.append((count, score))
            self._count += count
            while self._count - self._means[0][0] >= EPISODES:
                self._count -= self._means.popleft()[0]

    @property
    def value(self) -> float | None:
        """None before the first episode has ended."""
        return sum(count * score for count, score in self._means) / self._count if self._means else None
