"""A GPU that is not there: tensors that say they are on "cuda:0", refuse what a GPU's would refuse, and compute on the
host.

A build of torch without CUDA trains on it as it would on a card. What would fail or wait there does so here:

- a tensor of the host's among those of the device, a generator of the other one's, `numpy()` of a device's tensor;
- a number that the host asks the device for: it is noted in `waits`, and refused while a graph is recorded;
- a copy between the two that holds the host up, because the memory is not pinned or nobody said `non_blocking`;
- a number that is read before it has come: a copy to the host that holds nobody up (outside of graphs) leaves rubbish
  there until the host has waited for something that the device does after it;
- a graph: what was recorded is done again on the same memory, and nothing else.

Streams do nothing here (tests/engine/device/host_lanes.py has what may go wrong with those).
"""

from __future__ import annotations

import contextlib
import threading
import traceback
import weakref
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map

from engine import device_program
from tests.engine.device.tape import RANDOM, WAITS, Tape, launches

CUDA = torch.device("cuda", 0)
HOST = torch.device("cpu")
GENERATOR = torch.Generator
ENGINE = Path(device_program.__file__).parent
RUBBISH = 0xFF
"""Bytes that have not come yet: no finite number as floats, out of bounds as an index or an action."""


class Wait(NamedTuple):
    """A place where the host waits for the device, and what for."""

    operation: str
    place: str


class OnDevice(Tensor):
    """A tensor of the device's: its numbers are in `here`. To C++ it is on the CPU, to Python it is not."""

    here: Tensor
    gpu: PretendedGpu

    @staticmethod
    def __new__(cls, here: Tensor, gpu: PretendedGpu) -> OnDevice:
        made: OnDevice = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, here.size(), strides=here.stride(), storage_offset=here.storage_offset(), dtype=here.dtype, device=HOST
        )
        made.here, made.gpu = here, gpu
        gpu.living.add(made)
        return made

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return CUDA

    @property
    def is_cuda(self) -> bool:  # type: ignore[override]
        return True

    @property
    def data(self) -> Tensor:  # type: ignore[override]
        return self.detach()

    @data.setter
    def data(self, other: OnDevice) -> None:
        self.here = other.here

    def data_ptr(self) -> int:
        return self.here.data_ptr()

    def untyped_storage(self) -> torch.UntypedStorage:
        return self.here.untyped_storage()

    def numpy(self, *, force: bool = False) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first")

    def cpu(self, *arguments: Any) -> Tensor:
        return self.to(HOST)

    def tolist(self) -> Any:
        self.gpu.wait("tolist")
        return self.here.tolist()

    def __repr__(self, *, tensor_contents: object = None) -> str:
        return f"OnDevice({self.here})"

    __hash__ = Tensor.__hash__

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        gpu = next(each.gpu for each in tree_leaves((args, kwargs)) if isinstance(each, OnDevice))
        return gpu.run(func, args, kwargs or {})


class Here(TorchDispatchMode):
    """A thread in which tensors are made on the device where that is asked for."""

    def __init__(self, gpu: PretendedGpu) -> None:
        super().__init__()
        self._gpu = gpu

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        return self._gpu.run(func, args, kwargs or {})


