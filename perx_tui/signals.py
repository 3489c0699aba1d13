"""Signals while a run trains headless: the first asks for a clean stop, the second leaves at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

from perx_tui.errors import ForcedExit


class StopSignals:
    """Context in which SIGINT and SIGTERM call `ask` once; a second one raises ForcedExit in the main thread.

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
            raise ForcedExit(signum)
        self.received = signum
        start(self._ask)


def start(request: Callable[[], object]) -> None:
    """Call `request`, for a signal, from a thread of its own: the main thread may hold the session's lock just then."""
    threading.Thread(target=request, name="signal-request", daemon=True).start()
