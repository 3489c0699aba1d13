"""A figure as SVG: lines and text that every browser and word processor takes, made without any other package."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from xml.sax.saxutils import escape

from perx_tui.report.figure import Axes, Figure, Trace, thinned
from perx_tui.tui import chart
from perx_tui.tui.chart import Scale

COLOURS = ("#0b65b8", "#a85a00", "#00755a", "#8a3fa6", "#7d6a00", "#b93a17", "#444444", "#0aa0a0")
"""Hues that differ for every kind of colour vision, also in print."""
DASHES = ("", "7 3", "2 2", "9 3 2 3", "12 4", "4 4 1 4")
"""So that curves differ without colour too."""

_WIDTH, _HEIGHT = 900, 300
_LEFT, _RIGHT, _TOP, _BOTTOM, _GAP = 80, 24, 54, 48, 38
_ROWS = 13
"""Rows that ticks are chosen for."""
_DETAIL = 1600
"""Points of a polyline: about two to a pixel, the extremes among them."""


def to_svg(figure: Figure) -> str:
    """A picture of lines and text that every browser and word processor takes."""
    height = _TOP + _BOTTOM + len(figure.axes) * _HEIGHT + (len(figure.axes) - 1) * _GAP
    width = _LEFT + _WIDTH + _RIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="Helvetica, Arial, sans-serif" font-size="13">',
        f"<title>{escape(figure.title)}</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="24" font-size="16" font-weight="bold" fill="#1f2733">{escape(figure.title)}</text>',
    ]
    for index, axes in enumerate(figure.axes):
        top = _TOP + index * (_HEIGHT + _GAP)
        parts.extend(_axes(figure, axes, top, last=index == len(figure.axes) - 1))
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def _axes(figure: Figure, axes: Axes, top: float, *, last: bool) -> list[str]:
    start, end = figure.range()
    numbers = [y for trace in axes.traces for y in _numbers(trace, start, end) if not figure.log or y > 0]
    low, high = (min(numbers), max(numbers)) if numbers else (1.0, 10.0)
    if not figure.log and 0 <= 2 * low < high:
        low = 0.0
    if figure.log and not low < high:
        low, high = low / 2, high * 2
    if figure.log:
        scale, found = chart.fitted(low, high, _ROWS, log=True)
        ticks = list(found.values())
    else:
        ticks = chart.ticks(low, high, 7)
        scale = Scale(ticks[0], ticks[-1], _ROWS)

    def across(x: float) -> float:
        return _LEFT + (x - start) / (end - start) * _WIDTH if end > start else float(_LEFT)

    def down(y: float) -> float | None:
        place = scale.height(y)
        return None if place is None else top + _HEIGHT - (place - 0.5) / (scale.rows - 1) * _HEIGHT

    parts = [f'<text x="{_LEFT}" y="{top - 6:.0f}" fill="#5c6675">{escape(axes.label)}</text>']
    for value in ticks:
        y = down(value)
        if y is not None:
            spelled = chart.percent_tick(value) if axes.share else chart.number_tick(value)
            parts.append(f'<path d="M{_LEFT} {y:.1f}h{_WIDTH}" stroke="#e3e6e9"/>')
            parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end" fill="#5c6675">{spelled}</text>')
    label = chart.time_tick if figure.x == "time" else chart.step_tick
    for value in chart.x_ticks(start, end, 90, time=figure.x == "time"):
        x = across(value)
        parts.append(f'<path d="M{x:.1f} {top + _HEIGHT}v5" stroke="#5c6675"/>')
        if last:
            parts.append(
                f'<text x="{x:.1f}" y="{top + _HEIGHT + 20:.0f}" text-anchor="middle" fill="#5c6675">'
                f"{label(value)}</text>"
            )
    parts.append(f'<path d="M{_LEFT} {top:.0f}v{_HEIGHT}h{_WIDTH}" fill="none" stroke="#5c6675"/>')
    if last:
        name = "environment steps" if figure.x == "step" else "training time"
        middle = _LEFT + _WIDTH / 2
        parts.append(
            f'<text x="{middle:.0f}" y="{top + _HEIGHT + 40:.0f}" text-anchor="middle" fill="#1f2733">{name}</text>'
        )
    clip = f"a{top:.0f}"
    parts.append(
        f'<clipPath id="{clip}"><rect x="{_LEFT}" y="{top - 2:.0f}" width="{_WIDTH}" height="{_HEIGHT + 4}"/>'
        "</clipPath>"
    )
    parts.append(f'<g clip-path="url(#{clip})" fill="none" stroke-linejoin="round">')
    for index, trace in enumerate(axes.traces):
        parts.extend(
            _trace(trace, COLOURS[index % len(COLOURS)], DASHES[index % len(DASHES)], start, end, across, down)
        )
    parts.append("</g>")
    if len(axes.traces) > 1 or axes.traces[0].name != axes.label:
        parts.extend(_legend(axes, top))
    return parts


def _numbers(trace: Trace, start: float, end: float) -> list[float]:
    """Finite values of a trace in the window."""
    columns = [column for column in (trace.ys, trace.raw, trace.low, trace.high) if len(column)]
    inside = [index for index, x in enumerate(trace.xs) if start <= x <= end]
    return [float(column[index]) for column in columns for index in inside if math.isfinite(column[index])]


def _trace(
    trace: Trace,
    colour: str,
    dash: str,
    start: float,
    end: float,
    across: Callable[[float], float],
    down: Callable[[float], float | None],
) -> list[str]:
    parts = []
    if len(trace.low):
        upper = _points(trace.xs, trace.high, start, end, across, down)
        lower = _points(trace.xs, trace.low, start, end, across, down)
        if upper and lower:
            shape = " ".join(upper + lower[::-1])
            parts.append(f'<polygon points="{shape}" fill="{colour}" fill-opacity="0.16" stroke="none"/>')
    if len(trace.raw):
        points = " ".join(_points(trace.xs, trace.raw, start, end, across, down))
        parts.append(f'<polyline points="{points}" stroke="{colour}" stroke-opacity="0.25"/>')
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    points = " ".join(_points(trace.xs, trace.ys, start, end, across, down))
    parts.append(f'<polyline points="{points}" stroke="{colour}" stroke-width="1.8"{dashed}/>')
    return parts


def _points(
    xs: Sequence[float],
    ys: Sequence[float],
    start: float,
    end: float,
    across: Callable[[float], float],
    down: Callable[[float], float | None],
) -> list[str]:
    """Places of a curve on the paper; where points outnumber what can be seen, the extremes of every column stay."""
    found = []
    for x, y in thinned(xs, ys, start, end, _DETAIL):
        place = down(y)
        if place is not None:
            found.append(f"{across(x):.1f},{place:.1f}")
    return found


def _legend(axes: Axes, top: float) -> list[str]:
    """Names at the right end above the chart, each with a piece of its line."""
    parts = []
    x = float(_LEFT + _WIDTH)
    for index in range(len(axes.traces) - 1, -1, -1):
        name = axes.traces[index].name
        x -= 7.2 * len(name)
        dash = DASHES[index % len(DASHES)]
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        colour = COLOURS[index % len(COLOURS)]
        parts.append(f'<text x="{x:.0f}" y="{top - 6:.0f}" fill="#1f2733">{escape(name)}</text>')
        parts.append(f'<path d="M{x - 30:.0f} {top - 10.5:.1f}h24" stroke="{colour}" stroke-width="2"{dashed}/>')
        x -= 44
    return parts
