"""A figure as PNG or PDF through matplotlib, which is an optional extra."""

from __future__ import annotations

import importlib.util
import io
from typing import Any, Literal

from perx_tui.report.figure import Figure
from perx_tui.report.svg import COLOURS, DASHES
from perx_tui.tui import chart

INSTALL = "pip install 'perx-tui[plot]'"


def missing() -> bool:
    """Whether the package for PNG and PDF is not installed. Does not import it."""
    return importlib.util.find_spec("matplotlib") is None


def to_picture(figure: Figure, format: Literal["png", "pdf"]) -> bytes:
    """The figure through matplotlib, which must be installed; nothing of its global state is touched."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Paper

    count = len(figure.axes)
    paper: Any = Paper(figsize=(9.0, 0.9 + 3.0 * count), dpi=150, layout="constrained")
    FigureCanvasAgg(paper)
    start, end = figure.range()
    all_axes = paper.subplots(count, 1, sharex=True, squeeze=False)[:, 0]
    for drawn, axes in zip(all_axes, figure.axes, strict=True):
        for index, trace in enumerate(axes.traces):
            colour = COLOURS[index % len(COLOURS)]
            if len(trace.low):
                drawn.fill_between(trace.xs, trace.low, trace.high, color=colour, alpha=0.16, linewidth=0)
            if len(trace.raw):
                drawn.plot(trace.xs, trace.raw, color=colour, alpha=0.25, linewidth=0.8)
            dash = [float(each) / 1.8 for each in DASHES[index % len(DASHES)].split()]
            style: Any = (0, dash) if dash else "-"
            drawn.plot(trace.xs, trace.ys, color=colour, linewidth=1.5, linestyle=style, label=trace.name)
        if figure.log:
            drawn.set_yscale("log")
        elif axes.share:
            drawn.yaxis.set_major_formatter(lambda value, _: chart.percent_tick(round(value, 12)))
        drawn.set_title(axes.label, loc="left", fontsize=10, color="#5c6675")
        drawn.grid(color="#e3e6e9")
        drawn.spines[["top", "right"]].set_visible(False)
        if len(axes.traces) > 1 or axes.traces[0].name != axes.label:
            drawn.legend(frameon=False, fontsize=9)
    bottom = all_axes[-1]
    bottom.set_xlim(start, end)
    bottom.set_xticks(chart.x_ticks(start, end, 90, time=figure.x == "time"))
    bottom.xaxis.set_major_formatter(
        lambda value, _: (chart.time_tick if figure.x == "time" else chart.step_tick)(value)
    )
    bottom.set_xlabel("environment steps" if figure.x == "step" else "training time")
    paper.suptitle(figure.title, x=0.01, ha="left", fontsize=12, fontweight="bold")
    data = io.BytesIO()
    # No time of making: the same figure gives the same file.
    paper.savefig(data, format=format, metadata={"CreationDate": None} if format == "pdf" else {"Software": None})
    return data.getvalue()
