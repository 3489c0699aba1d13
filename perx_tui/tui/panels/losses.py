"""Losses and what else tells whether the update is healthy."""

from __future__ import annotations

import math
from collections.abc import Callable

from perx_tui import format as fmt
from perx_tui.tui import marks
from perx_tui.tui.lines import Line
from perx_tui.tui.panel import Panel

_ROWS: tuple[tuple[str, str, Callable[[float | None], str]], ...] = (
    ("policy loss", "loss/policy", fmt.number),
    ("value loss", "loss/value", fmt.number),
    ("entropy", "loss/entropy", fmt.number),
    ("approx. KL", "loss/approx_kl", fmt.number),
    ("clip fraction", "loss/clip_fraction", fmt.percent),
    ("explained var", "loss/explained_variance", fmt.number),
    ("gradient norm", "loss/grad_norm", fmt.number),
    ("learning rate", "train/learning_rate", fmt.number),
)
_MORE: tuple[tuple[str, str, Callable[[float | None], str]], ...] = (
    ("ratio max", "loss/ratio_max", fmt.number),
    ("return", "episode/return", fmt.score),
    ("length", "episode/length", fmt.score),
    ("episodes", "episode/count", fmt.count),
    ("minibatches", "train/minibatches", fmt.count),
)
"""Shown where there is room for them."""


class Losses(Panel):
    """Name, newest value and, where the panel is wide enough, the trend of the newest iterations."""

    number = 4
    title = "losses"

    def body(self, width: int, height: int) -> list[Line]:
        """One line a metric, or several where the panel is high enough for larger trends."""
        trend = width - 26
        rows = (_ROWS + _MORE)[:height]
        pitch = height // len(rows)
        lines: list[Line] = []
        for label, key, spell in rows:
            if pitch < 3 or trend < 4:
                lines.append(self._row(label, key, spell, width, trend))
                continue
            lines.extend(self._block(label, key, spell, trend, pitch))
        return lines

    def _block(self, label: str, key: str, spell: Callable[[float | None], str], trend: int, pitch: int) -> list[Line]:
        """A metric with a trend of `pitch - 1` rows and an empty row below."""
        values = [value for value in self.view.history.recent(key, 2 * trend) if math.isfinite(value)]
        low, high = min(values, default=0.0), max(values, default=0.0)
        spread = high - low or 1.0
        drawn = marks.area([value - low + spread * 0.05 for value in values], trend, pitch - 1, spread * 1.05)
        figure = spell(self.view.metric(key)).rjust(9)
        head: Line = ((label.ljust(14), "dim"), (figure + "   ", "strong"), (drawn[0], "graph2"))
        return [head, *(((" " * 26, ""), (row, "graph1")) for row in drawn[1:]), ()]

    def _row(self, label: str, key: str, spell: Callable[[float | None], str], width: int, trend: int) -> Line:
        value = self.view.metric(key)
        if trend < 4:
            return ((label.ljust(width - 9), "dim"), (spell(value).rjust(9), "strong"))
        drawn = marks.trend(self.view.history.recent(key, trend), trend)
        return ((label.ljust(14), "dim"), (spell(value).rjust(9) + "   ", "strong"), (drawn, "graph1"))
