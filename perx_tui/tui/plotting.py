"""Curves in braille over one another, with axes: what every chart of the program is drawn by.

Lines lie over shadings, shadings over areas, areas over the grid. Where lines meet in a cell, the one with most dots
there gives the colour; where shadings meet, they share a colour of their own. Each curve may stand on its own scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from perx_tui.tui import chart
from perx_tui.tui.chart import Label, Scale, Window
from perx_tui.tui.lines import Line, Part

_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""Braille bits of the left and the right dot column, from the top."""

_BLANK = 0x2800
_EIGHTHS = " ▁▂▃▄▅▆▇█"
LETTER_CELLS = 2
"""Cells at the right of a chart for the letters behind the curves' ends."""
MEETING = "meet-shade"
"""The style of cells that several shadings cover."""

SMALLEST = (16, 2)
"""Cells and rows of a chart without its axes, below which nothing can be read from it."""

Band = Sequence[tuple[float, float] | None]


@dataclass(frozen=True, slots=True)
class Stroke:
    """A curve brought to the columns of a chart: `values` by dot column, `band` by cell, both on `scale`.

    `letter` stands behind its end and, `pace` cells apart, on the line, so that it is found without colour; `area` is
    the style of what lies under the line, empty for none. With `reaches` the line goes through the smallest and the
    largest value of every dot column instead of the mean alone.
    """

    hue: str
    scale: Scale
    values: Sequence[float | None]
    band: Band = ()
    reaches: Band = ()
    letter: str = ""
    shade: str = ""
    area: str = ""
    pace: int = 0
    under: bool = False
    """Seen only where no other line is: the raw values behind a smoothed line."""


@dataclass(frozen=True, slots=True)
class Axis:
    """What stands at the left: tick values by row from the top, how they are spelled, in which colour."""

    ticks: dict[int, float]
    label: Label
    hue: str = "dim"
    width: int = 0
    """At least so many cells for the labels, so that charts above one another stand in line."""


@dataclass(frozen=True, slots=True)
class Plot:
    """A drawn chart and where things are in it: the plotting area is `window.span` cells wide from the cell `left` on,
    `rows` high from the top, and has the axes below."""

    lines: list[Line]
    window: Window
    left: int
    rows: int


Bits = dict[tuple[int, int], int]
"""Braille bits by (row from the top, cell)."""


def stroke_bits(values: Sequence[float | None], scale: Scale, reaches: Band = ()) -> Bits:
    """The line through `values`, one per dot column: it reaches to its left neighbour's level in every column, so that
    steep parts stay connected, and over what `reaches` says of the column."""
    bits: Bits = {}
    bottom = scale.rows * 4 - 1
    previous: int | None = None
    for column, value in enumerate(values):
        level = None if value is None else scale.level(value)
        if level is not None:
            start = level if previous is None else previous + (level > previous) - (level < previous)
            low, high = min(start, level), max(start, level)
            reach = reaches[column] if column < len(reaches) else None
            if reach is not None:
                ends = [end for value in reach if (end := scale.level(value)) is not None]
                low, high = min([low, *ends]), max([high, *ends])
            cell, side = divmod(column, 2)
            for dot in range(low, high + 1):
                row, bit = divmod(bottom - dot, 4)
                bits[row, cell] = bits.get((row, cell), 0) | _DOTS[side][bit]
        previous = level
    return bits


def area_bits(values: Sequence[float | None], scale: Scale) -> Bits:
    """Everything from the bottom of the chart up to `values`."""
    bits: Bits = {}
    for column, value in enumerate(values):
        level = None if value is None else scale.level(value)
        if level is None:
            continue
        cell, side = divmod(column, 2)
        full = _DOTS[side][0] | _DOTS[side][1] | _DOTS[side][2] | _DOTS[side][3]
        rows, rest = divmod(level + 1, 4)
        for row in range(scale.rows - rows, scale.rows):
            bits[row, cell] = bits.get((row, cell), 0) | full
        top = scale.rows - 1 - rows
        for bit in range(4 - rest, 4):
            bits[top, cell] = bits.get((top, cell), 0) | _DOTS[side][bit]
    return bits


