"""Distributions as bars with their past below them: columns of counts on one axis, shades for older iterations.

Histograms of different iterations have different ends. They are spread onto the columns of one common axis first, so
that a column means the same quantity in every row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from engine import Histogram
from perx_tui.tui import chart

_SHADES = " ░▒▓█"
_EIGHTHS_UP = " ▁▂▃▄▅▆▇█"


def spread(histogram: Histogram, low: float, high: float, width: int) -> list[float]:
    """The counts of `histogram` in `width` equal columns of [low, high], in proportion to how slices and columns
    overlap. What lies beyond the ends is put into the outermost columns, so the sum stays."""
    result = [0.0] * max(1, width)
    count = len(histogram.counts)
    scale = len(result) / (high - low) if high > low else 0.0
    slice_ = (histogram.high - histogram.low) / count if count else 0.0
    last = len(result) - 1
    for index, number in enumerate(histogram.counts):
        if not number:
            continue
        start = min(max((histogram.low + index * slice_ - low) * scale, 0.0), float(len(result)))
        end = min(max((histogram.low + (index + 1) * slice_ - low) * scale, 0.0), float(len(result)))
        first = min(last, int(start))
        if end - start < 1e-9:
            result[first] += number
            continue
        column = first
        while column <= last and column < end:
            share = (min(end, column + 1) - max(start, column)) / (end - start)
            result[column] += number * max(0.0, share)
            column += 1
    return result


def common_axis(histograms: Sequence[Histogram], log: bool) -> tuple[float, float]:
    """Ends that hold all histograms, rounded outward so that they seldom move: to a quarter of a decade where the
    quantity is logarithmic, to round numbers where it is not."""
    filled = [histogram for histogram in histograms if histogram.counts]
    if not filled:
        return 0.0, 1.0
    low, high = min(histogram.low for histogram in filled), max(histogram.high for histogram in filled)
    if log:
        low, high = math.floor(low * 4) / 4, math.ceil(high * 4) / 4
        return low, high if high > low else low + 0.25
    found = chart.ticks(low, high, 9)
    return found[0], found[-1]


def bars(values: Sequence[float], height: int, high: float) -> list[str]:
    """Upright bars, one cell each, from zero to `high`; a value above zero always shows something."""
    # The quotient first: it stays at most 1 where the height divided by a tiny `high` would overflow.
    eighths = [max(1, round(min(1.0, value / high) * height * 8)) if value > 0 and high > 0 else 0 for value in values]
    return [
        "".join(_EIGHTHS_UP[max(0, min(8, e - (height - 1 - row) * 8))] for e in eighths)
        for row in range(max(0, height))
    ]


def shades(values: Sequence[float], high: float) -> str:
    """One row of shades: blank for nothing, the fullest for `high`; a value above zero always shows something."""
    most = len(_SHADES) - 1
    return "".join(
        _SHADES[max(1, min(most, math.ceil(value / high * most)))] if value > 0 and high > 0 else " "
        for value in values
    )


def scale(low: float, high: float, width: int, label: Callable[[float], str], *, log: bool) -> str:
    """The labels under an axis, whole and apart: every decade, or round numbers; at least the two ends."""
    ticks: list[float]
    if log:
        ticks = [float(power) for power in range(math.ceil(low - 1e-9), math.floor(high + 1e-9) + 1)]
        if len(ticks) < 2:
            ticks = [low, high]
    else:
        ticks = [tick for tick in chart.ticks(low, high, 5) if low - 1e-9 <= tick <= high + 1e-9]
    text = [" "] * width
    free = 0
    for tick in ticks:
        name = label(10**tick if log else tick)
        cell = round((tick - low) / (high - low) * (width - 1)) if high > low else 0
        start = min(max(0, cell - len(name) // 2), max(0, width - len(name)))
        if start >= free and len(name) <= width:
            text[start : start + len(name)] = name
            free = start + len(name) + 1
    return "".join(text)
