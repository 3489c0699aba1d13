"""torch.cuda's graphs, their memory, streams and events, made up, for tests on machines without a GPU."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import torch


class FakeCuda:
    """torch.cuda's graphs: recording runs the work once without its effects counting, replay counts."""

    def __init__(self, refusal: RuntimeError | None = None) -> None:
        self.refusal = refusal
        self.recorded: list[dict[str, Any]] = []
        self.replays = 0
        self.reserved = 1000
        self.allocated = 600

    def install(self, patch: pytest.MonkeyPatch) -> None:
        outer = self

        class Graph:
            def replay(self) -> None:
                outer.replays += 1

        @contextlib.contextmanager
        def graph(given: Graph, **options: Any) -> Iterator[None]:
            assert isinstance(given, Graph)
            outer.recorded.append(options)
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