def plot(
    strokes: Sequence[Stroke],
    window: Window,
    rows: int,
    axis: Axis,
    x_label: Label,
    *,
    time: bool = False,
    threshold: float | None = None,
    x_labels: bool = True,
) -> Plot:
    """`rows` lines of the strokes with the y axis at the left and, with `x_labels`, two more lines with the x axis.

    `threshold` is drawn as a line on the first stroke's scale. Letters take `LETTER_CELLS` at the right.
    """
    names = {row: axis.label(value) for row, value in axis.ticks.items()}
    margin = max([axis.width, *map(cell_len, names.values())])
    mark = None if threshold is None else strokes[0].scale.row(threshold)
    bits = [stroke_bits(stroke.values, stroke.scale, stroke.reaches) for stroke in strokes]
    grid = _compose(strokes, bits, window.span, rows, names, mark)
    if any(stroke.letter for stroke in strokes):
        _place_letters(grid, strokes, bits)
    lines: list[Line] = []
    for row, cells in enumerate(grid):
        name = names.get(row)
        ends: tuple[Part, Part] = ((name or "").rjust(margin), axis.hue), ("┤" if name else "│", "faint")
        lines.append((*ends, *_runs(cells)))
    if x_labels:
        lines.extend(chart.x_axis(window, margin, x_label, time=time))
    return Plot(lines, window, margin + 1, rows)


def margin_of(axis: Axis) -> int:
    """Cells that the labels of an axis take."""
    return max([axis.width, *(cell_len(axis.label(value)) for value in axis.ticks.values())])


def _compose(
    strokes: Sequence[Stroke],
    bits: Sequence[Bits],
    span: int,
    rows: int,
    ruled: dict[int, str],
    mark: int | None,
) -> list[list[Part]]:
    """One (character, style) for every cell; only the cells that something touches are worked on."""
    grid: list[list[Part]] = []
    for row in range(rows):
        blank: Part = ("╌", "dim") if row == mark else ("┈", "faint") if row in ruled else (" ", "")
        grid.append([blank] * span)
    lettered = any(stroke.letter for stroke in strokes)
    for stroke in strokes:
        if stroke.area:
            for (row, cell), pattern in area_bits(stroke.values, stroke.scale).items():
                grid[row][cell] = (chr(_BLANK | pattern), stroke.area)
    bands = _bands(strokes, rows, span)
    for place in bands.keys() | {place for each in bits for place in each}:
        row, cell = place
        patterns = [each.get(place, 0) for each in bits]
        grid[row][cell] = _cell(strokes, patterns, bands.get(place, {}), grid[row][cell])
    if lettered:
        for cells in grid:
            cells.extend([(" ", "")] * LETTER_CELLS)
    return grid


def _bands(strokes: Sequence[Stroke], rows: int, span: int) -> dict[tuple[int, int], dict[int, tuple[float, float]]]:
    """By cell, the strokes whose shading reaches into it and the part of the row's height that each covers."""
    found: dict[tuple[int, int], dict[int, tuple[float, float]]] = {}
    for index, stroke in enumerate(strokes):
        for cell, band in enumerate(stroke.band[:span]):
            if band is None:
                continue
            low, high = stroke.scale.height(band[0]), stroke.scale.height(band[1])
            if high is None:
                continue
            low = 0.0 if low is None else max(0.0, low)
            high = min(float(rows), high)
            for floor in range(int(low), min(rows, int(high) + 1)):
                part = (max(0.0, low - floor), min(1.0, high - floor))
                if part[1] - part[0] >= 0.125:
                    found.setdefault((rows - 1 - floor, cell), {})[index] = part
    return found


