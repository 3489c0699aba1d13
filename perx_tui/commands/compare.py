"""`perx-tui compare RUN RUN ...`: learning curves over one another, seeds of one experiment grouped."""

from __future__ import annotations

import argparse

from perx_tui import terminal
from perx_tui.commands import arguments as types
from perx_tui.output import FINISHED, emit, say


def configure(parser: argparse.ArgumentParser) -> None:
    types.add_named_runs(parser)
    parser.add_argument(
        "--metric", default="episode/score", metavar="KEY", help="a key of metrics.jsonl (default: episode/score)"
    )
    parser.add_argument(
        "--x", choices=("steps", "time"), default="steps", help="compare over steps, or over time (default: steps)"
    )
    parser.add_argument(
        "--threshold", type=types.number, metavar="V", help="also tell when the runs reach V in this metric"
    )
    parser.add_argument("--headless", action="store_true", help="print tables")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    from engine import compare_runs, group_runs, read_run
    from perx_tui.compare.choosing import choose_runs

    paths = choose_runs(arguments.runs, arguments.run)
    groups = group_runs([read_run(path) for path in paths])
    comparison = compare_runs(groups, arguments.metric, arguments.x, arguments.threshold)
    if arguments.json:
        emit(comparison.as_dict())
        return FINISHED
    headless = arguments.headless
    if not headless and (obstacle := terminal.obstacle()):
        say(f"{obstacle}: printing tables")
        headless = True
    if headless:
        from perx_tui.compare.report import print_comparison

        print_comparison(comparison)
        return FINISHED
    from perx_tui.compare.screen import show

    return show(paths, groups, arguments.metric, arguments.x, arguments.threshold)
