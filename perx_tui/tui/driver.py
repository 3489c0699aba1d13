"""Textual's terminal driver, mended for a process that is stopped and continued."""

from __future__ import annotations

from typing import Any

from textual.drivers.linux_driver import LinuxDriver


class TerminalDriver(LinuxDriver):
    """After SIGCONT the terminal is set up anew exactly once.

    Textual's own driver takes every SIGCONT for the end of a SIGTSTP. After a SIGSTOP, which cannot be caught, or a
    SIGCONT out of the blue it would start a second thread that reads keys, and remember the raw terminal as the one to
    give back.
    """

    _suspended = False

    def _sigtstp_application(self, *arguments: Any) -> None:
        self._suspended = True
        super()._sigtstp_application(*arguments)

    def _sigcont_application(self, *arguments: Any) -> None:
        if not self._suspended and self._key_thread is not None:
            self.suspend_application_mode()
        self._suspended = False
        super()._sigcont_application(*arguments)
