"""The terminal application: panels over a training session's snapshots. `run_app` is the way in."""

import os

# Textual waits so many milliseconds after Esc for the rest of what may be another key's sequence, and reads the number
# when it is imported. Its 100 would be all the time there is to answer a key; a sequence never comes in parts this far
# apart but on links where typing is no pleasure anyway.
os.environ.setdefault("ESCDELAY", "50")

from perx_tui.tui.app import PerxApp
from perx_tui.tui.live import Result
from perx_tui.tui.run import run_app

__all__ = ["PerxApp", "Result", "run_app"]
