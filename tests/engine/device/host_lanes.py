"""Lanes without a device: their work waits in queues that run as late, as early or as oddly as a device's may.

Whatever a lane is given happens some time between the call and the `wait` for a mark behind it. `HostLanes` chooses
when, and notes which memory of the host is in flight until then: `CheckedBatch` and the lanes refuse to touch it.
"""

from __future__ import annotations

import contextlib
import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

import c_envs
from engine.lanes import Laps

Schedule = Literal["late", "early"] | int
"""When queued work happens: at the `wait`, at once, or in an order drawn with this seed."""


class InFlight(AssertionError):
    """Memory of the host was touched while a copy from or to it was under way."""


Span = tuple[int, int]


def tensor_span(tensor: Tensor) -> Span:
    """First and last address of a contiguous tensor."""
    assert tensor.is_contiguous(), "a device copies such memory in one go only when it is contiguous"
    return tensor.data_ptr(), tensor.data_ptr() + tensor.nbytes


def array_span(array: np.ndarray[Any, Any]) -> Span:
    """The same of an array."""
    assert array.flags.c_contiguous
    first = array.__array_interface__["data"][0]
    return first, first + array.nbytes


@dataclass(frozen=True, slots=True)
class Flight:
    """A copy that nobody has waited for: the host's end of it."""

    span: Span
    written: bool


class HostLanes:
    """The lanes of a device that is not there. `log` has what was asked of which lane, in order."""

    def __init__(self, schedule: Schedule = "late") -> None:
        self.schedule = schedule
        self.chance = random.Random(schedule if isinstance(schedule, int) else 0)
        self.lanes: list[HostLane] = []
        self.memory: list[Tensor] = []
        self.log: list[tuple[int, str]] = []

    def host_memory(self, *shape: int, dtype: torch.dtype) -> Tensor:
        """Memory that copies are allowed from and to."""
        self.memory.append(torch.zeros(shape, dtype=dtype))
        return self.memory[-1]

    def lane(self) -> HostLane:
        """One more lane."""
        self.lanes.append(HostLane(self, len(self.lanes)))
        return self.lanes[-1]

    def progress(self) -> None:
        """The device gets on with some of what it has, in the order of each lane, as the schedule has it."""
        for lane in self.chance.sample(self.lanes, len(self.lanes)):
            count = {"late": 0, "early": len(lane.queued)}.get(str(self.schedule))
            lane.run(self.chance.randint(0, len(lane.queued)) if count is None else count)

    def touch(self, span: Span, *, write: bool, what: str) -> None:
        """The host reads or writes these addresses: InFlight where a copy of them is under way."""
        for lane in self.lanes:
            for flight in lane.flights:
                if flight.span[0] < span[1] and span[0] < flight.span[1] and (write or flight.written):
                    raise InFlight(f"{what} while lane {lane.index} is copying {'to' if flight.written else 'from'} it")
        self.progress()


class HostLane:
    """One of them (`engine.lanes.Lane`)."""

    def __init__(self, owner: HostLanes, index: int) -> None:
        self.owner, self.index = owner, index
        self.queued: deque[Callable[[], None]] = deque()
        self.flights: list[Flight] = []
        self.given = self.marked = self.landing = 0
        self.open = False
        self.stamps: list[Laps] = []

    def run(self, count: int) -> None:
        """The next so many pieces of work happen."""
        for _ in range(count):
            self.queued.popleft()()

    @contextlib.contextmanager
    def queue(self) -> Iterator[None]:
        """Opens the lane for work."""
        assert not any(lane.open for lane in self.owner.lanes)
        self.open = True
        yield
        self.open = False

    def follow(self) -> None:
        """What other code gives the device happens at once here; work of the horizon before must be over."""
        assert not self.queued
        assert not self.flights
        self._note("follow")

    def send(self, source: Tensor, target: Tensor) -> None:
        """Copies some time."""
        self._copy("send", source, target, host=source, written=False)

    def fetch(self, source: Tensor, target: Tensor) -> None:
        """Copies some time."""
        self._copy("fetch", source, target, host=target, written=True)

    def _copy(self, what: str, source: Tensor, target: Tensor, *, host: Tensor, written: bool) -> None:
        span = tensor_span(host)
        tensor_span(source if written else target)
        assert source.dtype == target.dtype
        assert any(tensor_span(each)[0] <= span[0] < tensor_span(each)[1] for each in self.owner.memory)
        self.owner.touch(span, write=True, what=f"a second copy ({what})")
        self.flights.append(Flight(span, written))
        self._work(what, lambda: target.copy_(source))

    def prepare(self, work: Callable[[], None], name: str) -> Callable[[], None]:
        """What queues the work."""
        return lambda: self._work(name, work)

    def _work(self, what: str, work: Callable[[], object]) -> None:
        assert self.open, "asked of a lane that is not open for it"
        self._note(what)

        def happen() -> None:
            with torch.no_grad():
                work()

        self.queued.append(happen)
        self.given += 1
        self.owner.progress()

    def _note(self, what: str) -> None:
        self.owner.log.append((self.index, what))

    def mark(self) -> None:
        """Where `wait` shall come to."""
        self._note("mark")
        self.marked, self.landing = self.given, len(self.flights)

    def wait(self) -> None:
        """Everything before the mark has happened, and its copies have landed."""
        self._note("wait")
        self.owner.progress()
        self.run(max(0, self.marked - (self.given - len(self.queued))))
        del self.flights[: self.landing]
        self.landing = 0

    def stamp(self, name: str | None) -> None:
        """Every lap takes a thousandth of a second."""
        if name is None:
            self.stamps.append([])
        else:
            self.stamps[-1].append((name, 0.001))

    def laps(self) -> list[Laps]:
        """Those of the turns since the last call."""
        stamps, self.stamps = self.stamps, []
        return stamps


class CheckedBatch(c_envs.Batch):
    """A batch that refuses to play with memory that is in flight."""

    lanes: HostLanes
    views: dict[str, np.ndarray[Any, Any]]

    def bind(self, **views: Any) -> None:
        self.views = views
        super().bind(**views)

    def step(self, t: int, first: int = 0, count: int | None = None) -> None:
        agents = self.spec.agents_per_environment
        stop = self.environments if count is None else first + count
        rows = slice(first * agents, stop * agents)
        for name, view in self.views.items():
            part = view[rows] if name == "final_observations" else view[t + (name == "observations"), rows]
            self.lanes.touch(array_span(part), write=name != "actions", what=f"{name} of step {t} are used")
        super().step(t, first, count)

    def observe(self, slot: int) -> None:
        self.lanes.touch(array_span(self.views["observations"][slot]), write=True, what="observations are written")
        super().observe(slot)
