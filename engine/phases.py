"""Where the time of an iteration goes: laps on one clock, so that the phases add up to the wall time."""

from __future__ import annotations

import itertools
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Protocol

import torch


class Timer(Protocol):
    """What code that is timed needs to know: `lap(name)` gives the time since the lap before to a phase."""

    def lap(self, name: str) -> None: ...
    def skip(self) -> None: ...


class PhaseTimer:
    """Wall-clock laps of one thread."""

    def __init__(self) -> None:
        self._totals: defaultdict[str, float] = defaultdict(float)
        self._first = self._last = time.perf_counter()
        self._skipped = 0.0

    def start(self) -> None:
        """Clears the totals and begins a lap."""
        self._totals.clear()
        self._skipped = 0.0
        self._first = self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        """Ends a lap under `name`, a path such as "collect/env"."""
        now = time.perf_counter()
        self._totals[name] += now - self._last
        self._last = now

    def skip(self) -> None:
        """Ends a lap that belongs to no phase and to no iteration either: a pause."""
        now = time.perf_counter()
        self._skipped += now - self._last
        self._last = now

    def read(self) -> None:
        """Reads what there is to read before `totals` are asked for: for a moment at which that costs nothing."""

    def totals(self) -> dict[str, float]:
        """Seconds by phase since `start`."""
        return dict(self._totals)

    def wall(self) -> float:
        """Seconds that the totals should add up to: from `start` to the last lap, without what was skipped."""
        return self._last - self._first - self._skipped

    def elapsed(self) -> float:
        """Seconds on the host's clock since `start`, without what was skipped."""
        return time.perf_counter() - self._first - self._skipped

    def absorb(self, workers: Sequence[PhaseTimer]) -> None:
        """Adds the mean over workers that ran side by side, in place of this thread's lap.

        What the slowest worker took beyond the mean stays unaccounted; a pause is taken out of the wall time, which is
        then what it would have been without.
        """
        for name, seconds in self._mean(workers).items():
            self._totals[name] += seconds

    def _mean(self, workers: Sequence[PhaseTimer]) -> dict[str, float]:
        """The mean of the workers' totals, for a lap that ends here and whose pauses were theirs."""
        totals: defaultdict[str, float] = defaultdict(float)
        for worker in workers:
            for name, seconds in worker._totals.items():
                totals[name] += seconds / len(workers)
        # By how much later the last of them ended for a pause: not every one needs to have been held, or for as long.
        self._skipped += max(worker._last for worker in workers) - max(
            worker._last - worker._skipped for worker in workers
        )
        self._last = time.perf_counter()
        return dict(totals)

    def divide(self, name: str, shares: Mapping[str, float]) -> None:
        """Gives the time of a phase to others (or itself) in proportion to `shares`; all of them 0: it keeps it."""
        whole = sum(shares.values())
        if whole > 0:
            seconds = self._totals.pop(name, 0.0)
            for other, share in shares.items():
                self._totals[other] += seconds * share / whole


class OnePhase(PhaseTimer):
    """Takes no laps: for work that one lap of another timer stands for."""

    def lap(self, name: str) -> None:
        """Not told apart."""


_Mark = tuple[str | Mapping[str, float] | None, torch.cuda.Event]
"""An event, and the name of the lap that it ends; None for what is no lap, laps of the host's in place of its own."""


class CudaPhaseTimer(PhaseTimer):
    """Laps between CUDA events on the current stream, read an iteration late: no synchronization in the loop.

    An event waits for the work that was queued before it, so a lap holds the device's time and the device's idle wait
    for the host, and the laps add up to the wall time.
    """

    def __init__(self) -> None:
        super().__init__()
        self._pending: list[_Mark] = []
        self._ended: list[_Mark] = []
        """Of the iteration before, until somebody asks for it."""
        self._spare: list[torch.cuda.Event] = []
        self._wall = 0.0

    def _mark(self, name: str | Mapping[str, float] | None) -> None:
        event = self._spare.pop() if self._spare else torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        self._pending.append((name, event))

    def start(self) -> None:
        """Begins to record an iteration's events; from now on the totals are those of the iteration before."""
        super().start()
        self._wall = 0.0
        self._spare.extend(event for _, event in self._ended)
        self._ended, self._pending = self._pending, []
        self._mark(None)

    def read(self) -> None:
        """Reads the events of the iteration before, where that was not done yet."""
        ended, self._ended = self._ended, []
        if ended:
            ended[-1][1].synchronize()
        for (_, begin), (name, end) in itertools.pairwise(ended):
            if name is None:
                continue
            laps = name if isinstance(name, Mapping) else {name: begin.elapsed_time(end) / 1000}
            for each, seconds in laps.items():
                self._totals[each] += seconds
                self._wall += seconds
        self._spare.extend(event for _, event in ended)

    def totals(self) -> dict[str, float]:
        """Seconds by phase of the iteration before."""
        self.read()
        return super().totals()

    def lap(self, name: str) -> None:
        """Ends a lap under `name`."""
        self._last = time.perf_counter()
        self._mark(name)

    def skip(self) -> None:
        """Ends a lap that belongs to no phase."""
        super().skip()
        self._mark(None)

    def wall(self) -> float:
        """Seconds on the device's clock of the iteration that `totals` speaks of, without what was skipped."""
        self.read()
        return self._wall

    def absorb(self, workers: Sequence[PhaseTimer]) -> None:
        """Adds the mean over clocks of the host in place of the device's lap; it is told with the device's laps.

        For work that the host and several streams did side by side, after the host has waited for the device.
        """
        self._mark(self._mean(workers))