class PretendedGpu:
    """After `pretended_torch.install` torch has one GPU, in threads that have entered `here()`."""

    def __init__(self) -> None:
        self.waits: list[Wait] = []
        self.crossed = 0
        """Bytes copied between the host and the device."""
        self.living: weakref.WeakSet[OnDevice] = weakref.WeakSet()
        self._pinned: dict[int, torch.UntypedStorage] = {}
        self._anywhere: weakref.WeakSet[Tensor] = weakref.WeakSet()
        """Numbers that torch makes a tensor of by itself, on the device of those it meets."""
        self.generators: list[torch.Generator] = []
        """Those of the device, as operations are given them."""
        self.tape: Tape | None = None
        self.recorded: list[Tape] = []
        self.launches = 0
        """Graphs launched."""
        self.operations = 0
        """Operations on the device's tensors, each of which is a launch, outside graphs."""
        self.sent = 0
        """Copies to the host that it was not held up by."""
        self._coming: deque[tuple[int, Tensor, Tensor]] = deque()
        """Those that have not come yet: the number of each, where to, and what."""
        self._one_at_a_time = threading.RLock()

    def here(self) -> Here:
        """For the present thread."""
        return Here(self)

    def run(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """One operation, where its tensors are."""
        name = func.name()
        given = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
        on_device = [isinstance(each, OnDevice) for each in given]
        asked = kwargs.get("device")
        # C++ asks for its own idea of a tensor's device; Python moves tensors by `to` only.
        device = any(on_device) or (asked is not None and torch.device(asked).type == "cuda")
        if any(on_device) and not all(on_device):
            if name == "aten::copy_":
                if self._cross(*args, **kwargs) and self.tape is None:
                    return self._send(*args[:2])
            else:
                self._refuse_mixture(name, given)
        if device:
            self._check(name, args, kwargs)
        plain, options = tree_map(_inner, args), tree_map(_inner, kwargs)
        if asked is not None:
            options["device"] = HOST
        pinned = options.pop("pin_memory", None)
        result = func(*plain, **options)
        if pinned:
            self.pin(result)
        if name == "aten::scalar_tensor":
            self._anywhere.add(result)
        if not device:
            return result
        if self.tape is not None:
            self.tape.note(func, plain, options, result)
        elif launches(func):
            self.operations += 1
        result = tree_map(lambda each: OnDevice(each, self) if isinstance(each, Tensor) else each, result)
        return return_and_correct_aliasing(func, args, kwargs, result) if any(on_device) else result

    def _check(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        generator = next((each for each in tree_leaves((args, kwargs)) if isinstance(each, GENERATOR)), None)
        if generator is not None and not any(generator is each for each in self.generators):
            raise RuntimeError(f"Expected a 'cuda' device type for generator but found 'cpu': {name}")
        by_flag = name.startswith("aten::index") and any(
            each.dtype in (torch.bool, torch.uint8) for each in tree_leaves(args[1:2]) if isinstance(each, Tensor)
        )
        # A flag that chooses rows is turned into their numbers, and how many these are only the device knows.
        if by_flag or any(word in name for word in WAITS):
            self.wait(name)
        if self.tape is not None and any(word in name for word in RANDOM):
            raise RuntimeError(f"CUDA error: operation not permitted when stream is capturing: {name}")

    def _refuse_mixture(self, name: str, given: list[Tensor]) -> None:
        lone = [each for each in given if not isinstance(each, OnDevice) and each not in self._anywhere]
        # A number of the host's becomes an argument of the kernel, which a graph would hold for ever.
        if any(each.dim() or self.tape is not None for each in lone):
            shapes = ", ".join(str(list(each.shape)) for each in lone)
            raise RuntimeError(f"Expected all tensors to be on the same device, {name} was given {shapes} of the CPU's")

    def _cross(self, target: Tensor, source: Tensor, non_blocking: bool = False) -> bool:
        """Notes a copy between the two. Whether it goes to the host without holding it up."""
        here = source if isinstance(target, OnDevice) else target
        self.crossed += source.nbytes
        held_up = False
        if not (non_blocking and self._is_pinned(here)):
            self.wait("copy to the device" if here is source else "copy to the host")
            held_up = True
        if source.dtype != target.dtype or not (target.is_contiguous() and source.is_contiguous()):
            self.wait("copy by way of a copy")
            held_up = True
        with self._one_at_a_time:
            if here is source and any(_storage(here) == _storage(to) for _, to, _ in self._coming):
                self.arrive()  # the device does one copy after the other
        return here is target and not held_up

    def _send(self, target: Tensor, source: OnDevice) -> Tensor:
        """A copy to the host as late as the device may end it."""
        self.operations += 1
        with self._one_at_a_time:
            self.sent += 1
            self._coming.append((self.sent, target, source.here.clone()))
            target.view(-1).view(torch.uint8).fill_(RUBBISH)
        return target

    def arrive(self, sent: int | None = None) -> None:
        """Ends the copies to the host, the first `sent` of them; None: all."""
        with self._one_at_a_time:
            while self._coming and (sent is None or self._coming[0][0] <= sent):
                _, target, value = self._coming.popleft()
                target.copy_(value)

    def wait(self, operation: str, sent: int | None = None) -> None:
        """Notes that the host waits, for all that was queued or for what was before so many copies to the host."""
        if self.tape is not None:
            raise RuntimeError(f"CUDA error: operation not permitted when stream is capturing: {operation}")
        frames = [each for each in traceback.extract_stack() if Path(each.filename).is_relative_to(ENGINE)]
        place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno} {frames[-1].line}" if frames else "a test"
        self.waits.append(Wait(operation, place))
        self.arrive(sent)

    def pin(self, tensor: Tensor) -> None:
        """The host's memory that the device can reach without it."""
        storage = tensor.untyped_storage()
        self._pinned[storage.data_ptr()] = storage

    def _is_pinned(self, tensor: Tensor) -> bool:
        return _storage(tensor) in self._pinned

    @contextlib.contextmanager
    def record(self) -> Iterator[Tape]:
        """Notes all operations on the device; what they have done is then undone, for recording computes nothing."""
        assert self.tape is None
        storages = {each.here.untyped_storage().data_ptr(): each.here.untyped_storage() for each in self.living}
        before = [(storage, storage.clone()) for storage in storages.values()]
        self.tape = tape = Tape()
        try:
            yield tape
        finally:
            self.tape = None
            for storage, saved in before:
                storage.copy_(saved)
        self.recorded.append(tape)


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _inner(value: Any) -> Any:
    return value.here if isinstance(value, OnDevice) else value
