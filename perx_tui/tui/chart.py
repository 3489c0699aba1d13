"""A line chart in braille with axes and ticks: two dots across and four up in every cell.

Drawing is bounded by the size of the chart, not by the length of the run: points are averaged per dot column first.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

from perx_tui.tui.lines import Line, Part

_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""Braille bits of the left and the right dot column, from the top."""

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0, 20.0, 25.0, 50.0, 100.0, 200.0, 500.0)

PERIOD = 1.0
"""Seconds that a chart stays as it is while points come: nobody sees more, and every redrawing costs bytes."""


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


def columns(xs: Sequence[float], ys: Sequence[float], low: float, high: float, count: int) -> list[float | None]:
    """The mean of the finite points in each of `count` slices of [low, high]; gaps between them filled linearly."""
    sums = [0.0] * count
    numbers = [0] * count
    scale = (count - 1) / (high - low) if high > low else 0.0
    for x, y in zip(xs, ys, strict=True):
        if math.isfinite(y) and low <= x <= high:
            column = round((x - low) * scale)
            sums[column] += y
            numbers[column] += 1
    means: list[float | None] = [total / n if n else None for total, n in zip(sums, numbers, strict=True)]
    known = [(column, mean) for column, mean in enumerate(means) if mean is not None]
    for (before, start), (after, end) in itertools.pairwise(known):
        for column in range(before + 1, after):
            means[column] = start + (end - start) * (column - before) / (after - before)
    return means


