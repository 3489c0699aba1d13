"""Several curves with their intervals in one braille chart: a line for each, its interval shaded, a letter at its end.

The axes are those of `perx_tui.tui.chart`. A line is drawn over every shading; where lines meet in a cell, the one with
most dots there gives the colour, and where intervals meet, they share a colour of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from perx_tui.tui import chart
from perx_tui.tui.lines import Line, Part

_BITS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_EIGHTHS = " ▁▂▃▄▅▆▇█"
_LETTER_CELLS = 2
MEETING = "meet-shade"
"""The style of cells that several intervals cover."""

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


@dataclass(frozen=True, slots=True)
class _Layer:
    """One curve in cells: bit patterns of its line, [row][cell]; the rows that its interval spans in each cell, counted
    from the bottom of the chart (None: no interval there); the row and cell of its last point."""

    line: list[list[int]]
    band: list[tuple[float, float] | None]
    end: tuple[int, int]


def plot(
    curves: Sequence[Look],
    width: int,
    height: int,
    *,
    x_label: Callable[[float], str],
    y_label: Callable[[float], str],
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
    ticks = chart.ticks(min(finite), max(finite), max(2, min(7, rows // 2)))
    # Whole rows between the ticks; what is left over extends the scale above the highest of them.
    pitch = (rows - 1) // (len(ticks) - 1)
    labels = {rows - 1 - pitch * index: y_label(tick) for index, tick in enumerate(ticks)}
    low, high = ticks[0], ticks[0] + (ticks[1] - ticks[0]) * (rows - 1) / pitch
    margin = max(map(len, labels.values()))
    span = width - margin - 1 - _LETTER_CELLS
    end = chart.roomy(max(*(curve.xs[-1] for curve in curves), 1e-9))
    scale = _Scale(low, high, rows)
    layers = [_layer(curve, span, end, scale) for curve in curves]
    mark = None if threshold is None else rows - 1 - scale.level(threshold) // 4
    grid = _compose(curves, layers, span, set(labels), mark)
    _place_letters(grid, curves, layers)
    lines: list[Line] = []
    for row, cells in enumerate(grid):
        label = labels.get(row)
        axis: tuple[Part, Part] = ((label or "").rjust(margin), "dim"), ("┤" if label else "│", "faint")
        lines.append((*axis, *_runs(cells)))
    lines.extend(chart.x_axis(end, margin, span, x_label))
    return lines


@dataclass(frozen=True, slots=True)
class _Scale:
    """From values to dots: `low` and `high` lie in the middle of the lowest and the highest row."""

    low: float
    high: float
    rows: int

    def height(self, value: float) -> float:
        """The place of `value` in rows from the bottom of the chart."""
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.0
        return 0.5 + share * (self.rows - 1)

    def level(self, value: float) -> int:
        """The dot row of `value`, counted from the bottom, within the chart."""
        return min(self.rows * 4 - 1, max(0, round(self.height(value) * 4 - 0.5)))


def _layer(curve: Look, span: int, end: float, scale: _Scale) -> _Layer:
    line = [[0] * span for _ in range(scale.rows)]
    means = chart.columns(curve.xs, curve.values, 0.0, end, 2 * span)
    levels = [None if mean is None else scale.level(mean) for mean in means]
    last = max(column for column, level in enumerate(levels) if level is not None)
    previous: int | None = None
    for column, level in enumerate(levels):
        if level is not None:
            # The line reaches to the left neighbour's level in this column, so that steep parts stay connected.
            start = level if previous is None else previous + (level > previous) - (level < previous)
            for dot in range(min(start, level), max(start, level) + 1):
                row, bit = divmod(scale.rows * 4 - 1 - dot, 4)
                line[row][column // 2] |= _BITS[column % 2][bit]
        previous = level
    band: list[tuple[float, float] | None] = [None] * span
    if curve.low is not None and curve.high is not None:
        bottom = chart.columns(curve.xs, curve.low, 0.0, end, span)
        top = chart.columns(curve.xs, curve.high, 0.0, end, span)
        band = [
            None if low is None or high is None else (scale.height(low), scale.height(high))
            for low, high in zip(bottom, top, strict=True)
        ]
    return _Layer(line, band, (scale.rows - 1 - (levels[last] or 0) // 4, last // 2))


def _compose(
    curves: Sequence[Look], layers: Sequence[_Layer], span: int, ruled: set[int], mark: int | None
) -> list[list[Part]]:
    """One (character, style) for every cell; the right margin for the letters is blank."""
    grid: list[list[Part]] = []
    rows = len(layers[0].line)
    for row in range(rows):
        blank: Part = ("╌", "dim") if row == mark else ("┈", "faint") if row in ruled else (" ", "")
        floor = rows - 1 - row
        cells: list[Part] = []
        for cell in range(span):
            lines = [layer.line[row][cell] for layer in layers]
            spans = [_within(layer.band[cell], floor) for layer in layers]
            cells.append(_cell(curves, lines, spans, blank))
        grid.append(cells + [(" ", "")] * _LETTER_CELLS)
    return grid


def _within(band: tuple[float, float] | None, floor: int) -> tuple[float, float]:
    """The part of the row above `floor` that `band` covers, its ends as shares of the row's height."""
    if band is None:
        return 0.0, 0.0
    low, high = (min(1.0, max(0.0, end - floor)) for end in band)
    return low, high


