"""A stand-in for CUDA graphs: notes every operation on tensors, and does the same operations on the same memory again.

What a graph would forget, a tape forgets too: no Python runs again, numbers and shapes are those of the recording, and
an operation reads what lies at its inputs' addresses when it is played.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "item", "lift_fresh", "unique", "bincount")
"""Operations that on a GPU wait for the device, or bring it a number of the host's."""
RANDOM = ("rand", "bernoulli", "multinomial", "normal", "uniform")


NO_LAUNCH = ("empty", "detach", "alias", "_unsafe_view", "resize_", "_local_scalar_dense")
"""Operations that give the device nothing to compute, beside views."""


def launches(func: Any) -> bool:
    """Whether an operation of a tape, or of torch's, is a launch on the device."""
    if not isinstance(func, torch._ops.OpOverload):
        return True  # a kernel of the engine's
    return not func.is_view and not func.name().removeprefix("aten::").startswith(NO_LAUNCH)


class Tape(TorchDispatchMode):
    """Records while it is entered, and undoes what was done meanwhile: recording a graph computes nothing, either."""

    def __init__(self) -> None:
        super().__init__()
        self._played: list[tuple[Any, tuple[Any, ...], dict[str, Any], Any]] = []
        self._own: set[int] = set()
        self._before: dict[int, tuple[torch.UntypedStorage, torch.UntypedStorage]] = {}

    def __len__(self) -> int:
        return len(self._played)

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        name, kwargs = func.name(), kwargs or {}
        if any(word in name for word in (*WAITS, *RANDOM)):
            raise RuntimeError(f"CUDA error: operation not permitted when stream is capturing: {name}")
        for declared, given in _arguments(func, args, kwargs):
            if declared.alias_info is not None and declared.alias_info.is_write:
                for tensor in tree_leaves(given):
                    self._remember(tensor)
        result = func(*args, **kwargs)
        self.note(func, args, kwargs, result)
        if all(each.alias_info is None for each in func._schema.returns):
            self._own |= {each.untyped_storage().data_ptr() for each in tree_leaves(result) if isinstance(each, Tensor)}
        return result

    def launched(self) -> Counter[str]:
        """What a graph would launch, by the operation's name; the engine's own kernels are called "kernel"."""
        return Counter(_name(func) for func, *_ in self._played if launches(func))

    def note(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        """Adds what was done, and what came of it."""
        self._played.append((func, args, kwargs, result))

    def _remember(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self._own | self._before.keys():
            self._before[storage.data_ptr()] = storage, storage.clone()

    def __exit__(self, *exception: Any) -> None:
        super().__exit__(*exception)
        for storage, before in self._before.values():
            storage.copy_(before)

    @torch.no_grad()
    def replay(self) -> None:
        """All operations again; what they make lies where it lay when they were recorded."""
        for func, args, kwargs, result in self._played:
            again = func(*args, **kwargs)
            for old, new in zip(tree_leaves(result), tree_leaves(again), strict=True):
                if isinstance(old, Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


def _name(func: Any) -> str:
    return str(func.name()) if isinstance(func, torch._ops.OpOverload) else "kernel"


def _arguments(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[tuple[Any, Any]]:
    declared = func._schema.arguments
    yield from zip(declared, args, strict=False)
    for each in declared:
        if each.name in kwargs:
            yield each, kwargs[each.name]


class TapeRecorder:
    """torch.cuda's graphs as tapes; `install` puts them in place. `tapes` are all that were recorded, on `streams`."""

    def __init__(self) -> None:
        self.tapes: list[Tape] = []
        self.streams: list[object] = []
        self.replays = 0

    def install(self, patch: pytest.MonkeyPatch) -> None:
        recorder = self

        class Graph:
            tape: Tape

            def replay(self) -> None:
                recorder.replays += 1
                self.tape.replay()

        @contextlib.contextmanager
        def graph(given: Graph, **options: Any) -> Iterator[None]:
            assert options["capture_error_mode"] == "thread_local"
            with Tape() as tape:
                yield
            given.tape = tape
            recorder.tapes.append(tape)
            recorder.streams.append(options["stream"])

        patch.setattr(torch.cuda, "CUDAGraph", Graph)
        patch.setattr(torch.cuda, "graph", graph)
        patch.setattr(torch.cuda, "device", lambda device: contextlib.nullcontext())
        patch.setattr(torch.cuda, "synchronize", lambda device: None)
        patch.setattr(torch.cuda, "memory_reserved", lambda device: 0)
        patch.setattr(torch.cuda, "memory_allocated", lambda device: 0)
