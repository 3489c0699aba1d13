"""`perx-tui runs` on a terminal: the screen of the runs as an app of its own."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from textual.app import App
from textual.binding import BindingType

from perx_tui.output import FAILED, FINISHED, INTERRUPTED, TERMINATED, say
from perx_tui.terminal import colours
from perx_tui.tui.browser.screen import BrowserScreen, Visit
from perx_tui.tui.browser.visiting import visit
from perx_tui.tui.browser.watch import Watch
from perx_tui.tui.driver import TerminalDriver
from perx_tui.tui.ending import Ending, ending_signals
from perx_tui.tui.keys import BROWSER_KEYS, bindings
from perx_tui.tui.screens.help import HelpScreen
from perx_tui.tui.terminal import guarded, hung_up
from perx_tui.tui.theme import DARK, THEMES, Palette

Answer = int | tuple[str, ...]
"""How the browser was left: an exit code, or options that train a run on."""

_CODES: dict[Ending, int] = {"sigterm": TERMINATED, "sigint": INTERRUPTED, "hangup": 129}
_NOTICE_SECONDS = 8.0


def show(root: Path) -> Answer:
    """Show the runs in `root` until the person leaves. Must be called in the main thread, on a terminal."""
    with guarded() as terminal:
        app = BrowserApp(Watch(root), colours=colours())
        app.driver_class = TerminalDriver
        stdin = sys.__stdin__.fileno() if sys.__stdin__ is not None else 0
        app.hung_up = lambda: terminal.gone or hung_up(stdin)
        with ending_signals(app.leave):
            answer = app.run()
    if app.return_code or answer is None:
        say("the screen failed; the same runs as a table: --headless")
        return app.return_code or FAILED
    return answer


class BrowserApp(App[Answer]):
    """Shows the screen of the runs, and goes out of its way while another command has the terminal."""

    TITLE = "perx-tui runs"
    ENABLE_COMMAND_PALETTE = False
    ALLOW_SELECT = False
    AUTO_FOCUS = None
    BINDINGS: ClassVar[list[BindingType]] = [each for each in bindings(BROWSER_KEYS) if "screen." not in each.action]

    def __init__(self, watch: Watch, *, colours: str | None = "truecolor", visit_command: Visit | None = None) -> None:
        """`colours`: what the terminal has. `visit_command` runs another command on the terminal meanwhile."""
        super().__init__()
        for known in THEMES:
            self.register_theme(known)
        self.theme = DARK.name
        self.hung_up: Callable[[], bool] = lambda: False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._left: Ending | None = None
        self._told = 0
        self.palette = Palette(self.get_css_variables(), self.current_theme.dark, colours)
        self.runs = BrowserScreen(self.palette, watch, self.tell, visit_command or self._visit, self._resume)

    def on_mount(self) -> None:
        """Open the screen."""
        self._loop = asyncio.get_running_loop()
        if self._left is not None:
            self.exit(_CODES[self._left])
        self.push_screen(self.runs)
        self.set_interval(1.0, self._see_the_terminal)

    def leave(self, ending: Ending) -> None:
        """End the app from a signal handler."""
        self._left = ending
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.exit, _CODES[ending])

    @property
    def leaving(self) -> bool:
        """The app ends, or is about to."""
        return self._left is not None or not self.is_running

    def tell(self, text: str) -> None:
        """A short message in the first line."""
        self._told += 1
        told = self._told
        self.runs.heading.notice = text
        self.runs.heading.redraw()
        self.set_timer(_NOTICE_SECONDS, lambda: self.tell("") if self._told == told and text else None)

    def action_help(self) -> None:
        """Show the keys."""
        screen = HelpScreen(self.palette)
        screen.list(self.runs.table)
        self.push_screen(screen)

    async def action_quit(self) -> None:
        """Leave."""
        self.exit(FINISHED)

    def action_help_quit(self) -> None:
        """Ctrl+C leaves too."""
        self.exit(INTERRUPTED)

    def _visit(self, options: Sequence[str]) -> str:
        return visit(self, options)

    def _resume(self, options: Sequence[str]) -> None:
        self.exit(tuple(options))

    def _see_the_terminal(self) -> None:
        if self.hung_up():
            self.exit(_CODES["hangup"])