def _cell(
    strokes: Sequence[Stroke], patterns: Sequence[int], spans: dict[int, tuple[float, float]], blank: Part
) -> Part:
    """A cell of the chart: lines over shadings over what is there."""
    lined = any(patterns)
    enough = 0.3 if lined else 0.5
    covering = [index for index, (low, high) in spans.items() if high - low >= enough]
    shade = "" if not covering else strokes[covering[0]].shade if len(covering) == 1 else MEETING
    if lined:
        bits = ord(blank[0]) - _BLANK if _BLANK < ord(blank[0]) <= _BLANK + 0xFF else 0
        if any(each for each, stroke in zip(patterns, strokes, strict=True) if not stroke.under):
            patterns = [0 if stroke.under else each for each, stroke in zip(patterns, strokes, strict=True)]
        for each in patterns:
            bits |= each
        owner = max(range(len(patterns)), key=lambda index: (patterns[index].bit_count(), -index))
        return chr(_BLANK | bits), f"{strokes[owner].hue} on {shade}" if shade else strokes[owner].hue
    if len(covering) != 1:
        if covering or len(spans) != 1:
            return (blank[0], f"{blank[1]} on {shade}") if shade else blank
        covering = list(spans)
    low, high = spans[covering[0]]
    shade = strokes[covering[0]].shade
    if high - low > 0.9:
        return blank[0], f"{blank[1]} on {shade}"
    # The block elements stand on the floor: a shading that hangs from the ceiling is drawn as what it leaves free.
    if low <= 1.0 - high:
        return _EIGHTHS[round(high * 8)], shade
    return _EIGHTHS[round(low * 8)], f"background on {shade}"


def _place_letters(grid: list[list[Part]], strokes: Sequence[Stroke], bits: Sequence[Bits]) -> None:
    """Each stroke's letter on its line and just behind its last point; letters that would meet there are moved apart
    and keep their order."""
    ends: dict[int, list[tuple[int, int]]] = {}
    for index, stroke in enumerate(strokes):
        known = [column for column, value in enumerate(stroke.values) if value is not None]
        levels = [(column, stroke.scale.level(stroke.values[column] or 0.0)) for column in known]
        places = [(column // 2, len(grid) - 1 - level // 4) for column, level in levels if level is not None]
        if not places:
            continue
        if stroke.pace:
            first = stroke.pace // 2 + index * stroke.pace // max(1, len(strokes))
            for cell, row in dict(places).items():
                if cell >= first and (cell - first) % stroke.pace == 0 and cell < places[-1][0] - 2:
                    grid[row][cell] = (stroke.letter, f"{stroke.hue}+")
        cell, row = places[-1]
        near = next((each for each in ends if abs(each - cell) < LETTER_CELLS), cell)
        ends.setdefault(near, []).append((row, index))
    for cell, letters in ends.items():
        ordered = sorted(letters, key=lambda each: (each[0], _order(strokes[each[1]])))[: len(grid)]
        rows = _apart([row for row, _ in ordered], len(grid))
        for (_, index), row in zip(ordered, rows, strict=True):
            grid[row][cell + 1] = (" ", "")
            grid[row][cell + 2] = (strokes[index].letter, f"{strokes[index].hue}+")


def _order(stroke: Stroke) -> float:
    """Where strokes end in one row, the higher value comes first."""
    last = next((value for value in reversed(stroke.values) if value is not None), 0.0)
    return -(stroke.scale.height(last) or 0.0)


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
    start, style = 0, cells[0][1] if cells else ""
    for index, cell in enumerate(cells):
        if cell[1] != style:
            parts.append(("".join(text for text, _ in cells[start:index]), style))
            start, style = index, cell[1]
    parts.append(("".join(text for text, _ in cells[start:]), style))
    return parts


def put(line: Line, cell: int, text: str, style: str) -> Line:
    """`line` with `text` over what stands from `cell` on; cells beyond its end are left away.

    Every character of `line` must be one cell wide, as those of a chart are.
    """
    before: list[Part] = []
    after: list[Part] = []
    position, end = 0, cell + len(text)
    for part, name in line:
        if position < cell:
            before.append((part[: cell - position], name))
        if position + len(part) > end:
            after.append((part[max(0, end - position) :], name))
        position += len(part)
    text = text[: max(0, position - cell)]
    return (*before, (text, style), *after) if text else line
