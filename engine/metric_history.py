"""The metrics of a run's iterations in memory: a row is eight bytes a number, not a dict with objects in it."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Mapping

HISTORY = 20_000
"""Iterations that are kept; of more the oldest go."""

Metrics = Mapping[str, float]
_Layout = tuple[tuple[str, bool], ...]
"""A row's keys, and which of them hold whole numbers."""


class MetricHistory:
    """Rows of metrics, oldest first; each has an "iteration", larger than that of the row before.

    One thread adds and drops, any thread reads. The rows of a run have few layouts (with and without an ended
    episode, say), which they share.
    """

    def __init__(self, limit: int = HISTORY) -> None:
        self._rows: deque[tuple[_Layout, array[float]]] = deque(maxlen=limit)
        self._layouts: dict[_Layout, _Layout] = {}
        self._newest = 0

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def iteration(self) -> int:
        """The newest row's iteration; 0 where there is no row."""
        return self._newest

    def append(self, metrics: Metrics) -> None:
        """Adds the newest row."""
        layout = tuple((key, isinstance(value, int)) for key, value in metrics.items())
        layout = self._layouts.setdefault(layout, layout)
        self._rows.append((layout, array("d", metrics.values())))
        self._newest = int(metrics["iteration"])

    def extend(self, rows: Iterable[Metrics]) -> None:
        """Adds rows, oldest first."""
        for metrics in rows:
            self.append(metrics)

    def newest(self) -> Metrics | None:
        """The newest row, None where there is none."""
        return _row(*self._rows[-1]) if self._rows else None

    def since(self, iteration: int = 0, limit: int | None = None) -> list[Metrics]:
        """The rows of the iterations after `iteration`, oldest first: the first `limit` of them, or all.

        A row takes ten times the memory that it has here: whoever wants many takes them in portions.
        """
        # A copy made by C code holds the interpreter's lock: no append can come between.
        rows = list(self._rows)
        first = bisect_right(rows, iteration, key=_iteration)
        return [_row(*each) for each in rows[first : None if limit is None else first + limit]]

    def drop_after(self, iteration: int) -> None:
        """Forgets the rows of the iterations after `iteration`."""
        while self._newest > iteration:
            self._rows.pop()
            newest = self.newest()
            self._newest = int(newest["iteration"]) if newest is not None else 0


def _iteration(row: tuple[_Layout, array[float]]) -> int:
    layout, values = row
    return next(int(value) for (key, _), value in zip(layout, values, strict=True) if key == "iteration")


def _row(layout: _Layout, values: array[float]) -> Metrics:
    return {key: int(value) if whole else value for (key, whole), value in zip(layout, values, strict=True)}
