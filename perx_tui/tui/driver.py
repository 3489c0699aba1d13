"""Textual's terminal driver, mended for a process that is stopped and continued, for sizes that come back or were
exported once, and for Esc."""

from __future__ import annotations

import asyncio
import codecs
import os
import selectors
import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from textual import constants
from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver
from textual.geometry import Size
from textual.message import Message

from perx_tui.terminal import terminal_size

if TYPE_CHECKING:
    from perx_tui.tui.painting import Painter

_IDLE_SECONDS = 0.1
"""How often the thread that reads keys looks whether it shall end."""
_RESIZE_SECONDS = 0.1
"""By then Textual has drawn a size."""
_STILL_SECONDS = 0.15
"""A window that had no other size for so long has come to rest."""
_LONGEST_REST = 10.0
_RESIZE_SHARE = 0.01
"""A window that is dragged passes through hundreds of sizes, and each costs a whole screen, for which training pays.
The first is drawn at once and the last when it comes to rest; of those between so many that the screen's thread is busy
with them for this share of the time, but one in `_LONGEST_REST` seconds."""


class TerminalDriver(LinuxDriver):
    """After SIGCONT the terminal is set up anew exactly once.

    Textual's own driver takes every SIGCONT for the end of a SIGTSTP. After a SIGSTOP, which cannot be caught, or a
    SIGCONT out of the blue it would start a second thread that reads keys, and remember the raw terminal as the one to
    give back. And it does so amid whatever the signal interrupts: where that is the queue to the terminal, the handler
    waits for the queue's lock, and the interrupted code, which holds it, for the handler. Here the loop does all that.

    A terminal that was made smaller and has its size again has lost what it showed. Textual sees no change where the
    sizes between come too quickly for it, and would draw only what changes later.
    """

    _suspended = False
    _look: asyncio.Handle | None = None
    """The look at the size that is still to come."""
    _moved = _drawn = float("-inf")
    """When the size changed last, and when it was looked at last, by the loop's clock."""
    _rest = _RESIZE_SECONDS
    """From one look to the next while the size changes."""

    def start_application_mode(self) -> None:
        """As Textual does, but resizes are taken one after another."""
        super().start_application_mode()  # type: ignore[no-untyped-call]
        self._forget()
        loop, tell = asyncio.get_running_loop(), signal.getsignal(signal.SIGWINCH)

        def resized(number: int, frame: Any) -> None:
            loop.call_soon_threadsafe(self._after_resize, loop, tell)

        signal.signal(signal.SIGWINCH, resized)

    def run_input_thread(self) -> None:
        """Read keys until the application or its terminal ends.

        Esc may begin another key's sequence. Textual's own loop looks every 100 ms whether the time for the rest is up;
        this one looks when it is. Bytes that are no UTF-8 are no reason to end, either.
        """
        parser = XTermParser()
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            wait = _IDLE_SECONDS
            while not self.exit_event.is_set():
                if selector.select(wait):
                    try:
                        data = os.read(self.fileno, 4096)
                    except OSError:
                        return
                    if not data:
                        return
                    # No text at all would tell the parser that nothing more comes: half a character is not yet text.
                    if text := decode(data):
                        for message in parser.feed(text):
                            self.process_message(message)
                    wait = constants.ESCAPE_DELAY
                else:
                    wait = _IDLE_SECONDS
                for message in parser.tick():
                    self.process_message(message)

    def _get_terminal_size(self) -> tuple[int, int]:
        return terminal_size()

    def _after_resize(self, loop: asyncio.AbstractEventLoop, tell: Any) -> None:
        """Let Textual look at the size, at once or, where it has just done so, soon."""
        self._moved = loop.time()
        if self._look is None:
            self._consider(loop, tell)

    def _consider(self, loop: asyncio.AbstractEventLoop, tell: Any) -> None:
        """Look now, or wait until the window stands still or its last size was drawn long ago."""
        due = min(self._moved + _STILL_SECONDS, self._drawn + self._rest)
        if loop.time() < due:
            self._look = loop.call_at(due, self._consider, loop, tell)
            return
        self._look, self._drawn = None, loop.time()
        self._resize(loop, tell)

    def _resize(self, loop: asyncio.AbstractEventLoop, tell: Any) -> None:
        self._forget()
        loop.call_later(_RESIZE_SECONDS, self._redraw, self._app.size, time.thread_time())
        tell(signal.SIGWINCH, None)

    def _redraw(self, before: Size, began: float) -> None:
        """Draw everything anew where the size is again what it was before; see what a size costs."""
        self._rest = min(max(_RESIZE_SECONDS, (time.thread_time() - began) / _RESIZE_SHARE), _LONGEST_REST)
        if self._app.size == before and self._app.screen_stack:
            self._forget()
            self._app.screen.refresh()

    def _forget(self) -> None:
        """What the terminal shows is not known any more."""
        painter: Painter | None = getattr(self._app, "painter", None)
        if painter is not None:
            painter.forget()

    def process_message(self, message: Message) -> None:
        """Answers to the painter's questions are for nobody else."""
        painter: Painter | None = getattr(self._app, "painter", None)
        if painter is None or not painter.link.heard(message):
            super().process_message(message)

    def _sigtstp_application(self, *arguments: Any) -> None:
        if self._leaving:
            os.kill(os.getpid(), signal.SIGSTOP)
        else:
            self._soon(self._suspend)

    def _sigcont_application(self, *arguments: Any) -> None:
        if not self._suspended:
            self._soon(self._renew)

    @property
    def _leaving(self) -> bool:
        """The terminal is being given back, or soon will be. To do it a second time amid the first would wait for a
        thread while it is waited for, without end; a terminal that goes away sends SIGCONT behind its SIGHUP."""
        return bool(getattr(self._app, "leaving", False))

    def _soon(self, handle: Callable[[], None]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(handle)

    def _suspend(self) -> None:
        self._suspended = True
        super()._sigtstp_application()  # comes back when the process is continued
        self._suspended = False
        super()._sigcont_application()

    def _renew(self) -> None:
        if self._leaving:
            return
        if self._key_thread is not None:
            self.suspend_application_mode()
        super()._sigcont_application()
