"""Running the app in this process's terminal."""

from __future__ import annotations

import sys
from pathlib import Path

from perx_tui.terminal import ascii_only as terminal_is_ascii
from perx_tui.terminal import colours
from perx_tui.tui.app import PerxApp
from perx_tui.tui.driver import TerminalDriver
from perx_tui.tui.ending import after_hang_up, ending_signals
from perx_tui.tui.live import Result
from perx_tui.tui.meter import Meter
from perx_tui.tui.pace import SLOW_LINK_FPS, SLOW_LINK_REFRESH, screen_time
from perx_tui.tui.remembered import ChartMemory, LayoutMemory, Welcome, config_folder
from perx_tui.tui.source import Session
from perx_tui.tui.terminal import guarded, hung_up
from perx_tui.tui.theme import DARK


def run_app(
    session: Session,
    *,
    autostart: bool = True,
    attached: bool = False,
    refresh: float = 2.0,
    episode_fps: float = 10.0,
    theme: str = DARK.name,
    ascii_only: bool = False,
    budget: float = 1.0,
    slow_link: bool = False,
    output_log: Path | None = None,
) -> Result:
    """Show `session` until the person leaves, and say how.

    "stopped": the session was told to stop and has ended. "finished" and "failed": it had ended by itself. In all
    other cases it still trains and the caller decides: "headless" (the person's wish), "hangup" (the terminal went
    away), "crashed" (a fault of the screen, told on standard error), "sigterm" and "sigint" (this process was asked
    to end).

    `ascii_only` draws without other characters, which a terminal without UTF-8 gets anyway.

    `budget` is the share of a core that the screen may take before it is drawn less often, and `slow_link` draws so
    seldom that a slow line suffices.

    With `attached` the session belongs to another process, and leaving ends nothing but the screen.

    Output that libraries write meanwhile goes to `output_log`, or to standard error when the screen is closed. Must
    be called in the main thread, with a terminal on standard input and output.
    """
    if slow_link:
        refresh, episode_fps = min(refresh, SLOW_LINK_REFRESH), min(episode_fps, SLOW_LINK_FPS)
    ascii_only = ascii_only or terminal_is_ascii()
    with guarded(output_log, ascii_only) as terminal:
        stdin = sys.__stdin__.fileno() if sys.__stdin__ is not None else 0

        def backlog() -> bool:
            # Textual has no public measure of what the terminal has not taken yet.
            writer = getattr(app._driver, "_writer_thread", None)
            queued = writer is not None and writer._queue.qsize() > 0
            return queued or terminal.busy or app.painter.link.late

        app = PerxApp(
            session,
            ascii_only=ascii_only,
            colours=colours(),
            autostart=autostart,
            attached=attached,
            refresh=refresh,
            episode_fps=episode_fps,
            theme=theme,
            backlog=backlog,
            hung_up=lambda: terminal.gone or hung_up(stdin),
            chart_memory=ChartMemory(config_folder()),
            layout_memory=LayoutMemory(config_folder()),
            welcome=Welcome(config_folder()),
            cost=Meter(lambda: terminal.bytes_written, used=screen_time).text,
            budget=budget,
            used=screen_time,
        )
        app.driver_class = TerminalDriver
        with ending_signals(app.leave):
            result = app.run()
        if result == "hangup":
            after_hang_up()
    return result if result is not None else "crashed"
