"""What the comparison's screen is made of: a first line, the chart, the table, the keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from perx_tui import metrics as names
from perx_tui.compare import figures, overlay, wording
from perx_tui.tui.chart import number_tick, step_tick
from perx_tui.tui.lines import EMPTY, Line, Part, centered, shorten, spread, wrap
from perx_tui.tui.panel import Bar, Lines, Panel

if TYPE_CHECKING:
    from engine import Comparison

HUES = ("blue", "orange", "green", "purple", "yellow", "red")
_COLUMNS = (
    "area: mean height of the curve; at ...: its height where the shortest run ends; − A: less that of group A; "
    "a … b: the 95 % interval, of two groups whose intervals lie apart one is better."
)
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class Showing:
    """What is on the screen: a comparison, or why there is none, and how it is looked at."""

    comparison: Comparison | None
    metric: str
    x: wording.Axis
    problem: str = ""
    notice: str = ""
    differences_first: bool = False
    first_group: int = 0
    explaining: bool = False
    """Whether the metric and the columns are explained in place of the table."""


def looks(count: int) -> list[tuple[str, str]]:
    """(letter, hue) of each group; hues come again after the sixth, letters after the twenty-sixth."""
    return [(LETTERS[index % len(LETTERS)], HUES[index % len(HUES)]) for index in range(count)]


class Header(Lines):
    """What is compared, in one line."""

    showing: Showing

    def lines(self, width: int, height: int) -> list[Line]:
        """A badge, the headline and how to read the figures."""
        comparison = self.showing.comparison
        text = wording.headline(comparison) if comparison else self.showing.metric
        left: Line = ((" COMPARE ", "blue!"), ("  " + shorten(text, width - 12), "strong"))
        right: tuple[Part, ...] = ()
        if comparison and any(len(group.runs) > 1 for group in comparison.groups):
            right = (("interquartile means, 95 % bootstrap intervals ", "dim"),)
        return [spread(left, right, width)]


class Curves(Panel, can_focus=False):
    """The groups' curves over one another."""

    showing: Showing

    def heading(self) -> str:
        """The metric."""
        return f"{self.showing.metric} over {'steps' if self.showing.x == 'steps' else 'time'}"

    def caption(self) -> list[Line]:
        """How to read the chart."""
        comparison = self.showing.comparison
        if comparison and any(group.low is not None for group in comparison.groups):
            return [(("line: interquartile mean of the runs; shaded: its 95 % interval", "dim"),)]
        return [(("one run each, so that there is no interval", "dim"),)]

    def body(self, width: int, height: int) -> list[Line]:
        """The chart, or why there is none."""
        comparison = self.showing.comparison
        if comparison is None:
            return centered(self.showing.problem, width, height)
        unit, name = (1.0, "") if comparison.x == "steps" else _time_unit(max(g.xs[-1] for g in comparison.groups))
        curves = [
            overlay.Look(letter, hue, f"{hue}-shade", [x / unit for x in group.xs], group.values, group.low, group.high)
            for group, (letter, hue) in zip(comparison.groups, looks(len(comparison.groups)), strict=True)
        ]
        drawn = overlay.plot(
            curves,
            width,
            height,
            x_label=step_tick if comparison.x == "steps" else lambda value: f"{value:g} {name}",
            y_label=number_tick,
            include_zero=comparison.metric.startswith("episode/"),
            threshold=comparison.threshold,
        )
        return drawn or centered("no room for a chart", width, height)


class Table(Panel, can_focus=False):
    """The groups' figures; its letters and colours are the chart's legend."""

    title = "groups"
    showing: Showing

    def heading(self) -> str:
        """What the first columns are, or what is explained."""
        if self.showing.explaining:
            return f"what the figures mean · {self.showing.metric}"
        return "groups: differences from A" if self.showing.differences_first else "groups"

    def summary(self) -> list[Line]:
        """Which groups are shown, where not all are."""
        comparison, room = self.showing.comparison, self.size.height - 3
        if comparison is None or self.showing.explaining or len(comparison.groups) <= room:
            return []
        first = self._first(room)
        return [((f"↑↓ {first + 1} to {first + room} of {len(comparison.groups)}", "dim"),)]

    def caption(self) -> list[Line]:
        """The first of the notes, as far as it fits."""
        comparison = self.showing.comparison
        if comparison is None or not comparison.notes:
            return [(("area: mean height of the curve over the range that all runs have", "dim"),)]
        more = f"  (+{len(comparison.notes) - 1} more)" if len(comparison.notes) > 1 else ""
        room = self.size.width - 8 - len(more)
        return [((shorten(f"note: {comparison.notes[0]}", room) + more, "yellow"),)]

    def body(self, width: int, height: int) -> list[Line]:
        """Heading and groups; where they do not fit, from the first one wanted."""
        if self.showing.explaining:
            return _explained(self.showing.metric, width)
        comparison = self.showing.comparison
        if comparison is None:
            return []
        letters = looks(len(comparison.groups))
        head, lines = figures.table(comparison, letters, width, differences_first=self.showing.differences_first)
        room = height - 1
        if len(lines) <= room:
            return [head, *lines]
        first = self._first(room)
        return [head, *lines[first : first + room]]

    def _first(self, room: int) -> int:
        """The first group that is shown where there is room for `room`."""
        comparison = self.showing.comparison
        return min(self.showing.first_group, max(0, len(comparison.groups) - room)) if comparison else 0


class Footer(Bar):
    """The keys."""

    showing: Showing

    def lines(self, width: int, height: int) -> list[Line]:
        """As many as fit, or the answer to the last one."""
        if self.showing.notice:
            self.spans = ()
            return [((" " + shorten(self.showing.notice, width - 2), "yellow+"),)]
        parts: list[Part] = []
        spans: list[tuple[int, int, str]] = []
        left = width
        for key, label, action in (
            ("m", "next metric", "metric(1)"),
            ("x", "over time" if self.showing.x == "steps" else "over steps", "axis"),
            ("q", "quit", "quit"),
            ("i", "table" if self.showing.explaining else "explain", "explain"),
            ("d", "figures" if self.showing.differences_first else "differences", "differences"),
            ("r", "read again", "reload"),
            ("M", "previous metric", "metric(-1)"),
        ):
            gap = "   " if parts else " "
            size = len(gap) + len(key) + 1 + len(label)
            if size > left:
                break
            parts.extend(((gap + key, "blue+"), (" " + label, "dim")))
            spans.append((width - left + len(gap), width - left + size, action))
            left -= size
        self.spans = spans
        return [tuple(parts) or EMPTY]


def _explained(metric: str, width: int) -> list[Line]:
    """What a metric means and what is healthy, then the columns of the table."""
    info = names.info(metric)
    lines: list[Line] = [((row, ""),) for row in wrap(info.meaning, width)]
    if info.healthy:
        lines += [((row, "green"),) for row in wrap("✓ " + info.healthy, width)]
    return lines + [((row, "dim"),) for row in wrap(_COLUMNS, width)]


def _time_unit(seconds: float) -> tuple[float, str]:
    """Seconds per unit, and the unit's name, for an axis of so many seconds."""
    if seconds < 600:
        return 1.0, "s"
    return (60.0, "min") if seconds < 10_800 else (3600.0, "h")
