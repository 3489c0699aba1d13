"""Several curves with their intervals in one braille chart: a line each, its interval shaded, a letter at its end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from perx_tui.tui import chart, plotting
from perx_tui.tui.chart import Label, Window
from perx_tui.tui.lines import Line
from perx_tui.tui.plotting import MEETING as MEETING
from perx_tui.tui.plotting import Axis, Band, Stroke

_SMALLEST = (20, 4)


@dataclass(frozen=True, slots=True)
class Look:
    """A curve and how it is drawn: `hue` names the colour of line and letter, `shade` that of the interval."""

    letter: str
    hue: str
    shade: str
    xs: Sequence[float]
    values: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None


def plot(
    curves: Sequence[Look],
    width: int,
    height: int,
    *,
    x_label: Label,
    y_label: Label,
    include_zero: bool = True,
    threshold: float | None = None,
) -> list[Line]:
    """`height` lines of at most `width` cells with all `curves`; empty where there is no room or nothing to draw."""
    curves = [curve for curve in curves if any(map(math.isfinite, curve.values))]
    rows = height - 2
    numbers = [y for curve in curves for ys in (curve.values, curve.low or (), curve.high or ()) for y in ys]
    if threshold is not None:
        numbers.append(threshold)
    if include_zero:
        numbers.append(0.0)
    finite = [number for number in numbers if math.isfinite(number)]
    if not curves or not finite or width < _SMALLEST[0] or rows < _SMALLEST[1] - 2:
        return []
    scale, ticks = chart.fitted(min(finite), max(finite), rows)
    axis = Axis(ticks, y_label)
    span = width - plotting.margin_of(axis) - 1 - plotting.LETTER_CELLS
    window = Window(0.0, chart.roomy(max(*(curve.xs[-1] for curve in curves), 1e-9)), span)
    strokes = [
        Stroke(
            curve.hue,
            scale,
            chart.columns(curve.xs, curve.values, window.start, window.end, 2 * span),
            _band(curve, window),
            letter=curve.letter,
            shade=curve.shade,
        )
        for curve in curves
    ]
    return plotting.plot(strokes, window, rows, axis, x_label, threshold=threshold).lines


def _band(curve: Look, window: Window) -> Band:
    """The interval by cell."""
    if curve.low is None or curve.high is None:
        return ()
    ends = (chart.columns(curve.xs, ys, window.start, window.end, window.span) for ys in (curve.low, curve.high))
    return [None if low is None or high is None else (low, high) for low, high in zip(*ends, strict=True)]
