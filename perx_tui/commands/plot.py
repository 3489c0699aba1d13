"""`perx-tui plot RUN [RUN ...]`: curves of runs as a picture or a table, for reports."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from perx_tui.commands import arguments as types
from perx_tui.errors import UsageError
from perx_tui.output import FINISHED, say

if TYPE_CHECKING:
    from engine import RunMetrics
    from perx_tui.report.figure import Axes, Figure, Trace

FORMATS = (".csv", ".svg", ".png", ".pdf")
_SMOOTH = 0.03


def configure(parser: argparse.ArgumentParser) -> None:
    types.add_named_runs(parser)
    parser.add_argument(
        "--metric",
        nargs="+",
        action="extend",
        metavar="KEY",
        help="keys of metrics.jsonl, a chart each (default: episode/score)",
    )
    parser.add_argument(
        "--x", choices=("step", "time"), default="step", help="over environment steps, or over training time"
    )
    parser.add_argument(
        "--smooth",
        nargs="?",
        type=_share,
        const=_SMOOTH,
        default=0.0,
        metavar="SHARE",
        help=f"smooth over about this share of the run, above 0 and at most 0.5 (without a number: {_SMOOTH:g})",
    )
    parser.add_argument("--log", action="store_true", help="logarithmic y axis")
    parser.add_argument(
        "--group",
        action="store_true",
        help="one curve for the seeds of an experiment: their interquartile mean with its 95 %% interval",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="FILE.svg, .csv, .png or .pdf (default: the metric's name as .svg here)",
    )


def run(arguments: argparse.Namespace) -> int:
    metrics = list(dict.fromkeys(arguments.metric or ["episode/score"]))
    out: Path = arguments.out or Path(metrics[0].replace("/", "-") + ".svg")
    _check(out)
    from engine import read_run
    from perx_tui.compare.choosing import choose_runs

    runs = [read_run(path) for path in choose_runs(arguments.runs, arguments.run)]
    _require(metrics, runs)
    axes = [_grouped(runs, metric, arguments.x) for metric in metrics] if arguments.group else []
    axes = axes or [_axes(runs, metric, arguments.x, arguments.smooth) for metric in metrics]
    figure = _figure(runs, axes, arguments.x, arguments.log)
    data = _drawn(figure, out.suffix.lower())
    try:
        out.write_bytes(data)
    except OSError as error:
        raise UsageError(f"cannot write '{out}': {error.strerror or error}; choose another --out") from None
    print(out)
    return FINISHED


def _share(text: str) -> float:
    value = types.number(text)
    if not 0 < value <= 0.5:
        raise argparse.ArgumentTypeError(f"'{text}' is not a share above 0 and at most 0.5, such as {_SMOOTH:g}")
    return value


def _check(out: Path) -> None:
    """Everything that can be wrong with the file before runs are read."""
    suffix = out.suffix.lower()
    if suffix not in FORMATS:
        raise UsageError(f"--out '{out}' must end in {', '.join(FORMATS[:-1])} or {FORMATS[-1]}")
    if out.is_dir():
        raise UsageError(f"--out '{out}' is a folder; name a file in it")
    if not out.parent.is_dir():
        raise UsageError(f"--out '{out}': there is no folder '{out.parent}'")
    if suffix in (".png", ".pdf"):
        from perx_tui.report.picture import INSTALL, missing

        if missing():
            raise UsageError(f"a {suffix} file needs matplotlib: {INSTALL}  (.svg and .csv need nothing more)")


def _require(metrics: Sequence[str], runs: Sequence[RunMetrics]) -> None:
    """UsageError for a metric that no run has; a remark for every run that lacks one."""
    from perx_tui.cli import suggestion

    for metric in metrics:
        without = [run.name for run in runs if metric not in run.metrics]
        if len(without) == len(runs):
            known = sorted(set().union(*(run.metrics for run in runs)))
            if metric in ("episode/score", "episode/return", "episode/length"):
                raise UsageError(f"no episode has ended in these runs, so that there is no '{metric}' yet")
            raise UsageError(
                f"these runs have no metric '{metric}'{suggestion(metric, known)} (there are: {', '.join(known)})"
            )
        for name in without:
            say(f"note: {name} has no {metric}")


def _axes(runs: Sequence[RunMetrics], metric: str, x: str, smooth: float) -> Axes:
    """A curve a run."""
    from perx_tui import metrics as names
    from perx_tui.report.figure import Axes, Trace
    from perx_tui.tui import chart

    traces = []
    end = max(float((run.steps if x == "step" else run.seconds)[-1]) for run in runs)
    for run in runs:
        if metric not in run.metrics:
            continue
        places = run.steps if x == "step" else run.seconds
        points = [
            (float(a), float(b)) for a, b in zip(places, run.columns[metric], strict=True) if b == b and abs(b) < 1e300
        ]
        xs, raw = [a for a, _ in points], [b for _, b in points]
        ys = chart.smoothed(xs, raw, smooth * end)
        traces.append(Trace(run.name, xs, ys, raw if smooth else ()))
    return Axes(_label(metric), traces, names.info(metric).unit == "share")


def _grouped(runs: Sequence[RunMetrics], metric: str, x: str) -> Axes:
    """A curve an experiment, as `perx-tui compare` has it."""
    from engine import compare_runs, group_runs
    from perx_tui import metrics as names
    from perx_tui.report.figure import Axes, Trace

    groups = group_runs([run for run in runs if metric in run.metrics])
    comparison = compare_runs(groups, metric, "steps" if x == "step" else "time", None)
    traces: list[Trace] = []
    for group in comparison.groups:
        low, high = (group.low or (), group.high or ()) if group.low is not None else ((), ())
        label = f"{group.label} ({len(group.runs)})" if len(group.runs) > 1 else group.label
        traces.append(Trace(label, list(group.xs), list(group.values), (), list(low), list(high)))
    return Axes(_label(metric), traces, names.info(metric).unit == "share")


def _label(metric: str) -> str:
    from perx_tui import metrics as names

    unit = names.info(metric).unit
    return f"{metric} ({unit})" if unit and unit not in metric and unit != "share" else metric


def _figure(runs: Sequence[RunMetrics], axes: Sequence[Axes], x: str, log: bool) -> Figure:
    from perx_tui.report.figure import Figure

    names = [run.name for run in runs]
    title = names[0] if len(names) == 1 else f"{len(names)} runs: {', '.join(names)}"
    if len(title) > 100:
        title = title[:99].rstrip() + "…"
    return Figure(title, axes, "time" if x == "time" else "step", log)


def _drawn(figure: Figure, suffix: str) -> bytes:
    if suffix == ".csv":
        from perx_tui.report.figure import to_csv

        return to_csv(figure).encode("utf-8")
    if suffix == ".svg":
        from perx_tui.report.svg import to_svg

        return to_svg(figure).encode("utf-8")
    from perx_tui.report.picture import to_picture

    return to_picture(figure, "png" if suffix == ".png" else "pdf")
