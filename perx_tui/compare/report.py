"""A comparison as tables on standard output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perx_tui import format as spell
from perx_tui.compare import wording
from perx_tui.output import say, visible
from perx_tui.tables import print_table

if TYPE_CHECKING:
    from engine import Comparison

SPARE = ("steps/s", "time to it")
"""What a narrow terminal goes without first, where it is there at all."""


def print_comparison(comparison: Comparison) -> None:
    """The groups, their differences from the first, and what should be known about them (on standard error)."""
    print(f"{visible(wording.headline(comparison))}\n")
    _print_groups(comparison)
    if len(comparison.groups) > 1:
        print()
        _print_differences(comparison)
    several = any(len(group.runs) > 1 for group in comparison.groups)
    print("\narea is the mean height of the curve over that range", end="")
    print("; figures are interquartile means over runs with 95 % bootstrap intervals" if several else "")
    for note in comparison.notes:
        say(f"note: {note}")


def _print_groups(comparison: Comparison) -> None:
    value = wording.spelling(comparison.metric)
    end = f"at {wording.place(comparison.x, comparison.end)}"
    columns = ["group", "runs", "area", "95 %", end, "95 %", "steps/s"]
    if comparison.threshold is not None:
        columns += [f"reach {value(comparison.threshold)}", "steps to it", "95 %", "time to it"]
    rows = []
    for group in comparison.groups:
        row = [
            group.label,
            str(len(group.runs)),
            value(group.auc.value),
            wording.interval(group.auc, value),
            value(group.final.value),
            wording.interval(group.final, value),
            spell.count(group.sps.value),
        ]
        if group.threshold is not None:
            row += [
                wording.reached(group),
                spell.count(group.threshold.steps.value),
                wording.interval(group.threshold.steps, spell.count),
                spell.duration(group.threshold.seconds.value),
            ]
        rows.append(row)
    print_table(columns, rows, right=[column for column in columns if column != "group"], spare=SPARE)


def _print_differences(comparison: Comparison) -> None:
    first, *others = comparison.groups
    value = wording.signed(wording.spelling(comparison.metric))
    rate = wording.signed(spell.count)
    columns = [f"minus {first.label}", "area", "95 %", f"at {wording.place(comparison.x, comparison.end)}", "95 %"]
    columns += ["steps/s", "95 %"]
    rows = []
    for group in others:
        difference = comparison.difference(group.label, first.label)
        if difference is None:
            continue
        row = [group.label]
        for estimate, spelled in ((difference.auc, value), (difference.final, value), (difference.sps, rate)):
            row += [spelled(estimate.value), wording.interval(estimate, spelled)]
        rows.append(row)
    print_table(columns, rows, right=columns[1:])
