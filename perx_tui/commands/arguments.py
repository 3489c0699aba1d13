"""Argument types that several commands share. Their errors say what was expected."""

from __future__ import annotations

import argparse
import math
import re
from pathlib import Path

_STEPS = re.compile(r"(?P<number>\d+(\.\d+)?(e\d{1,2})?)(?P<suffix>[kmb]?)", re.IGNORECASE)
_SUFFIXES = {"": 1, "k": 1_000, "m": 1_000_000, "b": 1_000_000_000}


def steps(text: str) -> int:
    """A number of environment steps: 8000000, 8_000_000, 8e6 or 8M."""
    match = _STEPS.fullmatch(text.replace("_", ""))
    value = float(match["number"]) * _SUFFIXES[match["suffix"].lower()] if match else 0.0
    if not 1 <= value < 2**63 or value != int(value):
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of steps; write it like 8000000, 8e6 or 8M")
    return int(value)


def count(text: str) -> int:
    """A whole number of at least 1."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) < 2**31:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of at least 1")
    return int(text)


def seed(text: str) -> int:
    """A whole number from 0 to 2**63 - 1."""
    if not text.isascii() or not text.isdigit() or len(text) > 19 or int(text) >= 2**63:
        raise argparse.ArgumentTypeError(f"'{text}' is not a seed; use a whole number from 0 to 2**63 - 1")
    return int(text)


def number(text: str) -> float:
    """A finite number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"'{text}' is not a number")
    return value


def frames_per_second(text: str) -> float:
    """A playing speed from 0.1 to 240 frames per second."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.1 <= value <= 240:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of frames per second from 0.1 to 240")
    return value


def add_runs(parser: argparse._ActionsContainer) -> None:
    """`--runs DIR`, the folder that holds the runs."""
    parser.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR", help="folder of runs (default: runs)")


def add_named_runs(parser: argparse.ArgumentParser) -> None:
    """`RUN [RUN ...]` and `--runs DIR`, the folder they are looked up in."""
    parser.add_argument(
        "run",
        nargs="+",
        metavar="RUN",
        help="a run's name or path, the name that --seeds trained a group under, or a pattern: 'base-*'",
    )
    add_runs(parser)
