"""A run from near, in lines: facts, the curve of its score, what happened last."""

from __future__ import annotations

import time
from functools import lru_cache

from engine import RunInfo
from perx_tui import format as fmt
from perx_tui.tui import chart, plotting
from perx_tui.tui.browser.columns import ago, share_done
from perx_tui.tui.browser.details import Details
from perx_tui.tui.lines import EMPTY, Line, beside, clean, shorten, wrap

_LABEL = 12
_FACTS = 40
"""Cells of the facts where the curve stands beside them."""
_TALL = 24
"""Rows from which facts, curve and events stand under one another."""
_ERROR_ROWS = 3


def describe(run: RunInfo, details: Details | None, now: float, width: int, height: int) -> list[Line]:
    """`height` lines at most. `details` are None until they have been read."""
    details = details or Details(run.path)
    error = _error(details.error, width)
    room = height - len(error)
    facts = _facts(run, details, now)
    if height >= _TALL:
        happened = min(len(details.events), max(3, room - len(facts) - 16)) + 2
        curve = _curve(details, width, room - len(facts) - happened - 1)
        return [
            *error,
            *(_fact(*fact, width) for fact in facts),
            EMPTY,
            *curve,
            EMPTY,
            *_events(details, width, happened),
        ]
    happened = min(len(details.events), 2 if height <= 10 else 4)
    upper = max(1, room - happened)
    left = min(_FACTS, width)
    blocks: list[tuple[list[Line], int]] = [([_fact(*fact, left) for fact in facts[:upper]], left)]
    chart = width - left - 2
    if chart >= 24:
        blocks.append((_curve(details, chart, upper), chart))
    return [*error, *beside(blocks, upper), *_events(details, width, happened)][:height]


def _facts(run: RunInfo, details: Details, now: float) -> list[tuple[str, str]]:
    """Labels and values, the most useful first."""
    share = share_done(run)
    steps = f"{fmt.count(run.step)} of {fmt.count(run.total_steps)} ({fmt.percent(share)})"
    count = len(details.checkpoints)
    checkpoints = f"{count}, newest {details.checkpoints[-1]}" if count else "none"
    process = f", process {run.pid}" if run.live and run.pid is not None else ""
    seed = fmt.UNKNOWN if run.seed is None else str(run.seed)
    return [
        ("steps", steps),
        ("score", f"{fmt.score(run.score)}   at {fmt.rate(run.sps)}"),
        ("checkpoints", checkpoints),
        ("device", f"{run.device or fmt.UNKNOWN} on {run.host or fmt.UNKNOWN}{process}"),
        ("started", f"{_moment(run.started)}, {ago(_age(run.started, now))}"),
        ("written", f"{ago(_age(run.updated, now))}, {fmt.bytes_(run.bytes)} on disk"),
        ("profile", f"{run.profile or fmt.UNKNOWN}, seed {seed}"),
    ]


def _fact(label: str, value: str, width: int) -> Line:
    return ((label.ljust(_LABEL), "dim"), (shorten(clean(value), width - _LABEL), ""))


def _error(text: str, width: int) -> list[Line]:
    """Why a run has failed."""
    rows = wrap(clean(" ".join(text.split())), width - 2)[:_ERROR_ROWS] if text.strip() else []
    return [((("✗ " if index == 0 else "  ") + row, "red"),) for index, row in enumerate(rows)]


@lru_cache(maxsize=4)
def _curve(details: Details, width: int, height: int) -> list[Line]:
    """The score over steps, empty where there is too little of it or of room."""
    rows = height - 2
    if len(details.xs) < 2 or details.xs[-1] <= 0 or rows < plotting.SMALLEST[1]:
        return []
    scale, ticks = chart.fitted(min(0.0, *details.ys), max(0.0, *details.ys), rows)
    axis = plotting.Axis(ticks, _tick)
    span = width - plotting.margin_of(axis) - 1
    if span < plotting.SMALLEST[0]:
        return []
    window = chart.Window(0.0, chart.roomy(details.xs[-1]), span)
    values = chart.columns(details.xs, details.ys, window.start, window.end, 2 * span)
    stroke = plotting.Stroke("green", scale, values)
    return plotting.plot([stroke], window, rows, axis, chart.step_tick).lines


def _tick(value: float) -> str:
    """A round number as it is; one that few rows left odd, shortened."""
    text = chart.number_tick(value)
    return text if len(text) <= 5 else fmt.score(value)


def _events(details: Details, width: int, height: int) -> list[Line]:
    """The last events, the newest below."""
    rows: list[Line] = []
    for moment, text in details.events[-height:] if height > 0 else ():
        clock = _moment(moment)[5:] if moment is not None else "-"
        rows.append(((clock.ljust(_LABEL) + " ", "dim"), (shorten(clean(text), width - _LABEL - 1), "")))
    return rows


def _age(seconds: float | None, now: float) -> float | None:
    return None if seconds is None else now - seconds


def _moment(seconds: float | None) -> str:
    try:
        return fmt.UNKNOWN if seconds is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
    except (OverflowError, ValueError, OSError):
        return fmt.UNKNOWN
