"""`perx-tui attach [RUN]`: the TUI on a run that trains in another process."""

from __future__ import annotations

import argparse
import shlex
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from perx_tui import signals, terminal
from perx_tui.commands import arguments as types
from perx_tui.commands.train import ENDED_BY_SIGNAL, runs_option, summary
from perx_tui.errors import UsageError
from perx_tui.output import FAILED, FINISHED, PROGRAM, say
from perx_tui.scores import RecentScore

if TYPE_CHECKING:
    from engine import RemoteSession, RunInfo

MEETING_SECONDS = 2.0
"""How long the screen waits for the run's first answer, so that it opens complete."""
NAMES = 5


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run", nargs="?", metavar="RUN", help="name, beginning of a name, or path of the run (default: the newest live)"
    )
    types.add_runs(parser)
    parser.add_argument("--slow-link", action="store_true", help="draw so seldom that 5 kB/s suffice")


def run(arguments: argparse.Namespace) -> int:
    """Show the run until the person leaves or it ends; returns the exit code."""
    folder = _find(arguments.runs, arguments.run)
    if obstacle := terminal.obstacle():
        raise UsageError(f"{obstacle}: attach needs a terminal; `{PROGRAM} runs` tells how runs do without one")
    from engine import RemoteSession
    from perx_tui.tui import run_app

    session = RemoteSession(folder)
    session.start()
    session.wait_until_met(MEETING_SECONDS)
    signal.signal(signal.SIGUSR1, lambda *_: signals.start(session.checkpoint))  # as it is for the run's own process
    look = session.profile.ui
    try:
        result = run_app(
            session,
            autostart=False,
            attached=True,
            refresh=look.refresh,
            episode_fps=look.episode_fps,
            theme=look.theme,
            ascii_only=look.ascii,
            budget=look.budget,
            slow_link=look.slow_link or arguments.slow_link,
        )
    finally:
        session.close()
    return _end(session, result, arguments.runs)


def _find(runs: Path, name: str | None) -> Path:
    """The folder of the live run that is meant. UsageError that tells what lives where it does not."""
    from engine import RunFolder

    if name is None or name == "latest":
        known = RunFolder.list(runs)
        live = [each for each in known if each.live]
        if live:
            return live[0].path
        newest = f"; the newest, {known[0].name}, is {known[0].state}" if known else ""
        raise UsageError(f"no run trains in '{runs}'{newest}: start one, or name another folder with --runs")
    path = RunFolder.find(runs, name)
    known = RunFolder.list(path.parent)
    asked = next((each for each in known if each.path.name == path.name), None)
    if asked is None or not asked.live:
        state = asked.state if asked else "unreadable"
        raise UsageError(f"the run '{path.name}' is {state}, nobody trains it; {_alive(known)}")
    return path


def _alive(known: list[RunInfo]) -> str:
    names = [each.name for each in known if each.live]
    if not names:
        return "nothing else trains there"
    more = f" and {len(names) - NAMES} more" if len(names) > NAMES else ""
    return f"training now: {', '.join(names[:NAMES])}{more}"


def _end(session: RemoteSession, result: str, runs: Path) -> int:
    """Say what becomes of the run and return the exit code."""
    snapshot = session.snapshot()
    if snapshot.ended:
        if snapshot.state == "failed":
            say(f"training failed: {snapshot.error}; run folder {snapshot.folder}")
            return FAILED
        say(summary(snapshot, RecentScore(session.history()).value, runs))
        return FINISHED
    say(
        f"{snapshot.run} goes on training; see it again with: {PROGRAM} attach {shlex.quote(snapshot.run)}"
        + runs_option(runs)
    )
    if result in ENDED_BY_SIGNAL:
        return 128 + ENDED_BY_SIGNAL[result]
    return FAILED if result == "crashed" else FINISHED
