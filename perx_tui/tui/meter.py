"""What the screen itself costs: the share of a core its threads take, and bytes at the terminal."""

from __future__ import annotations

import time
from collections.abc import Callable

_WINDOW = 4.0
"""Seconds over which the cost is averaged, and between two figures."""


class Meter:
    """Asked at every refresh from the screen's own thread; the figure changes only now and then, as it costs too."""

    def __init__(
        self,
        written: Callable[[], int],
        *,
        clock: Callable[[], float] = time.monotonic,
        used: Callable[[], float] = time.thread_time,
    ) -> None:
        """`written` is the number of bytes that went to the terminal so far."""
        self._written, self._clock, self._used = written, clock, used
        self._last: tuple[float, float, int] | None = None
        self._text = ""

    def text(self) -> str:
        """Such as "ui 1.3% 6.0 kB/s"; empty until there is something to tell."""
        now = self._clock()
        if self._last is None:
            self._last = now, self._used(), self._written()
        elif now - self._last[0] >= _WINDOW:
            (before, used, written), self._last = self._last, (now, self._used(), self._written())
            share = 100 * max(0.0, self._last[1] - used) / (now - before)
            rate = (self._last[2] - written) / (now - before) / 1000
            self._text = f"ui {_short(share)}% {_short(rate)} kB/s"
        return self._text


def _short(value: float) -> str:
    return f"{value:.1f}" if value < 9.95 else f"{value:.0f}"
