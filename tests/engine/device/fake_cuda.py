"""torch.cuda's graphs, their memory, streams and events, made up, for tests on machines without a GPU."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Recorder(TorchDispatchMode):
    """Notes every operation of torch with the tensors it was given and those it made."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Any, Any, dict[str, Any], Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        self.operations.append((func, args, kwargs or {}, made))
        return made

    def again(self) -> None:
        """The same operations on the same memory: numbers that Python had when they were noted stay as they were."""
        for func, args, kwargs, made in self.operations:
            for old, new in zip(tree_leaves(made), tree_leaves(func(*args, **kwargs)), strict=True):
                if isinstance(old, torch.Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


class FakeCuda:
    """torch.cuda's graphs: recording runs the work once without its effects counting, replay counts.

    `computes`: a replay does what was recorded. On a GPU recording computes nothing and the first replay is the first
    time; here recording has computed it already, and the first replay does not do it again.
    """

    def __init__(self, refusal: RuntimeError | None = None, computes: bool = False) -> None:
        self.refusal, self.computes = refusal, computes
        self.recorded: list[dict[str, Any]] = []
        self.replays = 0
        self.reserved = 1000
        self.allocated = 600

    def install(self, patch: pytest.MonkeyPatch) -> None:
        outer = self

        class Graph:
            recorder: Recorder | None = None
            computed = True

            def replay(self) -> None:
                outer.replays += 1
                if self.recorder is not None and not self.computed:
                    self.recorder.again()
                self.computed = False

        @contextlib.contextmanager
        def graph(given: Graph, **options: Any) -> Iterator[None]:
            assert isinstance(given, Graph)
            outer.recorded.append(options)
            if outer.computes:
                given.recorder = Recorder()
                with given.recorder:
                    yield
            else:
                yield
            if outer.refusal:
                raise outer.refusal

        patch.setattr(torch.cuda, "CUDAGraph", Graph)
        patch.setattr(torch.cuda, "graph", graph)
        patch.setattr(torch.cuda, "device", lambda device: contextlib.nullcontext())
        patch.setattr(torch.cuda, "memory_reserved", lambda device: outer.reserved)
        patch.setattr(torch.cuda, "memory_allocated", lambda device: outer.allocated)


class FakeStreams:
    """torch.cuda's streams and events, which note what they are asked. Every event is a second later than the last."""

    def __init__(self) -> None:
        self.log: list[tuple[Any, ...]] = []
        self.now = 0.0

    def install(self, patch: pytest.MonkeyPatch) -> None:
        outer = self

        class Stream:
            def __init__(self, device: torch.device) -> None:
                assert device.type == "cuda"

            def wait_stream(self, other: object) -> None:
                outer.log.append(("follow", self, other))

        class Event:
            def __init__(self, enable_timing: bool = False) -> None:
                self.timing = enable_timing

            def record(self, stream: Stream) -> None:
                outer.now += 1000
                self.at = outer.now
                outer.log.append(("record", self, stream))

            def synchronize(self) -> None:
                outer.log.append(("wait", self))

            def elapsed_time(self, end: Any) -> float:
                assert self.timing
                assert end.timing
                return float(end.at - self.at)

        @contextlib.contextmanager
        def stream(given: Stream) -> Iterator[None]:
            outer.log.append(("open", given))
            yield
            outer.log.append(("close", given))

        patch.setattr(torch.cuda, "Stream", Stream)
        patch.setattr(torch.cuda, "Event", Event)
        patch.setattr(torch.cuda, "stream", stream)
        patch.setattr(torch.cuda, "current_stream", lambda device: ("current", device))