def _cell(curves: Sequence[Look], lines: Sequence[int], spans: Sequence[tuple[float, float]], blank: Part) -> Part:
    """A cell of the chart: lines over shadings over the grid."""
    enough = 0.3 if any(lines) else 0.5
    covering = [index for index, (low, high) in enumerate(spans) if high - low >= enough]
    shade = "" if not covering else curves[covering[0]].shade if len(covering) == 1 else MEETING
    if any(lines):
        bits = 0
        for each in lines:
            bits |= each
        owner = max(range(len(lines)), key=lambda index: (lines[index].bit_count(), -index))
        return chr(0x2800 + bits), f"{curves[owner].hue} on {shade}" if shade else curves[owner].hue
    if len(covering) != 1:
        touching = [index for index, (low, high) in enumerate(spans) if high - low >= 0.125]
        if covering or len(touching) != 1:
            return (blank[0], f"{blank[1]} on {shade}") if shade else blank
        covering = touching
    low, high = spans[covering[0]]
    shade = curves[covering[0]].shade
    if high - low > 0.9:
        return blank[0], f"{blank[1]} on {shade}"
    # The block elements stand on the floor: a shading that hangs from the ceiling is drawn as what it leaves free.
    if low <= 1.0 - high:
        return _EIGHTHS[round(high * 8)], shade
    return _EIGHTHS[round(low * 8)], f"background on {shade}"


def _place_letters(grid: list[list[Part]], curves: Sequence[Look], layers: Sequence[_Layer]) -> None:
    """Each curve's letter just behind its last point; letters that would meet are moved apart and keep their order."""
    ends: dict[int, list[tuple[float, int]]] = {}
    for index, (curve, layer) in enumerate(zip(curves, layers, strict=True)):
        near = next((cell for cell in ends if abs(cell - layer.end[1]) < _LETTER_CELLS), layer.end[1])
        ends.setdefault(near, []).append((-curve.values[-1], index))
    for cell, letters in ends.items():
        ordered = [index for _, index in sorted(letters)][: len(grid)]
        rows = _apart([layers[index].end[0] for index in ordered], len(grid))
        for index, row in zip(ordered, rows, strict=True):
            grid[row][cell + 1] = (" ", "")
            grid[row][cell + 2] = (curves[index].letter, f"{curves[index].hue}+")


def _apart(wanted: Sequence[int], count: int) -> list[int]:
    """Ascending rows below `count`, no two alike, near the ascending ones that are `wanted`."""
    rows: list[int] = []
    for place, row in enumerate(wanted):
        lowest = count - (len(wanted) - place)
        rows.append(min(lowest, max(row, rows[-1] + 1 if rows else 0)))
    return rows


def _runs(cells: Sequence[Part]) -> list[Part]:
    """Neighbours in one style as one part."""
    parts: list[Part] = []
    for text, style in cells:
        if parts and parts[-1][1] == style:
            parts[-1] = (parts[-1][0] + text, style)
        else:
            parts.append((text, style))
    return parts
