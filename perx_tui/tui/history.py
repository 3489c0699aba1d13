"""The past of a run, kept small: every metric as a series of bounded length, fed from `TrainingSession.history`."""

from __future__ import annotations

import math
from array import array
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from perx_tui.tui.trend import Trend, trend

CAPACITY = 2048
RECENT = 512
_NO_CHART = frozenset(("step", "iteration", "time"))


class Series:
    """One metric in at most `CAPACITY` buckets of equally many points; when full, neighbours merge.

    A bucket keeps step and time of its last point, and the mean, the smallest and the largest of its values, so that
    a spike of one iteration is still there after a million. The memory for all buckets is taken at once: a screen that
    looks on for days is as large as on its first.
    """

    def __init__(self) -> None:
        self._columns = [array("d", bytes(8 * CAPACITY)) for _ in range(5)]
        self._buckets = 0
        self.recent: deque[float] = deque(maxlen=RECENT)
        self.best = -math.inf
        self.best_x = 0.0
        self._stride = 1
        self._filled = 0

    @property
    def xs(self) -> Sequence[float]:
        """The step of every bucket; as with those below a view, which later points change."""
        return self._column(0)

    @property
    def times(self) -> Sequence[float]:
        """The time of every bucket."""
        return self._column(1)

    @property
    def ys(self) -> Sequence[float]:
        """The mean of every bucket."""
        return self._column(2)

    @property
    def lows(self) -> Sequence[float]:
        """The smallest value of every bucket."""
        return self._column(3)

    @property
    def highs(self) -> Sequence[float]:
        """The largest value of every bucket."""
        return self._column(4)

    def _column(self, index: int) -> Sequence[float]:
        return cast(Sequence[float], memoryview(self._columns[index])[: self._buckets])

    def append(self, x: float, y: float, time: float = 0.0) -> None:
        """Add a point; the last bucket is a running mean until it holds its share of points."""
        self.recent.append(y)
        if not math.isfinite(y):
            return
        if y > self.best:
            self.best, self.best_x = y, x
        xs, times, ys, lows, highs = self._columns
        if self._filled and self._filled < self._stride:
            last = self._buckets - 1
            self._filled += 1
            ys[last] += (y - ys[last]) / self._filled
            lows[last] = min(lows[last], y)
            highs[last] = max(highs[last], y)
            xs[last], times[last] = x, time
            return
        if self._buckets == CAPACITY:
            self._merge()
        new = self._buckets
        xs[new], times[new], ys[new], lows[new], highs[new] = x, time, y, y, y
        self._buckets += 1
        self._filled = 1

    def _merge(self) -> None:
        """Half as many buckets, each with twice as many points."""
        xs, times, ys, lows, highs = self._columns
        self._buckets //= 2
        for to in range(self._buckets):
            one, two = 2 * to, 2 * to + 1
            xs[to], times[to], ys[to] = xs[two], times[two], (ys[one] + ys[two]) / 2
            lows[to], highs[to] = min(lows[one], lows[two]), max(highs[one], highs[two])
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
