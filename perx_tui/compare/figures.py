"""The table under the chart: columns that fit the width, the most telling first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from perx_tui import format as spell
from perx_tui.compare import wording
from perx_tui.tui.lines import Line, Part, shorten

if TYPE_CHECKING:
    from engine import Comparison, Estimate, RunGroup

_GAP = 3
_LABEL = 20
"""Cells that a label keeps before a column is left out for it."""

Cell = tuple[str, str]
"""A number and its interval, both perhaps empty."""


@dataclass(frozen=True, slots=True)
class Column:
    """A heading and a cell for every group."""

    heading: str
    cells: Sequence[Cell]

    @property
    def widths(self) -> tuple[int, int]:
        """Of the number and of the interval behind it."""
        number = max(len(number) for number, _ in self.cells)
        interval = max(len(interval) for _, interval in self.cells)
        missing = len(self.heading) - number - (interval + 1 if interval else 0)
        return number + max(0, missing), interval


def table(
    comparison: Comparison, letters: Sequence[tuple[str, str]], width: int, *, differences_first: bool
) -> tuple[Line, list[Line]]:
    """The heading and a line for each group, in `width` cells; `letters` are (letter, hue) by group."""
    columns = _columns(comparison, differences_first)
    names = [wording.named(group) for group in comparison.groups]
    longest = max(map(len, names))
    kept: list[Column] = []
    room = width - 2 - min(longest, _LABEL)
    for column in columns:
        number, interval = column.widths
        size = _GAP + number + (interval + 1 if interval else 0)
        if size > room:
            break
        room -= size
        kept.append(column)
    label = min(longest, min(longest, _LABEL) + room)
    head: list[Part] = [("  " + shorten("group", label).ljust(label), "dim")]
    for column in kept:
        number, interval = column.widths
        size = number + (interval + 1 if interval else 0)
        head.append((" " * _GAP + column.heading.rjust(number).ljust(size), "dim"))
    lines: list[Line] = []
    for index, (name, (letter, hue)) in enumerate(zip(names, letters, strict=True)):
        parts: list[Part] = [(letter, f"{hue}+"), (" " + shorten(name, label).ljust(label), "text")]
        for column in kept:
            number, interval = column.widths
            value, ends = column.cells[index]
            parts.append((" " * _GAP + value.rjust(number), "dim" if value == spell.UNKNOWN else "strong"))
            if interval:
                parts.append((" " + ends.ljust(interval), "dim"))
        lines.append(tuple(parts))
    return tuple(head), lines


def _columns(comparison: Comparison, differences_first: bool) -> list[Column]:
    """All there is to tell, the most telling first."""
    groups = comparison.groups
    value = wording.spelling(comparison.metric)
    end = wording.place(comparison.x, comparison.end)
    runs = Column("runs", [(str(len(group.runs)), "") for group in groups])
    figures = [
        Column("area", [_cell(group.auc, value) for group in groups]),
        Column(f"at {end}", [_cell(group.final, value) for group in groups]),
        Column("steps/s", [(spell.count(group.sps.value), "") for group in groups]),
    ]
    if comparison.threshold is not None:
        figures[1:1] = [
            Column(f"≥ {value(comparison.threshold)}", [(wording.reached(group), "") for group in groups]),
            Column("after steps", [_threshold(group, "steps", spell.count) for group in groups]),
            Column("time", [_threshold(group, "seconds", spell.duration) for group in groups]),
        ]
    differences = _differences(comparison, value, end) if len(groups) > 1 else []
    return [*differences, runs, *figures] if differences_first else [runs, *figures, *differences]


def _differences(comparison: Comparison, value: wording.Spell, end: str) -> list[Column]:
    first = comparison.groups[0].label

    def column(heading: str, of: str, spelled: wording.Spell) -> Column:
        cells: list[Cell] = []
        for group in comparison.groups:
            difference = comparison.difference(group.label, first)
            cells.append(("", "") if difference is None else _cell(getattr(difference, of), wording.signed(spelled)))
        return Column(heading, cells)

    return [
        column("area − A", "auc", value),
        column(f"at {end} − A", "final", value),
        column("steps/s − A", "sps", spell.count),
    ]


def _cell(estimate: Estimate, value: Callable[[float | None], str]) -> Cell:
    known = estimate.low is not None
    return value(estimate.value), wording.interval(estimate, value) if known else ""


def _threshold(group: RunGroup, of: str, value: wording.Spell) -> Cell:
    return (spell.UNKNOWN, "") if group.threshold is None else (value(getattr(group.threshold, of).value), "")
