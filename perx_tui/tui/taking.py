"""Taking along what is on the screen: pictures and charts as files of the run, text to the clipboard."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path

from engine import METRIC_CATALOGUE, Snapshot
from perx_tui import format as fmt
from perx_tui import metrics as names
from perx_tui.report.figure import Axes, Figure, Trace, to_csv
from perx_tui.tui import chart
from perx_tui.tui.chart_choice import Choice
from perx_tui.tui.history import History

SCREENSHOTS, CHARTS = "screenshots", "charts"
"""Folders within a run's folder."""

_MOST_BYTES = 74_000
"""Text that terminals take in one sequence; longer texts are cut, and none of ours is near it."""
_SCREEN_PIECE = 512
"""GNU screen passes sequences on in pieces of less than 768 bytes."""
_TMUX_SECONDS = 2.0


# ---- the clipboard ----


def clipboard_sequence(text: str, environ: Mapping[str, str] = os.environ) -> str:
    """What to write to a terminal so that it takes `text` to its clipboard (OSC 52): it is the terminal in front of the
    person that does it, also over SSH. GNU screen needs it wrapped; tmux and terminals take it as it is."""
    data = base64.b64encode(text.encode("utf-8")[:_MOST_BYTES]).decode("ascii")
    sequence = f"\x1b]52;c;{data}\a"
    if not environ.get("STY"):
        return sequence
    pieces = [sequence[start : start + _SCREEN_PIECE] for start in range(0, len(sequence), _SCREEN_PIECE)]
    return "".join(f"\x1bP{piece}\x1b\\" for piece in pieces)


def copy_by_tmux(text: str, environ: Mapping[str, str] = os.environ) -> None:
    """Hand `text` to tmux where this terminal is one of its panes: unless it is told otherwise, tmux keeps the sequence
    of programs from the terminal and passes on only what its own command loads. Nobody waits for it."""
    if environ.get("TMUX"):
        threading.Thread(target=_load_buffer, args=(text,), name="tmux clipboard", daemon=True).start()


def _load_buffer(text: str) -> None:
    try:
        subprocess.run(
            ["tmux", "load-buffer", "-w", "-"],
            input=text.encode("utf-8"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_TMUX_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return  # the sequence has been written too: there is nothing better to do


def summary(snapshot: Snapshot) -> str:
    """The run in text, for a message or a note: who it is, how far it is, and every metric of the last iteration."""
    rows = [
        ("run", snapshot.run or snapshot.profile),
        ("state", snapshot.state),
        ("profile", snapshot.profile),
        ("device", snapshot.device),
        ("policy", f"{snapshot.policy}, {fmt.exact(snapshot.parameters)} parameters" if snapshot.policy else ""),
        ("step", f"{fmt.exact(snapshot.step)} of {fmt.exact(snapshot.total_steps)}"),
        ("time", fmt.duration(snapshot.elapsed)),
        ("speed", fmt.rate(snapshot.steps_per_second)),
        ("checkpoint", snapshot.checkpoint or ""),
        ("folder", snapshot.folder),
        ("error", snapshot.error or ""),
    ]
    order = {key: place for place, key in enumerate(METRIC_CATALOGUE)}
    known = sorted(snapshot.metrics, key=lambda key: (order.get(key, len(order)), key))
    rows += [(key, names.with_unit(key, snapshot.metrics[key])) for key in known if key not in ("step", "time")]
    return "".join(f"{name.ljust(26)}{value}\n" for name, value in rows if value)


# ---- files ----


def save_screen(svg: str, snapshot: Snapshot) -> Path:
    """Write a picture of the screen to the run's folder. OSError when the disk refuses."""
    path = _free(_folder(snapshot, SCREENSHOTS) / f"screen-step-{snapshot.step:012d}.svg")
    path.write_text(svg, "utf-8")
    return path


def save_chart(figure: Figure, snapshot: Snapshot) -> list[Path]:
    """Write a chart to the run's folder as CSV and SVG and, where matplotlib is installed, as PNG: that one by a
    thread, because matplotlib takes a second to begin. OSError when the disk refuses."""
    from perx_tui.report.picture import missing
    from perx_tui.report.svg import to_svg

    first = _free(_folder(snapshot, CHARTS) / f"{_stem(figure)}-step-{snapshot.step:012d}.svg")
    paths = [first.with_suffix(".csv"), first]
    paths[0].write_text(to_csv(figure), "utf-8")
    paths[1].write_text(to_svg(figure), "utf-8")
    if not missing():
        paths.append(first.with_suffix(".png"))
        threading.Thread(target=_write_png, args=(figure, paths[2]), name="chart as PNG", daemon=True).start()
    return paths


def _write_png(figure: Figure, path: Path) -> None:
    from perx_tui.report.picture import to_picture

    path.write_bytes(to_picture(figure, "png"))


def chart_figure(history: History, choice: Choice, run: str) -> Figure:
    """What the charts show now, as a figure: one chart each where they are stacked, otherwise all in one."""
    traces: list[tuple[str, Trace]] = []
    for key in choice.pinned:
        series = history.series(key)
        if series is None or not len(series.xs):
            continue
        xs = list(choice.xs(series))
        raw = list(series.ys)
        ys = chart.smoothed(xs, raw, choice.reach(history))
        traces.append((key, Trace(key, xs, ys, raw if choice.smoothing else (), list(series.lows), list(series.highs))))
    keys = [key for key, _ in traces]
    if len(traces) > 1 and not choice.stacked and names.alike(keys):
        axes = [Axes(", ".join(keys), [trace for _, trace in traces], names.info(keys[0]).unit == "share")]
    else:
        axes = [Axes(key, [trace], names.info(key).unit == "share") for key, trace in traces]
    window = None if choice.viewport.whole else choice.window(history)
    return Figure(run, axes, "time" if choice.time else "step", choice.log, window)


def _stem(figure: Figure) -> str:
    name = figure.axes[0].traces[0].name.replace("/", "-")
    kept = "".join(character if character.isalnum() or character in "-_." else "-" for character in name)[:60]
    more = sum(len(axes.traces) for axes in figure.axes) - 1
    return kept + (f"-and-{more}" if more else "")


def _folder(snapshot: Snapshot, name: str) -> Path:
    folder = Path(snapshot.folder) / name
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _free(path: Path) -> Path:
    """`path`, numbered where there is such a file already."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return free
