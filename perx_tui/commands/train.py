"""`perx-tui --profile P`: train in the TUI, or headless."""

from __future__ import annotations

import argparse
import json
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from perx_tui import terminal
from perx_tui.cli import UsageError
from perx_tui.commands import arguments as types
from perx_tui.output import FAILED, FINISHED, PROGRAM, USAGE, say

if TYPE_CHECKING:
    from engine import Profile, Snapshot, TrainingSession


def configure(parser: argparse.ArgumentParser) -> None:
    what = parser.add_argument_group("what to train")
    what.add_argument("--profile", metavar="P", help="a TOML file, or the name of a profile that ships: breakout.toml")
    what.add_argument(
        "--set",
        dest="sets",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override a key of the profile, for example train.learning_rate=0.01 (repeatable)",
    )
    what.add_argument("--device", metavar="D", help="auto, cpu, cuda or cuda:N (sets train.device)")
    what.add_argument("--seed", type=types.seed, metavar="N", help="the run's seed (sets train.seed)")
    what.add_argument(
        "--steps", type=types.steps, metavar="N", help="steps in total, also with --resume (sets train.total_steps)"
    )
    where = parser.add_argument_group("where it is kept")
    types.add_runs(where)
    where.add_argument("--name", help="the run's name (default: made from the profile's name and the time)")
    where.add_argument("--resume", metavar="RUN", help="go on with a run: its name, or the path of its folder")
    how = parser.add_argument_group("how it shows")
    how.add_argument("--headless", action="store_true", help="no TUI: progress on standard error")
    how.add_argument(
        "--json", action="store_true", help="headless, with one JSON object per iteration on standard output"
    )


def run(arguments: argparse.Namespace) -> int:
    from engine import TrainingSession

    _check(arguments)
    resume = _find(arguments.runs, arguments.resume) if arguments.resume else None
    profile = _profile(arguments, resume)
    session = TrainingSession(profile, runs=arguments.runs, name=arguments.name, resume=resume)
    headless = arguments.headless or arguments.json
    if not headless and (obstacle := terminal.obstacle()):
        say(f"{obstacle}: training headless")
        headless = True
    session.start()
    raise NotImplementedError
