"""`perx-tui runs`: the runs of a folder."""

from __future__ import annotations

import argparse
import time

from perx_tui import format as spell
from perx_tui.commands import arguments as types
from perx_tui.output import FINISHED, emit, say
from perx_tui.tables import print_table

COLUMNS = ("run", "state", "steps", "of", "score", "steps/s", "on disk", "profile", "seed", "started")
NUMBERS = ("steps", "of", "score", "steps/s", "on disk", "seed")


def configure(parser: argparse.ArgumentParser) -> None:
    types.add_runs(parser)
    parser.add_argument("--json", action="store_true", help="one JSON array instead of a table")


def run(arguments: argparse.Namespace) -> int:
    from engine import RunFolder

    runs = RunFolder.list(arguments.runs)
    if arguments.json:
        emit(
            [
                {
                    "name": each.name,
                    "path": str(each.path),
                    "state": each.state,
                    "step": each.step,
                    "total_steps": each.total_steps,
                    "score": each.score,
                    "sps": each.sps,
                    "bytes": each.bytes,
                    "started": each.started,
                    "profile": each.profile,
                    "seed": each.seed,
                }
                for each in runs
            ]
        )
        return FINISHED
    if not runs:
        say(f"no runs in {arguments.runs}; start one with: perx-tui --profile breakout.toml")
        return FINISHED
    print_table(
        COLUMNS,
        (
            (
                each.name,
                each.state,
                spell.count(each.step),
                spell.count(each.total_steps),
                spell.score(each.score),
                spell.count(each.sps),
                spell.bytes_(each.bytes),
                each.profile or spell.UNKNOWN,
                spell.UNKNOWN if each.seed is None else str(each.seed),
                _moment(each.started),
            )
            for each in runs
        ),
        right=NUMBERS,
    )
    return FINISHED


def _moment(seconds: float | None) -> str:
    return spell.UNKNOWN if seconds is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
