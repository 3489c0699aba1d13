"""The arithmetic of charts: round ticks, scales, and what falls into a column of dots.

A cell of braille has two dots across and four up. Drawing is bounded by the size of the chart, not by the length of the
run: points are brought together by dot column first.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from perx_tui import format as fmt
from perx_tui.tui.lines import Line

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0, 20.0, 25.0, 50.0, 100.0, 200.0, 500.0)
_TIME_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200)
_DAY = 86_400
_LABEL_CELLS = 9
"""Room for a label under the x axis and the gap to the next one."""

PERIOD = 1.0
"""Seconds that a chart stays as it is while points come: nobody sees more, and every redrawing costs bytes."""

Label = Callable[[float], str]


def due(drawn: float, now: float) -> bool:
    """Whether a chart of the time `drawn` may be drawn anew."""
    return not 0 <= now - drawn < PERIOD


def ticks(low: float, high: float, most: int) -> list[float]:
    """At most `most` (at least 2) round numbers, evenly spaced, from at or below `low` to at or above `high`."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return [0.0, 1.0]
    size = max(abs(low), abs(high))
    if size < 1e-99:
        return [0.0, 1.0]
    if high - low <= 1e-9 * size:
        high = low + size
    most = max(2, most)
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    for factor in _STEPS:
        step = factor * power
        first = math.floor(low / step + 1e-9)
        last = math.ceil(high / step - 1e-9)
        if last - first + 1 <= most:
            return [float(f"{step * k:.12g}") for k in range(first, last + 1)]
    return [low, high]


def roomy(end: float) -> float:
    """`end` rounded up by at most a sixteenth: an axis that moved with every point would redraw the whole chart."""
    unit = 2.0 ** (math.floor(math.log2(end)) - 4)
    return math.ceil(end / unit) * unit


@dataclass(frozen=True, slots=True)
class Scale:
    """From values to rows of cells: `low` and `high` lie in the middle of the lowest and of the highest row.

    With `log` they are powers of ten, and values that are not positive have no place.
    """

    low: float
    high: float
    rows: int
    log: bool = False

    def height(self, value: float) -> float | None:
        """The place of `value` in rows from the bottom of the chart; it may lie beyond the chart."""
        if self.log:
            if not value > 0:
                return None
            value = math.log10(value)
        if not math.isfinite(value):
            return None
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.0
        return 0.5 + share * (self.rows - 1)

    def level(self, value: float) -> int | None:
        """The dot row of `value`, counted from the bottom, within the chart."""
        height = self.height(value)
        return None if height is None else min(self.rows * 4 - 1, max(0, round(height * 4 - 0.5)))

    def row(self, value: float) -> int | None:
        """The row of cells of `value`, counted from the top."""
        level = self.level(value)
        return None if level is None else self.rows - 1 - level // 4


