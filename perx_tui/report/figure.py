"""A figure of curves for reports, and the same as CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Trace:
    """One curve; `raw` are the values that `ys` was smoothed from, `low` and `high` the ends of a shading."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float]
    raw: Sequence[float] = ()
    low: Sequence[float] = ()
    high: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Axes:
    """One chart of a figure."""

    label: str
    traces: Sequence[Trace]
    share: bool = False
    """Values in [0, 1] that are read as percentages."""


@dataclass(frozen=True, slots=True)
class Figure:
    """Charts above one another over one x axis. `window` None shows everything."""

    title: str
    axes: Sequence[Axes]
    x: Literal["step", "time"] = "step"
    log: bool = False
    window: tuple[float, float] | None = None
    notes: Sequence[str] = field(default_factory=tuple)

    def range(self) -> tuple[float, float]:
        """The ends of the x axis."""
        if self.window is not None:
            return self.window
        ends = [trace.xs[-1] for axes in self.axes for trace in axes.traces if len(trace.xs)]
        return 0.0, max(ends, default=1.0) or 1.0


def to_csv(figure: Figure) -> str:
    """A line a point: metric, curve, place on the axis, value and, where it was smoothed, the raw value."""
    raw = any(len(trace.raw) for axes in figure.axes for trace in axes.traces)
    band = any(len(trace.low) for axes in figure.axes for trace in axes.traces)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    x = "step" if figure.x == "step" else "seconds"
    writer.writerow(["metric", "curve", x, "value", *(["raw"] if raw else []), *(["low", "high"] if band else [])])
    start, end = figure.range()
    for axes in figure.axes:
        for trace in axes.traces:
            for index, place in enumerate(trace.xs):
                if not start <= place <= end:
                    continue
                row = [axes.label, trace.name, _plain(place), _plain(trace.ys[index])]
                row += [_plain(trace.raw[index]) if len(trace.raw) else ""] if raw else []
                if band:
                    row += [_plain(trace.low[index]), _plain(trace.high[index])] if len(trace.low) else ["", ""]
                writer.writerow(row)
    return text.getvalue()


def _plain(value: float) -> str:
    """A number that reads back as the same one; nothing for one that is not finite."""
    if not math.isfinite(value):
        return ""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))


def thinned(xs: Sequence[float], ys: Sequence[float], start: float, end: float, most: int) -> list[tuple[float, float]]:
    """The finite points of [start, end] and one beyond each end; of more than `most`, the smallest and the largest in
    each of `most` / 2 slices, in their order."""
    points = [(float(x), float(y)) for x, y in zip(xs, ys, strict=True) if math.isfinite(y)]
    inside = [place for place, (x, _) in enumerate(points) if start <= x <= end]
    if not inside:
        return []
    points = points[max(0, inside[0] - 1) : inside[-1] + 2]
    if len(points) <= most:
        return points
    slices = max(1, most // 2)
    kept: list[tuple[float, float]] = []
    for index in range(slices):
        group = points[index * len(points) // slices : (index + 1) * len(points) // slices]
        ends = {min(range(len(group)), key=lambda i: group[i][1]), max(range(len(group)), key=lambda i: group[i][1])}
        kept.extend(group[place] for place in sorted(ends))
    return kept
