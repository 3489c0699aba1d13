"""The terminal application: panels over a training session's snapshots. `run_app` is the way in."""

from perx_tui.tui.app import PerxApp
from perx_tui.tui.live import Result
from perx_tui.tui.run import run_app

__all__ = ["PerxApp", "Result", "run_app"]
