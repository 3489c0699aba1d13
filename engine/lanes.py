"""Work of a device beside the host's: streams, copies into and out of the host's memory, and what waits for what.

The grouped collector is written against `Lanes` and `Lane`. `CudaLanes` are a GPU's; tests have some on the host that
let work wait as long as it may, or overtake what it may, and that watch who touches memory in between.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

import torch
from torch import Tensor

from engine.device_graph import GraphedCall

Laps = list[tuple[str, float]]
"""Seconds by name, in the order in which they passed."""


class Lane(Protocol):
    """Work that the device does in the order it was queued in, beside all other lanes and the host.

    Whoever queues a copy leaves both of its ends alone until `wait` has come back for a mark that was set after it; on
    the lane itself what is queued later may use them.
    """

    def queue(self) -> AbstractContextManager[object]:
        """What is asked of the lane inside is queued here."""

    def follow(self) -> None:
        """What the caller's own stream was given so far comes before all that is queued from now on."""

    def send(self, source: Tensor, target: Tensor) -> None:
        """Copies from the host's memory (made by `host_memory`) to the device; both contiguous."""

    def fetch(self, source: Tensor, target: Tensor) -> None:
        """Copies from the device to the host's memory; both contiguous."""

    def prepare(self, work: Callable[[], None], name: str) -> Callable[[], None]:
        """What queues `work` (see `GraphedCall`), which messages call `name`, when it is called."""

    def mark(self) -> None:
        """Sets the mark that `wait` waits for, behind all that is queued."""

    def wait(self) -> None:
        """Holds the host until the device has come to the mark."""

    def stamp(self, name: str | None) -> None:
        """Queues a look at the clock that ends a lap called `name`; None begins with the first lap of a turn."""

    def laps(self) -> list[Laps]:
        """The laps of every turn since the last call. Only after a `wait` for a mark behind the stamps."""


class Lanes(Protocol):
    """Makes the lanes of a device, and the memory that they copy from and to."""

    def host_memory(self, *shape: int, dtype: torch.dtype) -> Tensor:
        """Zeros on the host that the device can copy from and to while the host does something else."""

    def lane(self) -> Lane:
        """One more lane."""


class CudaLanes:
    """Streams of a GPU; `graphs`: prepared work is launched as CUDA graphs, and `warn` hears where that cannot be."""

    def __init__(self, device: torch.device, graphs: bool, warn: Callable[[str], None]) -> None:
        self._device, self._graphs, self._warn = device, graphs, warn

    def host_memory(self, *shape: int, dtype: torch.dtype) -> Tensor:
        """Zeros in pinned memory."""
        return torch.zeros(shape, dtype=dtype, pin_memory=True)

    def lane(self) -> CudaLane:
        """A stream of its own."""
        return CudaLane(self._device, self._graphs, self._warn)


class CudaLane:
    """A `Lane` that is a CUDA stream; its graphs run beside others' and are recorded on it."""

    def __init__(self, device: torch.device, graphs: bool, warn: Callable[[str], None]) -> None:
        self._device, self._graphs, self._warn = device, graphs, warn
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._mark = torch.cuda.Event()  # type: ignore[no-untyped-call]
        self._turns: list[list[tuple[str, torch.cuda.Event]]] = []

    def queue(self) -> AbstractContextManager[object]:
        """What torch is asked for inside goes to this stream."""
        return torch.cuda.stream(self._stream)

    def follow(self) -> None:
        """The stream waits for the present one."""
        self._stream.wait_stream(torch.cuda.current_stream(self._device))

    def send(self, source: Tensor, target: Tensor) -> None:
        """Host to device, without waiting for it."""
        target.copy_(source, non_blocking=True)

    def fetch(self, source: Tensor, target: Tensor) -> None:
        """Device to host, without waiting for it."""
        target.copy_(source, non_blocking=True)

    def prepare(self, work: Callable[[], None], name: str) -> Callable[[], None]:
        """A graph, or the work itself where none is wanted."""
        return GraphedCall(work, name, self._device, self._warn, wanted=self._graphs, stream=self._stream)

    def mark(self) -> None:
        """An event on this stream."""
        self._mark.record(self._stream)

    def wait(self) -> None:
        """Waits for that event and for nothing else; other threads run meanwhile."""
        self._mark.synchronize()

    def stamp(self, name: str | None) -> None:
        """An event with the device's time."""
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record(self._stream)
        if name is None:
            self._turns.append([])
        self._turns[-1].append((name or "", event))

    def laps(self) -> list[Laps]:
        """Read from events that are over: nothing is waited for."""
        turns, self._turns = self._turns, []
        return [
            [(name, begin.elapsed_time(end) / 1000) for (_, begin), (name, end) in itertools.pairwise(turn)]
            for turn in turns
        ]
