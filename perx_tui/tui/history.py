"""The past of a run, kept small: every metric as a series of bounded length, fed from `TrainingSession.history`."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence

CAPACITY = 1024
RECENT = 512


class Series:
    """One metric over steps in at most `CAPACITY` buckets of equally many points; when full, neighbours merge."""

    def __init__(self) -> None:
        self.xs: list[float] = []
        self.ys: list[float] = []
        self.recent: deque[float] = deque(maxlen=RECENT)
        self.best = -math.inf
        self.best_x = 0.0
        self._stride = 1
        self._filled = 0

    def append(self, x: float, y: float) -> None:
        """Add a point; the last bucket is a running mean until it holds its share of points."""
        self.recent.append(y)
        if not math.isfinite(y):
            return
        if y > self.best:
            self.best, self.best_x = y, x
        if self._filled and self._filled < self._stride:
            self._filled += 1
            self.ys[-1] += (y - self.ys[-1]) / self._filled
            self.xs[-1] = x
            return
        if len(self.xs) >= CAPACITY:
            self.xs = self.xs[1::2]
            self.ys = [(a + b) / 2 for a, b in zip(self.ys[0::2], self.ys[1::2], strict=True)]
            self._stride *= 2
        self.xs.append(x)
        self.ys.append(y)
        self._filled = 1

    @property
    def last(self) -> float | None:
        """The newest value, None before the first."""
        return self.recent[-1] if self.recent else None


class History:
    """All series of a run by metric key. `version` grows with every addition, so that charts redraw only then."""

    def __init__(self) -> None:
        self.version = 0
        self.iteration = 0
        """The newest iteration that is included."""
        self._series: dict[str, Series] = {}

    def feed(self, metrics: Iterable[Mapping[str, float]]) -> None:
        """Add iterations, oldest first."""
        for row in metrics:
            self.version += 1
            self.iteration = max(self.iteration, int(row.get("iteration", self.iteration + 1)))
            step = row.get("step", 0.0)
            for key, value in row.items():
                if isinstance(value, int | float):
                    series = self._series.get(key)
                    if series is None:
                        series = self._series[key] = Series()
                    series.append(step, value)

    def series(self, key: str) -> Series | None:
        """The series of a metric, None while it has no value."""
        return self._series.get(key)

    def recent(self, key: str, count: int) -> Sequence[float]:
        """The newest `count` raw values of a metric, oldest first."""
        series = self._series.get(key)
        if series is None or count <= 0:
            return ()
        values = list(series.recent)
        return values[-count:]
