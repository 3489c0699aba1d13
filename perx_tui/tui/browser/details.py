"""What a run's own files tell beyond its line of the list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine import EngineError, RunFolder
from perx_tui import format as fmt
from perx_tui.output import visible

_SAMPLES = 240
_EVENTS = 40
_LONGEST_ERROR = 600


@dataclass(frozen=True, slots=True)
class Details:
    """A run from near. `xs` are steps and `ys` the score of an iteration there, from all over the run."""

    path: Path
    checkpoints: tuple[str, ...] = ()
    """Oldest first."""
    events: tuple[tuple[float | None, str], ...] = ()
    """(seconds since the epoch, what happened), oldest first."""
    error: str = ""
    xs: tuple[float, ...] = ()
    ys: tuple[float, ...] = ()


def read_details(path: Path) -> Details:
    """Read them; what cannot be read is left empty. Takes about as long for a long run as for a short one."""
    try:
        folder = RunFolder.read(path)
    except EngineError:
        return Details(path)
    samples = [(_number(row.get("step")), _number(row.get("episode/score"))) for row in folder.sample_metrics(_SAMPLES)]
    points = sorted({x: y for x, y in samples if x is not None and y is not None}.items())
    error = folder.record.get("error")
    return Details(
        path,
        checkpoints=tuple(checkpoint.name for checkpoint in folder.checkpoints.paths()),
        events=tuple((_number(event.get("time")), event_text(event)) for event in folder.read_events(_EVENTS)),
        error=error[:_LONGEST_ERROR] if isinstance(error, str) else "",
        xs=tuple(x for x, _ in points),
        ys=tuple(y for _, y in points),
    )


def event_text(event: Mapping[str, Any]) -> str:
    """An event of events.jsonl in a few words; whatever it holds can be shown."""
    words = [str(event.get("kind", "?"))]
    if "key" in event:
        words.append(f"{event['key']}: {event.get('old')} -> {event.get('new')}")
    elif "checkpoint" in event:
        words.append(str(event["checkpoint"]))
    elif isinstance(event.get("text"), str):
        words = [event["text"]]
    step = _number(event.get("step"))
    if step is not None and not {"checkpoint", "text"} & event.keys():
        words.append(f"at {fmt.count(step)}")
    return visible(" ".join(words))[:200]


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e300:
        return None
    return float(value)