def fitted(low: float, high: float, rows: int, *, log: bool = False) -> tuple[Scale, dict[int, float]]:
    """A scale over [low, high], and the values of its ticks by row, counted from the top.

    Ticks stand whole rows apart; what is left over extends the scale above the highest of them. With `log`, `low` and
    `high` must be positive.
    """
    most = max(2, min(7, rows // 2))
    if log:
        return _fitted_log(math.log10(low), math.log10(high), rows, most)
    found = ticks(low, high, most)
    return _spaced(found, rows)


def _spaced(found: Sequence[float], rows: int, *, log: bool = False) -> tuple[Scale, dict[int, float]]:
    pitch = max(1, (rows - 1) // (len(found) - 1))
    high = found[0] + (found[1] - found[0]) * (rows - 1) / pitch
    values = [10.0**tick for tick in found] if log else found
    return Scale(found[0], high, rows, log), {rows - 1 - pitch * index: value for index, value in enumerate(values)}


def _fitted_log(low: float, high: float, rows: int, most: int) -> tuple[Scale, dict[int, float]]:
    """Whole decades where there are some; within two decades round numbers in the rows nearest to them."""
    if high - low >= 2:
        first, last = math.floor(low + 1e-9), math.ceil(high - 1e-9)
        step = math.ceil((last - first) / (most - 1))
        count = math.ceil((last - first) / step) + 1
        return _spaced([float(first + step * k) for k in range(count)], rows, log=True)
    room = max(0.02, (high - low) * 0.04)
    scale = Scale(low - room, high + room, rows, log=True)
    powers = range(math.floor(scale.low), math.ceil(scale.high))
    choices = [
        [factor * 10.0**power for power in powers for factor in factors]
        for factors in ((1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,))
    ]
    if high - low < 0.7:
        choices.insert(0, ticks(10.0**scale.low, 10.0**scale.high, most))
    for values in choices:
        labels = _rows_of(values, scale)
        places = sorted(labels)
        if len(labels) <= most and all(after - before >= 2 for before, after in itertools.pairwise(places)):
            break
    if len(labels) < 2:
        labels = {rows - 1: 10.0**scale.low, 0: 10.0**scale.high}
    return scale, labels


def _rows_of(values: Sequence[float], scale: Scale) -> dict[int, float]:
    """The values that lie within a logarithmic scale, by their rows from the top; of two in one row the larger."""
    inside = [value for value in values if value > 0 and scale.low <= math.log10(value) <= scale.high]
    return {row: value for value in sorted(inside) if (row := scale.row(value)) is not None}


@dataclass(frozen=True, slots=True)
class Window:
    """The part of the x axis that is drawn, `span` cells wide."""

    start: float
    end: float
    span: int

    def column(self, x: float) -> float:
        """The dot column of `x`, not rounded; it may lie beyond the chart."""
        return (x - self.start) * (2 * self.span - 1) / (self.end - self.start) if self.end > self.start else 0.0

    def x(self, column: float) -> float:
        """The place on the axis in the middle of a dot column."""
        return self.start + column * (self.end - self.start) / max(1, 2 * self.span - 1)


def columns(xs: Sequence[float], ys: Sequence[float], low: float, high: float, count: int) -> list[float | None]:
    """The mean of the finite points in each of `count` columns of [low, high], whose ends are the middles of the
    outermost columns; gaps filled linearly, also towards the nearest points outside. `xs` ascends."""
    scale = (count - 1) / (high - low) if high > low else 0.0
    first, last = bisect_left(xs, low), bisect_right(xs, high)
    sums = [0.0] * count
    numbers = [0] * count
    for index in range(first, last):
        y = ys[index]
        if math.isfinite(y):
            column = round((xs[index] - low) * scale)
            sums[column] += y
            numbers[column] += 1
    means: list[float | None] = [total / n if n else None for total, n in zip(sums, numbers, strict=True)]
    known = [(float(column), mean) for column, mean in enumerate(means) if mean is not None]
    before = next((i for i in range(first - 1, -1, -1) if math.isfinite(ys[i])), None)
    after = next((i for i in range(last, len(xs)) if math.isfinite(ys[i])), None)
    if before is not None:
        known.insert(0, ((xs[before] - low) * scale, ys[before]))
    if after is not None:
        known.append(((xs[after] - low) * scale, ys[after]))
    for (left, start), (right, end) in itertools.pairwise(known):
        for column in range(max(0, math.floor(left) + 1), min(count, math.ceil(right))):
            if means[column] is None:
                means[column] = start + (end - start) * (column - left) / (right - left)
    return means


def extremes(
    xs: Sequence[float], lows: Sequence[float], highs: Sequence[float], low: float, high: float, count: int
) -> list[tuple[float, float] | None]:
    """The smallest of `lows` and the largest of `highs` among the points in each of `count` columns, None where there
    is no point: a spike of one point is in it, however long the run."""
    scale = (count - 1) / (high - low) if high > low else 0.0
    found: list[tuple[float, float] | None] = [None] * count
    for index in range(bisect_left(xs, low), bisect_right(xs, high)):
        bottom, top = lows[index], highs[index]
        if math.isfinite(bottom) and math.isfinite(top):
            column = round((xs[index] - low) * scale)
            now = found[column]
            found[column] = (bottom, top) if now is None else (min(now[0], bottom), max(now[1], top))
    return found


def smoothed(xs: Sequence[float], ys: Sequence[float], reach: float) -> list[float]:
    """Means over the past of every point, a point `d` back weighing exp(-d / reach): no value leaves the range of the
    points, and none knows the future. `reach` 0 leaves them as they are."""
    if reach <= 0:
        return list(ys)
    total = weight = 0.0
    result: list[float] = []
    previous = xs[0] if len(xs) else 0.0
    for x, y in zip(xs, ys, strict=True):
        fade = math.exp((previous - x) / reach)
        total, weight, previous = total * fade, weight * fade, x
        if math.isfinite(y):
            total, weight = total + y, weight + 1.0
        result.append(total / weight if weight > 1e-300 else math.nan)
    return result


def step_tick(value: float) -> str:
    """A tick of the step axis: "0", "500k", "2.5M"."""
    text = fmt.count(value)
    if text[-1:].isalpha() and "." in text:
        text = text[:-1].rstrip("0").rstrip(".") + text[-1]
    return text


def time_tick(value: float) -> str:
    """A tick of the time axis: "0", "30s", "5m", "1h30m", "2d"."""
    seconds = round(value)
    if seconds < 60:
        return f"{seconds}s" if seconds else "0"
    if seconds < 3600:
        return f"{seconds // 60}m" + (f"{seconds % 60:02d}s" if seconds % 60 else "")
    if seconds < _DAY:
        return f"{seconds // 3600}h" + (f"{seconds % 3600 // 60:02d}m" if seconds % 3600 // 60 else "")
    return f"{seconds // _DAY}d" + (f"{seconds % _DAY // 3600:02d}h" if seconds % _DAY // 3600 else "")


def number_tick(value: float) -> str:
    """A tick of the y axis: "0", "0.015", "250", "12k", "1e-05"."""
    if value and abs(value) < 1e-4:
        return f"{value:.3g}"
    return f"{value:.6g}" if abs(value) < 10_000 else step_tick(value)


def percent_tick(value: float) -> str:
    """A tick of an axis of shares: "0%", "12.5%"."""
    return f"{value * 100:.6g}%"


def x_ticks(start: float, end: float, span: int, *, time: bool = False) -> list[float]:
    """Round numbers in [start, end], as many as have room for their labels in `span` cells."""
    room = max(1, span // _LABEL_CELLS)
    width = end - start
    if not (math.isfinite(width) and width > 0):
        return []
    if time and width / room > _TIME_STEPS[-1]:
        step = float(_DAY * math.ceil(width / room / _DAY))
    elif time and width / room > 1:
        step = float(next(each for each in _TIME_STEPS if each >= width / room))
    else:
        power = 10.0 ** math.floor(math.log10(width / room))
        step = next(factor * power for factor in _STEPS if factor * power >= width / room * (1 - 1e-9))
    first, last = math.ceil(start / step - 1e-9), math.floor(end / step + 1e-9)
    return [float(f"{step * k:.12g}") for k in range(first, last + 1)]


def x_axis(window: Window, margin: int, label: Label, *, time: bool = False) -> list[Line]:
    """The rule under the chart and the labels under its ticks, as many as stand apart, none cut."""
    span = window.span
    rule = ["─"] * span
    text = [" "] * (margin + 1 + span)
    free = 0
    for value in x_ticks(window.start, window.end, span, time=time):
        cell = min(span - 1, max(0, round(window.column(value)) // 2))
        name = label(value)
        start = min(max(0, margin + 1 + cell - len(name) // 2), len(text) - len(name))
        if start < free:
            continue
        rule[cell] = "┬"
        text[start : start + len(name)] = name
        free = start + len(name) + 1
    return [((" " * margin + "└" + "".join(rule), "faint"),), (("".join(text), "dim"),)]
