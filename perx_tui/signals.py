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

    SIGHUP, the terminal going away, ends nothing: training goes on without a reader. A signal that whoever started this
    process has chosen to ignore (nohup, a shell's background job) stays ignored.
    """

    def __init__(self, ask: Callable[[], object]) -> None:
        self.received: int | None = None
        self._ask = ask
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for signum, handler in (
            (signal.SIGINT, self._stop),
            (signal.SIGTERM, self._stop),
            (signal.SIGHUP, self._hang_up),
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
        # From a thread of its own: the main thread may hold the session's lock at this moment.
        threading.Thread(target=self._ask, name="stop-request", daemon=True).start()

    def _hang_up(self, signum: int, frame: FrameType | None) -> None:
        """Nothing to do: what writes to the terminal copes with its absence."""
