"""What a person has chosen to see in the charts: pinned metrics, axis, smoothing, window, crosshair."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from perx_tui.tui.history import History, Series
from perx_tui.tui.viewport import Viewport

FIRST = "episode/score"
"""What is shown while nothing has been chosen."""

MOST = 6
"""Pinned metrics: as many as there are hues that anyone can tell apart."""

HUES = ("green", "orange", "blue", "purple", "yellow", "red")
MARKERS = ("●", "▲", "■", "×", "▼", "+")

SMOOTHING = (0.0, 0.01, 0.03, 0.1)
"""Reach of the smoothing as a share of the whole axis, by level."""


@dataclass
class Choice:
    """The state of the charts, shared by the panel on the dashboard and the chart screen. `version` grows with every
    change, so that charts are drawn anew only then."""

    pinned: list[str] = field(default_factory=lambda: [FIRST])
    active: int = 0
    """Place among the pinned of the curve that keys speak of."""
    time: bool = False
    """Over training time instead of steps."""
    log: bool = False
    stacked: bool = True
    """Charts above one another where several metrics are pinned, instead of curves over one another."""
    smoothing: int = 0
    """A level, see `SMOOTHING`."""
    viewport: Viewport = field(default_factory=Viewport)
    cursor: float | None = None
    """Where the crosshair stands on the axis."""
    version: int = 0

    def plain(self) -> Choice:
        """The same metrics in the same manner over the whole run, without a crosshair."""
        return replace(self, viewport=Viewport(), cursor=None)

    def changed(self) -> None:
        """Have the charts drawn anew."""
        self.version += 1

    @property
    def key(self) -> str:
        """The active metric."""
        return self.pinned[self.active]

    def look(self, place: int) -> tuple[str, str]:
        """(hue, marker) of a pinned metric."""
        return HUES[place % len(HUES)], MARKERS[place % len(MARKERS)]

    def toggle(self, key: str) -> str:
        """Pin a metric, or take it away; what could not be done and why, in a few words."""
        if key in self.pinned:
            return self.unpin(key)
        if len(self.pinned) >= MOST:
            return f"{MOST} metrics are pinned; take one away first (d)"
        self.pinned.append(key)
        self.active = len(self.pinned) - 1
        self.changed()
        return ""

    def unpin(self, key: str) -> str:
        """Take a pinned metric away; one stays."""
        if len(self.pinned) == 1:
            return "one metric stays; pin another one first (/)"
        self.pinned.remove(key)
        self.active = min(self.active, len(self.pinned) - 1)
        self.changed()
        return ""

    def only(self, key: str) -> None:
        """Show one metric and nothing else."""
        self.pinned, self.active = [key], 0
        self.changed()

    def step_active(self, by: int) -> None:
        """Another of the pinned metrics."""
        self.active = (self.active + by) % len(self.pinned)
        self.changed()

    @property
    def manner(self) -> str:
        """How the curves are drawn, where it is not the plain way: "log, smoothed 3 %"."""
        words = ["log"] if self.log else []
        words += [f"smoothed {SMOOTHING[self.smoothing] * 100:.0f} %"] if self.smoothing else []
        if not self.viewport.whole:
            words.append("zoomed, newest" if self.viewport.tail else "zoomed")
        return ", ".join(words)

    # ---- the axis ----

    def xs(self, series: Series) -> Sequence[float]:
        """Where the points of a series stand on the present axis."""
        return series.times if self.time else series.xs

    def last(self, history: History) -> float:
        """Where the newest of the pinned points stands."""
        ends = [xs[-1] for key in self.pinned if (series := history.series(key)) and (xs := self.xs(series))]
        return max(ends, default=0.0)

    def window(self, history: History) -> tuple[float, float]:
        """The ends of what is shown."""
        return self.viewport.shown(self.last(history))

    def reach(self, history: History) -> float:
        """Reach of the smoothing in units of the axis. It does not depend on the window, so that zooming in shows the
        same line."""
        return SMOOTHING[self.smoothing] * Viewport().shown(self.last(history))[1]

    def swap_axis(self, history: History) -> None:
        """Steps instead of time or the other way round, with the same part of the run in the window."""
        series = history.series(self.key)
        first, last = self.window(history)
        whole = self.viewport.whole
        old = self.xs(series) if series else ()
        self.time = not self.time
        new = self.xs(series) if series else ()
        if self.cursor is not None:
            self.cursor = translated(self.cursor, old, new)
        if not whole and len(old):
            self.viewport.show(translated(first, old, new), translated(last, old, new), self.last(history))
        self.changed()

    # ---- the crosshair ----

    def point(self, history: History, key: str, x: float) -> int | None:
        """The place of the point of a metric that is nearest to `x`, None while it has none."""
        series = history.series(key)
        return nearest(self.xs(series), x) if series else None

    def point_at(self, history: History, x: float) -> None:
        """Put the crosshair on the point of the active metric that is nearest to `x`."""
        place, series = self.point(history, self.key, x), history.series(self.key)
        self.cursor = None if place is None or series is None else self.xs(series)[place]
        self.changed()

    def move_cursor(self, history: History, by: int, columns: int) -> None:
        """Move the crosshair by a column of dots, or to the next point where points stand farther apart."""
        series = history.series(self.key)
        if series is None or not len(series.xs):
            return
        xs = self.xs(series)
        start, end = self.window(history)
        if self.cursor is None:
            self.cursor = xs[nearest(xs, end if by < 0 else start) or 0]
            self.changed()
            return
        here = nearest(xs, self.cursor) or 0
        there = nearest(xs, self.cursor + by * (end - start) / max(1, columns - 1)) or 0
        if there == here:
            there = min(max(here + (1 if by > 0 else -1), 0), len(xs) - 1)
        self.cursor = xs[there]
        if self.cursor < start or self.cursor > end:
            width = end - start
            first = self.cursor - width / 2
            self.viewport.show(first, first + width, self.last(history))
        self.changed()


def nearest(xs: Sequence[float], x: float) -> int | None:
    """The place in ascending `xs` of the number nearest to `x`, the lower of two; None where there is none."""
    if not len(xs):
        return None
    place = bisect_left(xs, x)
    if place == len(xs) or (place and x - xs[place - 1] <= xs[place] - x):
        place -= 1
    return place


def translated(x: float, old: Sequence[float], new: Sequence[float]) -> float:
    """The place on the axis `new` of what stands at `x` on the axis `old`: linear between the points, and in
    proportion before the first and beyond the last."""
    if not len(old):
        return x
    place = bisect_left(old, x)
    if place == 0 or place == len(old):
        edge = 0 if place == 0 else len(old) - 1
        return new[edge] * (x / old[edge]) if old[edge] and math.isfinite(x) else new[edge]
    share = (x - old[place - 1]) / (old[place] - old[place - 1])
    return new[place - 1] + share * (new[place] - new[place - 1])
