"""Which part of a chart's x axis is looked at: zooming, panning, and staying with the newest points."""

from __future__ import annotations

import math
from dataclasses import dataclass

from perx_tui.tui.chart import roomy

_CLOSEST = 1e-4
"""The narrowest window, as a share of the whole axis."""
_STRIDE = 16
"""A window that follows the newest points moves on by this part of its width, not with every point."""


@dataclass
class Viewport:
    """A window on an axis from 0 to somewhat beyond the last point. `width` None shows all of it; a window that
    reaches the last point follows it."""

    start: float = 0.0
    width: float | None = None
    tail: bool = True

    @property
    def whole(self) -> bool:
        """Whether everything is shown."""
        return self.width is None

    def shown(self, last: float) -> tuple[float, float]:
        """The ends of what is shown while the last point stands at `last`."""
        last = max(last, 1e-9)
        if self.width is None:
            return 0.0, roomy(last)
        if self.tail:
            unit = self.width / _STRIDE
            end = math.ceil(last / unit) * unit
            return end - self.width, end
        return self.start, self.start + self.width

    def zoom(self, factor: float, at: float, last: float) -> None:
        """Show 1 / `factor` as much; what is at `at` stays where it is on the screen, as far as the ends allow."""
        start, end = self.shown(last)
        at = min(max(at, start), end)
        width = max((end - start) / factor, roomy(max(last, 1e-9)) * _CLOSEST)
        self._take(at - (at - start) * width / (end - start), width, last)

    def pan(self, share: float, last: float) -> None:
        """Move by a share of what is shown, to later points where it is positive."""
        start, end = self.shown(last)
        if self.width is not None:
            self._take(start + share * (end - start), end - start, last)

    def show(self, start: float, end: float, last: float) -> None:
        """Show exactly from `start` to `end`, as far as the axis goes."""
        self._take(start, end - start, last)

    def reset(self) -> None:
        """Show everything."""
        self.start, self.width, self.tail = 0.0, None, True

    def _take(self, start: float, width: float, last: float) -> None:
        most = roomy(max(last, 1e-9))
        if width >= most * (1 - 1e-9):
            self.reset()
            return
        self.start = min(max(0.0, start), most - width)
        self.width = width
        self.tail = self.start + width >= last
