"""torch.cuda's graphs and their memory, made up, for tests on machines without a GPU."""

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
