"""`perx-tui runs`: the runs of a folder, on a screen or as a table."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from perx_tui import format as spell
from perx_tui import terminal
from perx_tui.commands import arguments as types
from perx_tui.commands import train
from perx_tui.output import FINISHED, PROGRAM, emit, say
from perx_tui.tables import print_table

COLUMNS = ("run", "state", "steps", "of", "score", "steps/s", "on disk", "profile", "seed", "started")
SPARE = ("on disk", "seed", "started", "of", "steps/s", "profile")
"""What a narrow terminal goes without first."""
NUMBERS = ("steps", "of", "score", "steps/s", "on disk", "seed")


def configure(parser: argparse.ArgumentParser) -> None:
    types.add_runs(parser)
    parser.add_argument("--headless", action="store_true", help="print a table instead of the screen")
    parser.add_argument("--json", action="store_true", help="print one JSON array")


def run(arguments: argparse.Namespace) -> int:
    if not arguments.headless and not arguments.json and terminal.obstacle() is None:
        return _browse(arguments.runs)
    return _list(arguments)


def _browse(root: Path) -> int:
    """The screen, and the run that is trained on from there, if one is."""
    from perx_tui.tui.browser.app import show

    answer = show(root)
    return answer if isinstance(answer, int) else train.run(_parsed(answer))


def _parsed(options: Sequence[str]) -> argparse.Namespace:
    """Options of a training as their command understands them."""
    parser = argparse.ArgumentParser(prog=PROGRAM)
    train.configure(parser)
    return parser.parse_args(options)


def _list(arguments: argparse.Namespace) -> int:
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
        spare=SPARE,
    )
    return FINISHED


def _moment(seconds: float | None) -> str:
    try:
        return spell.UNKNOWN if seconds is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
    except (OverflowError, ValueError, OSError):
        return spell.UNKNOWN  # whatever run.json holds