def braille(
    values: Sequence[float | None], width: int, height: int, low: float, high: float, *, filled: bool = True
) -> tuple[list[list[int]], list[list[bool]]]:
    """Bit patterns [row][cell] of the area under `values`, one per dot column (2 * width), and which cells hold its
    edge; only the edge where it is not `filled`.

    `low` and `high` lie in the middle of the lowest and the highest row, where their labels and grid lines stand.
    """
    grid = [[0] * width for _ in range(height)]
    edge = [[False] * width for _ in range(height)]
    dots = height * 4
    scale = (dots - 4) / (high - low) if high > low else 0.0
    previous: int | None = None
    for column, value in enumerate(values):
        if value is None:
            previous = None
            continue
        level = min(dots - 1, max(0, round(1.5 + (value - low) * scale)))
        # The edge reaches to the left neighbour's level in this column, so that steep parts stay connected.
        start = level if previous is None else previous + (level > previous) - (level < previous)
        for dot in range(0 if filled else min(start, level), max(start, level) + 1):
            row, bit = divmod(dots - 1 - dot, 4)
            grid[row][column // 2] |= _DOTS[column % 2][bit]
            if dot >= min(start, level):
                edge[row][column // 2] = True
        previous = level
    return grid, edge


def plot(
    xs: Sequence[float],
    ys: Sequence[float],
    width: int,
    height: int,
    *,
    style: str,
    fill: str,
    x_label: Callable[[float], str],
    y_label: Callable[[float], str],
    include_zero: bool = True,
) -> list[Line]:
    """`height` lines of `width` cells: a line in `style` over an area in `fill`, labelled axes at the left and below.

    Empty where there is no finite point or no room.
    """
    finite = [y for y in ys if math.isfinite(y)]
    rows = height - 2
    if not finite or rows < 2 or width < 16:
        return []
    low, high = min(finite), max(finite)
    if include_zero:
        low, high = min(0.0, low), max(0.0, high)
    y_ticks = ticks(low, high, max(2, min(7, rows // 2)))
    # Whole rows between the ticks; what is left over extends the scale above the highest of them.
    pitch = (rows - 1) // (len(y_ticks) - 1)
    labels = {rows - 1 - pitch * index: y_label(tick) for index, tick in enumerate(y_ticks)}
    low, high = y_ticks[0], y_ticks[0] + (y_ticks[1] - y_ticks[0]) * (rows - 1) / pitch
    margin = max(map(len, labels.values()))
    span = width - margin - 1
    end = roomy(max(xs[-1], 1.0))
    grid, edge = braille(columns(xs, ys, 0.0, end, 2 * span), span, rows, low, high)
    lines: list[Line] = []
    for row, cells in enumerate(grid):
        label = labels.get(row, "")
        styles = [
            style if at_edge else fill if bits else "faint" for bits, at_edge in zip(cells, edge[row], strict=True)
        ]
        lines.append((*_y_axis(label, margin), *_runs(cells, styles, "┈" if label else " ")))
    lines.extend(x_axis(end, margin, span, x_label))
    return lines


def plot_shares(
    series: Sequence[tuple[Sequence[float], Sequence[float], str]],
    width: int,
    height: int,
    *,
    x_label: Callable[[float], str],
) -> list[Line]:
    """Several lines (xs, ys, style) of shares in [0, 1] on one pair of axes; later lines lie over earlier ones.

    Empty where there is no finite point or no room.
    """
    known = [(xs, ys, style) for xs, ys, style in series if any(math.isfinite(y) for y in ys)]
    rows, margin = height - 2, 4
    span = width - margin - 1
    if not known or rows < 2 or width < 16:
        return []
    parts = min((n for n in (4, 5, 2) if rows > 2 * n), key=lambda n: (rows - 1) % n, default=1)
    pitch = (rows - 1) // parts
    labels = {rows - 1 - pitch * index: f"{100 * index // parts}%" for index in range(parts + 1)}
    high = (rows - 1) / (pitch * parts)
    end = roomy(max(1.0, *(xs[-1] for xs, _, _ in known)))
    cells = [[0] * span for _ in range(rows)]
    styles = [["faint"] * span for _ in range(rows)]
    for xs, ys, style in known:
        grid, _ = braille(columns(xs, ys, 0.0, end, 2 * span), span, rows, 0.0, high, filled=False)
        for y, bits in enumerate(grid):
            for x, pattern in enumerate(bits):
                if pattern:
                    cells[y][x] |= pattern
                    styles[y][x] = style
    lines: list[Line] = []
    for row in range(rows):
        label = labels.get(row, "")
        lines.append((*_y_axis(label, margin), *_runs(cells[row], styles[row], "┈" if label else " ")))
    lines.extend(x_axis(end, margin, span, x_label))
    return lines


def _y_axis(label: str, margin: int) -> tuple[Part, Part]:
    return (label.rjust(margin), "dim"), ("┤" if label else "│", "faint")


def roomy(end: float) -> float:
    """`end` rounded up by at most a sixteenth: an axis that moved with every point would redraw the whole chart."""
    unit = 2.0 ** (math.floor(math.log2(end)) - 4)
    return math.ceil(end / unit) * unit


def _runs(cells: Sequence[int], styles: Sequence[str], empty: str) -> list[Part]:
    """A row of patterns as parts, cells without a dot shown as `empty`."""
    parts: list[Part] = []
    start = 0
    for name, group in itertools.groupby(styles):
        end = start + sum(1 for _ in group)
        text = "".join(chr(0x2800 + bits) if bits else empty for bits in cells[start:end])
        parts.append((text, name))
        start = end
    return parts


def x_axis(end: float, margin: int, span: int, label: Callable[[float], str]) -> list[Line]:
    """The rule under the chart and the labels under its ticks, as many as stand apart, none cut."""
    rule = ["─"] * span
    text = [" "] * (margin + 1 + span)
    power = 10.0 ** (math.floor(math.log10(end)) - 1)
    step = next(factor * power for factor in _STEPS if end / (factor * power) * 9 <= span or factor == _STEPS[-1])
    free = 0
    for k in range(int(end / step + 1e-9) + 1):
        cell = round((span - 1) * k * step / end)
        name = label(k * step)
        start = min(max(0, margin + 1 + cell - len(name) // 2), len(text) - len(name))
        if start < free:
            continue
        rule[cell] = "┬"
        text[start : start + len(name)] = name
        free = start + len(name) + 1
    return [((" " * margin + "└" + "".join(rule), "faint"),), (("".join(text), "dim"),)]
