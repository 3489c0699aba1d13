"""Textual's terminal driver, mended for a process that is stopped and continued."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from textual.drivers.linux_driver import LinuxDriver


class TerminalDriver(LinuxDriver):
    """After SIGCONT the terminal is set up anew exactly once.

    Textual's own driver takes every SIGCONT for the end of a SIGTSTP. After a SIGSTOP, which cannot be caught, or a
    SIGCONT out of the blue it would start a second thread that reads keys, and remember the raw terminal as the one to
    give back. A signal that comes while another one is handled waits for its end, for the same reason.
    """

    _suspended = False
    _busy = False
    _next: int | None = None

    def _sigtstp_application(self, *arguments: Any) -> None:
        self._one_by_one(signal.SIGTSTP, self._suspend)

    def _sigcont_application(self, *arguments: Any) -> None:
        self._one_by_one(signal.SIGCONT, self._continue)

    def _suspend(self) -> None:
        self._suspended = True
        super()._sigtstp_application()

    def _continue(self) -> None:
        if not self._suspended and self._key_thread is not None:
            self.suspend_application_mode()
        self._suspended = False
        super()._sigcont_application()

    def _one_by_one(self, number: int, handle: Callable[[], None]) -> None:
        if self._busy:
            self._next = number
            return
        self._busy = True
        try:
            handle()
        finally:
            self._busy = False
        waiting, self._next = self._next, None
        if waiting is not None:
            os.kill(os.getpid(), waiting)
