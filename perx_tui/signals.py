"""Signals while a run trains headless: the first asks for a clean stop, the second leaves at once."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

from perx_tui.errors import ForcedExit

ECHO_SECONDS = 0.1
"""A second signal that comes sooner is the first one's echo: nobody presses a key twice in this time."""


class StopSignals:
    """Context in which SIGINT and SIGTERM call `ask` once; a second one raises ForcedExit in the main thread.

    One that comes at the heels of the first is no second thought: `timeout` and service managers signal a process, and
    then its group with the process in it.

    SIGUSR1 calls `save`. SIGHUP, the terminal going away, ends nothing: `hung_up` is called, and training goes on
    without a reader. A signal that whoever started this
    process has chosen to ignore (nohup, a shell's background job) stays ignored.
    """

    def __init__(
        self,
        ask: Callable[[], object],
        save: Callable[[], object] = lambda: None,
        hung_up: Callable[[], object] = lambda: None,
    ) -> None:
        self.received: int | None = None
        self._first = 0.0
        self._ask, self._save, self._hung_up = ask, save, hung_up
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for signum, handler in (
            (signal.SIGINT, self._stop),
            (signal.SIGTERM, self._stop),
            (signal.SIGUSR1, lambda *_: start(self._save)),
            (signal.SIGHUP, lambda *_: start(self._hung_up)),
        ):
            previous = signal.getsignal(signum)
            if previous != signal.SIG_IGN:
                self._previous[signum] = previous
                signal.signal(signum, handler)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for signum, previous in self._previous.items():
            signal.signal(signum, previous)

    def _stop(self, signum: int, frame: FrameType | None) -> None:
        if self.received is not None:
            if time.monotonic() - self._first >= ECHO_SECONDS:
                raise ForcedExit(signum)
            return
        self._first = time.monotonic()
        self.received = signum
        start(self._ask)


def start(request: Callable[[], object]) -> None:
    """Call `request`, for a signal, from a thread of its own: the main thread may hold the session's lock just then."""
    threading.Thread(target=request, name="signal-request", daemon=True).start()
