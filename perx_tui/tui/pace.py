"""How often the screen is drawn: as often as was asked for, unless that costs more of a core than it may.

With everything in one process, training loses what the screen's threads take. So their own processor time is measured,
and the screen is drawn less often before it takes more than its budget. Keys are answered at once all the same.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

SLOWEST = 8.0
"""The governor draws this many times less often than asked for at most."""
SLOW_LINK_REFRESH, SLOW_LINK_FPS = 0.5, 2.0
"""Numbers and pictures per second at most over a slow link."""
UNFOCUSED_SECONDS = 5.0
"""Between two refreshes of a terminal that nobody looks at."""

_WINDOW = 2.0
"""Seconds that the share of a core is measured over."""
_EASE = 0.7
"""How much nearer to the wanted pace a window brings it, as a factor."""


def screen_time() -> float:
    """Seconds of processor time of the calling thread, which is the screen's, and of Textual's threads for keys and
    for writing."""
    used = time.thread_time()
    for thread in threading.enumerate():
        if thread.ident is not None and thread.name.startswith("textual-"):
            used += time.clock_gettime(time.pthread_getcpuclockid(thread.ident))
    return used


class Governor:
    """Asked at every refresh; says by which factor the time between two drawings is stretched."""

    def __init__(self, budget: float, clock: Callable[[], float], used: Callable[[], float]) -> None:
        """`budget` is a share of wall time; `used` the seconds of processor time so far."""
        self._budget, self._clock, self._used = budget, clock, used
        self._last: tuple[float, float] | None = None
        self.stretch = 1.0

    def measure(self) -> None:
        """Over the budget, slow down at once; below it, come back by and by."""
        now = self._clock()
        if self._last is None:
            self._last = now, self._used()
        elif now - self._last[0] >= _WINDOW:
            (since, before), self._last = self._last, (now, self._used())
            share = max(0.0, self._last[1] - before) / (now - since)
            wanted = self.stretch * share / self._budget
            self.stretch = min(SLOWEST, max(1.0, wanted, _EASE * self.stretch))


class Pace:
    """Whether it is time again, asked by a timer of a fixed period: as often, on average, as the stretch allows."""

    def __init__(self, period: float) -> None:
        self._period = period
        self._next = 0.0

    def due(self, now: float, stretch: float) -> bool:
        """Whether to draw now, at a timer's tick."""
        if now < self._next - self._period / 2:
            return False
        self._next = max(self._next, now - self._period / 2) + self._period * stretch
        return True
