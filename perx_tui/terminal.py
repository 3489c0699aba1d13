"""Whether this process has a terminal that a full-screen program can use."""

from __future__ import annotations

import os
import sys
from typing import TextIO


def obstacle() -> str | None:
    """Why a full-screen program cannot run here, in a few words; None when it can."""
    if not is_terminal(sys.stdout):
        return "standard output is not a terminal"
    if not is_terminal(sys.stdin):
        return "standard input is not a terminal"
    term = os.environ.get("TERM", "")
    if term in ("", "dumb", "unknown"):
        return f"the terminal type is '{term}' (environment variable TERM)"
    return None


def is_terminal(stream: TextIO | None) -> bool:
    """True when `stream` is open and leads to a terminal."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False
