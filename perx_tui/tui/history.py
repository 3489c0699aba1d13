"""The past of a run, kept small: every metric as a series of bounded length, fed from `TrainingSession.history`."""

from __future__ import annotations

import math
from array import array
from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from perx_tui.tui.trend import Trend, trend

CAPACITY = 2048
RECENT = 512
_NO_CHART = frozenset(("step", "iteration", "time"))


class Series:
    """One metric in at most `CAPACITY` buckets of equally many points; when full, neighbours merge.

    A bucket keeps step and time of its last point, and the mean, the smallest and the largest of its values, so that
    a spike of one iteration is still there after a million.
    """

    def __init__(self) -> None:
        self.xs = array("d")
        self.times = array("d")
        self.ys = array("d")
        self.lows = array("d")
        self.highs = array("d")
        self.recent: deque[float] = deque(maxlen=RECENT)
        self.best = -math.inf
        self.best_x = 0.0
        self._stride = 1
        self._filled = 0

    def append(self, x: float, y: float, time: float = 0.0) -> None:
        """Add a point; the last bucket is a running mean until it holds its share of points."""
        self.recent.append(y)
        if not math.isfinite(y):
            return
        if y > self.best:
            self.best, self.best_x = y, x
        if self._filled and self._filled < self._stride:
            self._filled += 1
            self.ys[-1] += (y - self.ys[-1]) / self._filled
            self.lows[-1] = min(self.lows[-1], y)
            self.highs[-1] = max(self.highs[-1], y)
            self.xs[-1], self.times[-1] = x, time
            return
        if len(self.xs) >= CAPACITY:
            self._merge()
        self.xs.append(x)
        self.times.append(time)
        self.ys.append(y)
        self.lows.append(y)
        self.highs.append(y)
        self._filled = 1

    def _merge(self) -> None:
        """Half as many buckets, each with twice as many points."""
        self.xs, self.times = self.xs[1::2], self.times[1::2]
        self.ys = array("d", [(a + b) / 2 for a, b in zip(self.ys[0::2], self.ys[1::2], strict=True)])
        self.lows = array("d", map(min, self.lows[0::2], self.lows[1::2]))
        self.highs = array("d", map(max, self.highs[0::2], self.highs[1::2]))
        self._stride *= 2

    @property
    def stride(self) -> int:
        """Points in a bucket."""
        return self._stride

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
        self._trends: dict[str, tuple[int, Trend | None]] = {}

    def feed(self, metrics: Iterable[Mapping[str, float]]) -> None:
        """Add iterations, oldest first."""
        for row in metrics:
            self.version += 1
            self.iteration = max(self.iteration, int(row.get("iteration", self.iteration + 1)))
            step, time = row.get("step", 0.0), row.get("time", 0.0)
            for key, value in row.items():
                if isinstance(value, int | float):
                    series = self._series.get(key)
                    if series is None:
                        series = self._series[key] = Series()
                    series.append(step, value, time)

    def series(self, key: str) -> Series | None:
        """The series of a metric, None while it has no value."""
        return self._series.get(key)

    def metrics(self) -> list[str]:
        """Keys of the metrics that a chart can show."""
        return [key for key in self._series if key not in _NO_CHART]

    def recent(self, key: str, count: int) -> Sequence[float]:
        """The newest `count` raw values of a metric, oldest first."""
        series = self._series.get(key)
        if series is None or count <= 0:
            return ()
        values = list(series.recent)
        return values[-count:]

    def trend(self, key: str) -> Trend | None:
        """Where a metric of which more is better goes; worked out once for every addition."""
        version, known = self._trends.get(key, (-1, None))
        if version != self.version:
            series = self._series.get(key)
            known = trend(series.xs, series.ys) if series is not None else None
            self._trends[key] = self.version, known
        return known
