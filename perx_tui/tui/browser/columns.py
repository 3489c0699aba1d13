"""The columns of the list of runs: what they show, in which order of importance, and how one sorts by them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from engine import RunInfo
from perx_tui import format as fmt
from perx_tui.tui.lines import shorten
from perx_tui.tui.states import STATES

RUN_STATES: dict[str, tuple[str, str]] = {**STATES, "lost": ("? lost", "red"), "unreadable": ("! unreadable", "purple")}
"""Every state that a listing tells, as a symbol with a word and its hue."""

STATE_CELLS = max(len(text) for text, _ in RUN_STATES.values())
NAME_CELLS, LEAST_NAME = 22, 14
"""Cells that the name of a run has before less important columns are shown, and at least."""


def state_text(run: RunInfo) -> tuple[str, str]:
    """Symbol and word of a run's state, and the hue."""
    text, hue = RUN_STATES.get(run.state, (f"? {run.state}", "yellow"))
    return shorten(text, STATE_CELLS), hue


def share_done(run: RunInfo) -> float | None:
    """The part of its steps that a run has done."""
    return run.step / run.total_steps if run.step is not None and run.total_steps else None


def ago(seconds: float | None) -> str:
    """How long ago something was, in its largest unit, at most 7 characters below 1000 days: 3725 -> "1h ago"."""
    if seconds is None:
        return fmt.UNKNOWN
    whole = max(0, int(seconds))
    if whole < 10:
        return "now"
    size, unit = next(each for each in ((86_400, "d"), (3600, "h"), (60, "m"), (1, "s")) if whole >= each[0])
    return f"{whole // size}{unit} ago"


class Column(NamedTuple):
    """One column. `spell` takes a run and the time now; `sort` answers None for what is not known, which comes last."""

    heading: str
    width: int
    spell: Callable[[RunInfo, float], str]
    sort: Callable[[RunInfo], Any]
    importance: int
    """The higher, the sooner it gives way where the terminal is narrow."""
    left: bool = False
    upward: bool = False
    """Small values, or the beginning of the alphabet, come first unless reversed."""


def _steps(run: RunInfo, _now: float) -> str:
    share = share_done(run)
    percent = fmt.UNKNOWN if share is None else f"{int(share * 100)}%"
    return f"{fmt.count(run.step)}/{fmt.count(run.total_steps)} {percent:>4}"


def _state_order(run: RunInfo) -> str:
    return f"{not run.live:d} {run.state}"


COLUMNS: tuple[Column, ...] = (
    Column("state", STATE_CELLS, lambda run, now: state_text(run)[0], _state_order, 0, left=True, upward=True),
    Column("run", NAME_CELLS, lambda run, now: run.name, lambda run: run.name.lower(), 0, left=True, upward=True),
    Column("steps of total", 16, _steps, share_done, 1),
    Column("score", 7, lambda run, now: fmt.score(run.score), lambda run: run.score, 2),
    Column("steps/s", 8, lambda run, now: fmt.count(run.sps), lambda run: run.sps, 5),
    Column("on disk", 8, lambda run, now: fmt.bytes_(run.bytes), lambda run: run.bytes, 4),
    Column(
        "profile", 12, lambda run, now: shorten(run.profile, 12) or fmt.UNKNOWN,
        lambda run: run.profile.lower() or None, 6, left=True, upward=True,
    ),
    Column(
        "seed", 6, lambda run, now: shorten(fmt.UNKNOWN if run.seed is None else str(run.seed), 6),
        lambda run: run.seed, 7, upward=True,
    ),
    Column(
        "started", 8, lambda run, now: ago(None if run.started is None else now - run.started),
        lambda run: run.started, 3,
    ),
)  # fmt: skip
STARTED = len(COLUMNS) - 1
NAME = 1
GAP = 2


def fitting(width: int, chosen: int) -> list[tuple[Column, int]]:
    """The columns for `width` cells and their widths: the most important ones and the one at index `chosen`. What is
    left over belongs to the name."""
    shown = [column for index, column in enumerate(COLUMNS) if column.importance == 0 or index == chosen]
    for column in sorted(COLUMNS, key=lambda column: column.importance):
        if column not in shown and _span([*shown, column]) <= width:
            shown.append(column)
    name = max(LEAST_NAME, NAME_CELLS + width - _span(shown))
    return [(column, name if column is COLUMNS[NAME] else column.width) for column in COLUMNS if column in shown]


def _span(columns: Sequence[Column]) -> int:
    return sum(column.width for column in columns) + GAP * (len(columns) - 1)


def ordered(runs: Sequence[RunInfo], chosen: int, *, reverse: bool) -> list[RunInfo]:
    """`runs` by the column at index `chosen`, from its natural end or the other; what is not known comes last."""
    column = COLUMNS[chosen]
    known = [(value, run) for run in runs if (value := column.sort(run)) is not None]
    known.sort(key=lambda pair: pair[0], reverse=column.upward == reverse)
    return [run for _, run in known] + [run for run in runs if column.sort(run) is None]


def matches(run: RunInfo, words: Sequence[str]) -> bool:
    """Whether every one of the `words`, in lower case, is found in what the list tells of a run."""
    seed = "" if run.seed is None else str(run.seed)
    text = " ".join((run.name, run.state, run.profile, run.device, run.host, f"seed={seed}")).lower()
    return all(word in text for word in words)
