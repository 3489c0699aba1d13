"""Whether a run learns: its score now against a while ago, in one word."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from perx_tui import format as fmt

RISES = frozenset(("episode/score", "episode/return"))
"""Metrics of which more is better in every environment."""
LEAST = 10
"""Points below which nothing is said."""
_SHARE, _MANY = 10, 20
"""Each of the two stretches that are compared is this part of the run. A young run's are longer, a third of it up to so
many points, because the means of a few scatter too much to tell; half of `LEAST` are the fewest."""
_SURE = 3.0
"""Standard errors that the means of the two must be apart to be called different."""

Direction = Literal["better", "same", "worse"]

_WORDS: dict[Direction, tuple[str, str, str]] = {
    "better": ("▲", "improving", "green"),
    "same": ("=", "no change", "dim"),
    "worse": ("▼", "getting worse", "red"),
}


@dataclass(frozen=True, slots=True)
class Trend:
    """The mean of the newest stretch of a run less that of the stretch before it."""

    direction: Direction
    change: float
    steps: float
    """From the middle of the one stretch to the middle of the other."""

    @property
    def hue(self) -> str:
        """Its colour."""
        return _WORDS[self.direction][2]

    @property
    def brief(self) -> str:
        """For the first line: "▲ +12.3"."""
        mark, word, _ = _WORDS[self.direction]
        return word if self.direction == "same" else f"{mark} {self._signed}"

    @property
    def words(self) -> str:
        """For a line of its own: "▲ improving: +12.3 in 820k steps"."""
        mark, word, _ = _WORDS[self.direction]
        return f"{mark} {word}: {self._signed} in {fmt.count(self.steps)} steps"

    @property
    def _signed(self) -> str:
        return ("+" if self.change >= 0 else "-") + fmt.score(abs(self.change))


def trend(xs: Sequence[float], ys: Sequence[float]) -> Trend | None:
    """How a metric of which more is better goes, None while it has too few points for an answer.

    `xs` are steps, ascending. Both stretches are as long, so that a long run is judged by its last fifth; a
    difference counts when it is `_SURE` standard errors of the means large, by what points scatter inside of each.
    """
    size = max(LEAST // 2, min(len(ys) // 3, _MANY), len(ys) // _SHARE)
    if len(ys) < max(LEAST, 2 * size):
        return None
    now, before = ys[-size:], ys[-2 * size : -size]
    change = sum(now) / size - sum(before) / size
    error = math.sqrt((_variance(now) + _variance(before)) / size)
    direction: Direction = "same" if abs(change) <= _SURE * error or not change else "better" if change > 0 else "worse"
    middle = (size + 1) // 2
    return Trend(direction, change, xs[-middle] - xs[-middle - size])


def _variance(values: Sequence[float]) -> float:
    """The sample's variance."""
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values) / (len(values) - 1)
