"""The pinned metrics of a run as a picture: one chart, charts above one another, or curves over one another."""

from __future__ import annotations

import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

from perx_tui import format as fmt
from perx_tui import metrics as names
from perx_tui.tui import chart, plotting
from perx_tui.tui.chart import Scale, Window
from perx_tui.tui.chart_choice import Choice
from perx_tui.tui.history import History, Series
from perx_tui.tui.lines import EMPTY, Line, Part, cells, centered, shorten, text_of
from perx_tui.tui.plotting import Axis, Band, Plot, Stroke

_DENSE = 4
"""Points in a column of dots from which on a line through all of them is only a blot: then it is the mean, before a
shading from the smallest to the largest."""
_LOWEST = 5
"""Rows of a chart in a stack, below which curves go over one another instead."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A plot that begins at a row of the picture, the pinned metrics in it and their lines."""

    top: int
    plot: Plot
    places: tuple[int, ...]
    strokes: tuple[Stroke, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawn picture: its lines without the crosshair, and where the plots are in it."""

    lines: list[Line]
    plots: tuple[Placed, ...] = ()
    hidden: bool = False
    """Some points have no place on a logarithmic scale."""

    def x_at(self, cell: int) -> float | None:
        """The place on the axis under a cell, None beside the plots."""
        if not self.plots:
            return None
        plot = self.plots[0].plot
        column = cell - plot.left
        return plot.window.x(2 * column + 0.5) if 0 <= column < plot.window.span else None

    def place_at(self, row: int) -> int | None:
        """The pinned metric whose own plot covers a row, None where several do or none."""
        for placed in self.plots:
            if placed.top - 1 <= row < placed.top + placed.plot.rows and len(placed.places) == 1:
                return placed.places[0]
        return None


@dataclass(frozen=True, slots=True)
class _Curve:
    """One pinned metric brought to the columns of a window."""

    place: int
    values: Sequence[float | None]
    raw: Sequence[float | None]
    reaches: Band
    """Smallest and largest value by dot column."""
    band: Band
    """The same by cell, where points are dense."""


class MetricChart:
    """Draws pictures of a history by a choice, and keeps the newest one until something has changed."""

    def __init__(self, *, legend: bool, spread: bool) -> None:
        """`legend`: names and values above the curves, also of a single one. `spread`: the smallest and the largest
        value of every column as a shading behind the line."""
        self.choice = Choice()
        self._legend, self._spread = legend, spread
        self._key: tuple[int, int, int, int] | None = None
        self._drawn = -math.inf
        self._picture = Picture([])
        self._hidden = False

    @property
    def hidden(self) -> bool:
        """Whether some points have no place on a logarithmic scale."""
        return self._picture.hidden

    @property
    def shaded(self) -> bool:
        """Whether there is a shading behind the lines."""
        return any(stroke.band for placed in self._picture.plots for stroke in placed.strokes)

    @property
    def stacks(self) -> bool:
        """Whether every metric has a chart of its own."""
        return all(len(placed.places) == 1 for placed in self._picture.plots)

    @property
    def one_scale(self) -> bool:
        """Whether curves over one another stand on one scale."""
        return names.alike(self.choice.pinned)

    @property
    def columns(self) -> int:
        """Columns of dots in the plots, 0 while there is none."""
        return 2 * self._picture.plots[0].plot.window.span if self._picture.plots else 0

    def picture(self, history: History, width: int, height: int, now: float) -> Picture:
        """The picture: drawn anew at once when the choice or the size has changed, and at most once a second when
        points have come."""
        key = (self.choice.version, width, height, history.version)
        old = self._key
        if key != old and (old is None or old[:3] != key[:3] or chart.due(self._drawn, now)):
            self._key, self._drawn = key, now
            self._hidden = False
            drawn = self._draw(history, width, height)
            self._picture = replace(drawn, hidden=self._hidden)
        return self._picture

    def lines(self, history: History, width: int, height: int, now: float) -> list[Line]:
        """The picture with the crosshair."""
        picture = self.picture(history, width, height, now)
        if self.choice.cursor is None:
            return picture.lines
        return self._with_cross(history, picture)

    def x_at(self, cell: int) -> float | None:
        """The place on the axis under a cell of the newest picture, None beside the plots."""
        return self._picture.x_at(cell)

    def place_at(self, row: int) -> int | None:
        """The pinned metric whose own plot covers a row of the newest picture."""
        return self._picture.place_at(row)

    # ---- drawing ----

    def _draw(self, history: History, width: int, height: int) -> Picture:
        known = [place for place, key in enumerate(self.choice.pinned) if _has_points(history.series(key))]
        if not known or width < plotting.SMALLEST[0] or height < plotting.SMALLEST[1] + 2:
            return Picture([])
        if len(known) > 1 and self.choice.stacked:
            rows = (height - 2) // len(known) - 1
            if rows >= _LOWEST:
                return self._stack(history, known, width, height)
        head = self.legend(history, known, width) if self._legend or len(known) > 1 else []
        if height - len(head) < 6:
            head = []
        plot, strokes = self._plot(history, known, width, height - len(head) - 2)
        return Picture([*head, *plot.lines], (Placed(len(head), plot, tuple(known), strokes),))

    def _stack(self, history: History, known: Sequence[int], width: int, height: int) -> Picture:
        """A chart each, the axis below the last; labels as wide as the widest, so that columns stand in line."""
        each, extra = divmod(height - 2 - len(known), len(known))
        heights = [each + (index < extra) for index in range(len(known))]
        margin = max(self._margin(history, place, rows) for place, rows in zip(known, heights, strict=True))
        lines: list[Line] = []
        placed: list[Placed] = []
        for place, rows in zip(known, heights, strict=True):
            lines.extend(self.legend(history, [place], width)[:1])
            plot, strokes = self._plot(history, [place], width, rows, margin=margin, x_labels=place == known[-1])
            placed.append(Placed(len(lines), plot, (place,), strokes))
            lines.extend(plot.lines)
        return Picture(lines, tuple(placed))

    def _margin(self, history: History, place: int, rows: int) -> int:
        return plotting.margin_of(self._scale(history, [place], rows)[1])

    def _plot(
        self,
        history: History,
        known: Sequence[int],
        width: int,
        rows: int,
        *,
        margin: int = 0,
        x_labels: bool = True,
    ) -> tuple[Plot, tuple[Stroke, ...]]:
        """Curves on one pair of axes: on one scale where their values are alike, otherwise each on its own, and the
        axis is that of the active one."""
        several = len(known) > 1
        keys = [self.choice.pinned[place] for place in known]
        groups = [list(known)] if names.alike(keys) else [[place] for place in known]
        scales = {place: self._scale(history, group, rows) for group in groups for place in group}
        owner = self.choice.active if self.choice.active in scales else known[0]
        axis = scales[owner][1]
        axis = Axis(axis.ticks, axis.label, self.choice.look(owner)[0] if len(groups) > 1 else "dim", margin)
        span = width - plotting.margin_of(axis) - 1 - (plotting.LETTER_CELLS if several else 0)
        window = Window(*self.choice.window(history), max(4, span))
        strokes: list[Stroke] = []
        for place in known:
            curve = self._curve(history, place, window)
            strokes.extend(self._strokes(curve, scales[place][0], several))
        label = chart.time_tick if self.choice.time else chart.step_tick
        drawn = plotting.plot(strokes, window, rows, axis, label, time=self.choice.time, x_labels=x_labels)
        return drawn, tuple(stroke for stroke in strokes if not stroke.under)

    def _strokes(self, curve: _Curve, scale: Scale, several: bool) -> list[Stroke]:
        hue, marker = self.choice.look(curve.place)
        filled = hue == "green" and not several and not curve.band and not scale.log and abs(scale.low) < 1e-12
        letter, pace = (marker, 24) if several else ("", 0)
        shade = f"{hue}-shade"
        raw = () if curve.band else curve.reaches
        found = []
        if self.choice.smoothing and not curve.band:
            found.append(Stroke(f"{hue}-soft", scale, curve.raw, reaches=raw, under=True))
            raw = ()
        area = "fill" if filled else ""
        found.append(Stroke(hue, scale, curve.values, curve.band, raw, letter, shade, area, pace))
        return found

    def _curve(self, history: History, place: int, window: Window) -> _Curve:
        series = history.series(self.choice.pinned[place])
        assert series is not None
        xs, count = self.choice.xs(series), 2 * window.span
        raw = chart.columns(xs, series.ys, window.start, window.end, count)
        values = raw
        if self.choice.smoothing:
            smooth = chart.smoothed(xs, series.ys, self.choice.reach(history))
            values = chart.columns(xs, smooth, window.start, window.end, count)
        reaches, band = self._spread_of(series, xs, window)
        return _Curve(place, values, raw, reaches, band)

    def _spread_of(self, series: Series, xs: Sequence[float], window: Window) -> tuple[Band, Band]:
        """Smallest and largest value by dot column and, where points are dense, by cell."""
        if not self._spread:
            return (), ()
        count = 2 * window.span
        found = chart.extremes(xs, series.lows, series.highs, window.start, window.end, count)
        inside = bisect_right(xs, window.end) - bisect_left(xs, window.start)
        if inside * series.stride < _DENSE * count:
            return found, ()
        cells_ = []
        for left, right in zip(found[0::2], found[1::2], strict=True):
            both = [pair for pair in (left, right) if pair is not None]
            cells_.append((min(low for low, _ in both), max(high for _, high in both)) if both else None)
        return found, cells_

    def _scale(self, history: History, places: Sequence[int], rows: int) -> tuple[Scale, Axis]:
        """One scale for what these metrics have in the window, with the ticks of its axis."""
        found = [self._range(history, self.choice.pinned[place]) for place in places]
        known = [ends for ends in found if ends is not None]
        key, log = self.choice.pinned[places[0]], self.choice.log
        low, high = (1.0, 10.0) if log else (0.0, 1.0)
        if known:
            low, high = min(low for low, _ in known), max(high for _, high in known)
            from_zero = 2 * low < high or (key.startswith("episode/") and self.choice.viewport.whole)
            if not log and low >= 0 and from_zero:
                low = 0.0
            elif log and low == high:
                low, high = low / 2, high * 2
        scale, ticks = chart.fitted(low, high, rows, log=log)
        label = chart.percent_tick if names.info(key).unit == "share" else chart.number_tick
        return scale, Axis(ticks, label)

    def _range(self, history: History, key: str) -> tuple[float, float] | None:
        """The smallest and the largest value that can be shown in the window and just beside it."""
        series = history.series(key)
        assert series is not None
        start, end = self.choice.window(history)
        xs = self.choice.xs(series)
        inside = slice(max(0, bisect_left(xs, start) - 1), bisect_right(xs, end) + 1)
        lows, highs = (series.lows, series.highs) if self._spread else (series.ys, series.ys)
        low, high = min(lows[inside], default=math.nan), max(highs[inside], default=math.nan)
        if self.choice.log and not low > 0:
            self._hidden = True
            low = min((value for value in lows[inside] if value > 0), default=math.nan)
            low = min((value for value in highs[inside] if value > 0), default=math.nan) if low != low else low
        return (low, high) if low <= high else None

    # ---- words ----

    def legend(self, history: History, places: Sequence[int], width: int) -> list[Line]:
        """Marker, name and value of each: the newest, or the one under the crosshair; the active one stands out."""
        lines: list[Line] = []
        row: list[Part] = []
        several = len(self.choice.pinned) > 1
        for place in places:
            hue, marker = self.choice.look(place)
            key = self.choice.pinned[place]
            active = several and place == self.choice.active
            name: Part = (shorten(key, max(8, width - 16)), "strong" if active else "dim")
            value = names.with_unit(key, self.value(history, key))
            item: tuple[Part, ...] = ((f"{marker} ", f"{hue}+"), name, (" " + value, "strong"))
            if active:
                item = (("►", f"{hue}+"), *item)
            gap = 3 if row else 0
            if row and cells(tuple(row)) + gap + cells(item) > width:
                lines.append(tuple(row))
                row, gap = [], 0
            row.extend((*(((" " * gap, ""),) if gap else ()), *item))
        return [*lines, tuple(row)]

    def value(self, history: History, key: str) -> float | None:
        """The value of a metric under the crosshair, the newest one where there is no crosshair."""
        series = history.series(key)
        if series is None:
            return None
        if self.choice.cursor is None:
            return series.last
        place = self.choice.point(history, key, self.choice.cursor)
        return None if place is None else series.ys[place]

    def place(self, history: History) -> str:
        """Where the crosshair stands: "4.21M steps, 1m 41s"; empty without one."""
        series = history.series(self.choice.key)
        if self.choice.cursor is None or series is None:
            return ""
        index = self.choice.point(history, self.choice.key, self.choice.cursor)
        if index is None:
            return ""
        return f"{fmt.count(series.xs[index])} steps, {fmt.duration(series.times[index])}"

    # ---- the crosshair ----

    def _with_cross(self, history: History, picture: Picture) -> list[Line]:
        cursor = self.choice.cursor
        lines = list(picture.lines)
        if cursor is None:
            return lines
        for placed in picture.plots:
            plot = placed.plot
            column = plot.window.column(cursor)
            cell = int(column) // 2
            if not 0 <= column <= 2 * plot.window.span - 1:
                continue
            for row in range(placed.top, placed.top + plot.rows):
                lines[row] = plotting.put(lines[row], plot.left + cell, "│", "text")
            for place, stroke in zip(placed.places, placed.strokes, strict=True):
                value = stroke.values[round(column)]
                row_ = None if value is None else stroke.scale.row(value)
                if row_ is not None:
                    marker = self.choice.look(place)[1]
                    lines[placed.top + row_] = plotting.put(
                        lines[placed.top + row_], plot.left + cell, marker, f"{stroke.hue}+"
                    )
            below = placed.top + plot.rows
            if below + 1 < len(lines) and placed is picture.plots[-1]:
                lines[below] = plotting.put(lines[below], plot.left + cell, "┴", "text")
                label = (chart.time_tick if self.choice.time else chart.step_tick)(cursor)
                text = f" {label} "
                room = plot.left + plot.window.span - len(text)
                start = min(max(0, plot.left + cell - len(text) // 2), max(0, room))
                lines[below + 1] = plotting.put(_without(lines[below + 1], start, len(text)), start, text, "text!")
        return lines


def _without(line: Line, start: int, length: int) -> Line:
    """A row of labels without those that touch some cells: half a label would be another one."""
    text = text_of([line])[0]
    for word in re.finditer(r"\S+", text):
        if word.start() < start + length and word.end() > start:
            text = text[: word.start()] + " " * len(word[0]) + text[word.end() :]
    return ((text, "dim"),)


def empty(width: int, height: int, keys: Sequence[str]) -> list[Line]:
    """Why there is no chart yet."""
    if width < plotting.SMALLEST[0] or height < plotting.SMALLEST[1] + 2:
        return [EMPTY]
    if all(key.startswith("episode/") for key in keys):
        return centered("no episode has ended yet", width, height)
    return centered(f"no value of {', '.join(keys)} yet", width, height)


def _has_points(series: Series | None) -> bool:
    return series is not None and len(series.xs) > 0
