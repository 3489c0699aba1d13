"""How the figures of a comparison are spelled, the same in tables and on the screen."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeAlias

from perx_tui import format as spell

if TYPE_CHECKING:
    from engine import Comparison, Estimate, RunGroup

Axis: TypeAlias = Literal["steps", "time"]
Spell: TypeAlias = Callable[[float | None], str]


def spelling(metric: str) -> Spell:
    """How values of `metric` are spelled."""
    if metric == "sps" or metric.endswith("/count"):
        return spell.count
    return spell.score if metric.startswith("episode/") else spell.number


def interval(estimate: Estimate, value: Spell) -> str:
    """The ends of an interval, "401.2 … 420.1"; "-" for none, "never" for an end that is out of reach."""
    if estimate.low is None or estimate.high is None:
        return spell.UNKNOWN
    low, high = ("never" if math.isinf(end) else value(end) for end in (estimate.low, estimate.high))
    return f"{low} … {high}"


def signed(value: Spell) -> Spell:
    """`value` with a plus before numbers above zero."""

    def spelled(number: float | None) -> str:
        return f"+{value(number)}" if number is not None and number > 0 else value(number)

    return spelled


def place(x: Axis, value: float) -> str:
    """A place on the axis: "8.19M" steps, "3m 20s"."""
    return spell.count(value) if x == "steps" else spell.duration(value)


def reached(group: RunGroup) -> str:
    """How many of a group's runs reached the threshold."""
    return f"{group.threshold.reached} of {group.threshold.runs}" if group.threshold else spell.UNKNOWN


def named(group: RunGroup) -> str:
    """What a group is called on the screen: a single run also by the name under which people know it."""
    name = group.runs[0].name
    return group.label if len(group.runs) > 1 or name in group.label else f"{name}: {group.label}"


def headline(comparison: Comparison) -> str:
    """What is compared where, in one line."""
    runs = sum(len(group.runs) for group in comparison.groups)
    groups = len(comparison.groups)
    unit = " steps" if comparison.x == "steps" else " of training"
    return (
        f"{comparison.metric}, {place(comparison.x, comparison.start)} to {place(comparison.x, comparison.end)}{unit}: "
        f"{runs} run{'s' if runs != 1 else ''} in {groups} group{'s' if groups != 1 else ''}"
    )
