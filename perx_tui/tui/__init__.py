"""The terminal application: panels over a training session's snapshots. `run_app` is the way in."""

import os

# So many milliseconds after Esc the rest of what may be another key's sequence is waited for. Textual reads the number
# when it is imported; its own is 100.
os.environ.setdefault("ESCDELAY", "50")

from perx_tui.tui.app import PerxApp
from perx_tui.tui.live import Result
from perx_tui.tui.run import run_app

__all__ = ["PerxApp", "Result", "run_app"]
