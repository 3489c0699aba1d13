"""One function as one CUDA graph, or as it is where that cannot be."""

from __future__ import annotations

import contextlib
import gc
import threading
import weakref
from collections.abc import Callable, Iterator

import torch

_calls: weakref.WeakSet[GraphedCall] = weakref.WeakSet()
_calls_lock = threading.Lock()


def recorded_graphs(device: torch.device) -> list[GraphedCall]:
    """The calls of this process that run as a graph on `device`, whoever holds them."""
    with _calls_lock:
        return [call for call in _calls if call.recorded and call.device == device]


class GraphedCall:
    """`work`, called on a CUDA device: run the first time, which warms up what torch prepares lazily, recorded the
    second time, and from then on launched whole.

    `work` takes and returns nothing: it reads and writes tensors that stay where they are, draws no random numbers, and
    its own memory stays with the graph. What cannot be recorded runs as it is from then on, and `warn` hears why.
    `wanted` False never records. `stream` is where to record, and None a stream that all such recordings share: torch
    gives each stream one workspace for matrix products, so graphs that run side by side need streams of their own.
    """

    def __init__(
        self,
        work: Callable[[], None],
        name: str,
        device: torch.device,
        warn: Callable[[str], None],
        *,
        wanted: bool = True,
        stream: torch.cuda.Stream | None = None,
    ) -> None:
        self._work, self._name, self.device, self._warn = work, name, device, warn
        self._stream = stream
        self._graph: torch.cuda.CUDAGraph | None = None
        self._plain = not wanted or device.type != "cuda"
        self._warm = False
        self.bytes = 0
        """Memory that the graph keeps for what is computed inside it, beyond what torch counts as allocated."""
        with _calls_lock:
            _calls.add(self)

    @property
    def recorded(self) -> bool:
        """Whether a call is one launch of a graph."""
        return self._graph is not None

    def __call__(self) -> None:
        if self._plain or not self._warm:
            self._warm = True
            self._work()
            return
        if self._graph is None:
            try:
                self._graph = self._record()
            except RuntimeError as error:
                self._plain = True
                reason = (str(error).strip() or type(error).__name__).splitlines()[0]
                self._warn(f"the {self._name} cannot be recorded as a CUDA graph and is slower without: {reason}")
                self._work()
                return
        self._graph.replay()

    def _record(self) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        # With the default mode a question to the driver from any other thread, such as one that reads the GPU's
        # temperature, would break the recording.
        with (
            _garbage_kept(),
            torch.cuda.device(self.device),
            torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"),
        ):
            before = self._unallocated()
            self._work()
            self.bytes = self._unallocated() - before
        return graph

    def _unallocated(self) -> int:
        return torch.cuda.memory_reserved(self.device) - torch.cuda.memory_allocated(self.device)


@contextlib.contextmanager
def _garbage_kept() -> Iterator[None]:
    """No collection of garbage meanwhile: a graph that is freed by this thread while it records another spoils that."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()
