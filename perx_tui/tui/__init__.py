"""The terminal application: panels over a training session's snapshots. `run_app` is the way in."""

import os

# Textual waits so many milliseconds after Esc for the rest of what may be another key's sequence. It reads the number
# when it is imported, and looks every 100 ms whether the time is up: with its own 100 it may look twice.
os.environ.setdefault("ESCDELAY", "50")

from perx_tui.tui.app import PerxApp
from perx_tui.tui.live import Result
from perx_tui.tui.run import run_app

__all__ = ["PerxApp", "Result", "run_app"]
