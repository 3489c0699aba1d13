"""A GPU that is not there: tensors that say they are on "cuda:0", refuse what a GPU's would refuse, and compute on the
host.

A build of torch without CUDA trains on it as it would on a card. What would fail or wait there does so here:

- a tensor of the host's among those of the device, a generator of the other one's, `numpy()` of a device's tensor;
- a number that the host asks the device for: it is noted in `waits`, and refused while a graph is recorded;
- a copy between the two that holds the host up, because the memory is not pinned or nobody said `non_blocking`;
- a graph: what was recorded is done again on the same memory, and nothing else.

Streams do nothing here (tests/engine/device/host_lanes.py has what may go wrong with those).
"""

from __future__ import annotations

import contextlib
import time
import traceback
import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map

import c_envs
from c_envs.device import DeviceProgram
from engine import device_kernels, device_program
from engine.device_program import CudaLauncher
from tests.engine.device.host_device import host_program
from tests.engine.device.tape import RANDOM, WAITS, Tape, launches

CUDA = torch.device("cuda", 0)
HOST = torch.device("cpu")
GENERATOR = torch.Generator
ENGINE = Path(device_program.__file__).parent


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


class _Move(torch.autograd.Function):
    """From one side to the other."""

    @staticmethod
    def forward(ctx: Any, source: Tensor, device: torch.device, dtype: torch.dtype, non_blocking: bool) -> Tensor:
        ctx.kind = source.device, source.dtype
        return torch.empty(source.shape, dtype=dtype, device=device).copy_(source, non_blocking=non_blocking)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return gradients[0].to(*ctx.kind), None, None, None


class Here(TorchDispatchMode):
    """A thread in which tensors are made on the device where that is asked for."""

    def __init__(self, gpu: PretendedGpu) -> None:
        super().__init__()
        self._gpu = gpu

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        return self._gpu.run(func, args, kwargs or {})


class _Given(TorchDispatchMode):
    """Keeps the generator that an operation is given, which Python has another object for than who passes it."""

    generator: torch.Generator

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        if generator := (kwargs or {}).get("generator"):
            self.generator = generator
        return func(*args, **(kwargs or {}))


class PretendedGpu:
    """After `install` torch has one GPU, in threads that have entered `here()`."""

    def __init__(self) -> None:
        self.waits: list[Wait] = []
        self.crossed = 0
        """Bytes copied between the host and the device."""
        self.living: weakref.WeakSet[OnDevice] = weakref.WeakSet()
        self._pinned: dict[int, torch.UntypedStorage] = {}
        self._anywhere: weakref.WeakSet[Tensor] = weakref.WeakSet()
        """Numbers that torch makes a tensor of by itself, on the device of those it meets."""
        self._generators: list[torch.Generator] = []
        """Those of the device, as operations are given them."""
        self.tape: Tape | None = None
        self.recorded: list[Tape] = []
        self.launches = 0
        """Graphs launched."""
        self.operations = 0
        """Operations on the device's tensors, each of which is a launch, outside graphs."""

    def here(self) -> Here:
        """For the present thread."""
        return Here(self)

    def run(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """One operation, where its tensors are."""
        name = func.name()
        given = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
        on_device = [isinstance(each, OnDevice) for each in given]
        asked = kwargs.get("device")
        # C++ asks for its own idea of a tensor's device; Python moves tensors by `_Move` only.
        device = any(on_device) or (asked is not None and torch.device(asked).type == "cuda")
        if any(on_device) and not all(on_device):
            if name == "aten::copy_":
                self._cross(*args, **kwargs)
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
            self._pin(result)
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
        if generator is not None and not any(generator is each for each in self._generators):
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

    def _cross(self, target: Tensor, source: Tensor, non_blocking: bool = False) -> None:
        here = source if isinstance(target, OnDevice) else target
        self.crossed += source.nbytes
        if not (non_blocking and self._is_pinned(here)):
            self.wait("copy to the device" if here is source else "copy to the host")
        if source.dtype != target.dtype or not (target.is_contiguous() and source.is_contiguous()):
            self.wait("copy by way of a copy")

    def wait(self, operation: str) -> None:
        """Notes that the host waits."""
        if self.tape is not None:
            raise RuntimeError(f"CUDA error: operation not permitted when stream is capturing: {operation}")
        frames = [each for each in traceback.extract_stack() if Path(each.filename).is_relative_to(ENGINE)]
        place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno} {frames[-1].line}" if frames else "a test"
        self.waits.append(Wait(operation, place))

    def _pin(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        self._pinned[storage.data_ptr()] = storage

    def _is_pinned(self, tensor: Tensor) -> bool:
        return tensor.untyped_storage().data_ptr() in self._pinned

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

    def install(self, patch: pytest.MonkeyPatch, folder: Path) -> None:
        """Gives torch and the engine this GPU. `folder` is for kernels, which are built for the host."""
        self._install_tensors(patch)
        self._install_graphs(patch)
        self._install_kernels(patch, folder)

    def _install_tensors(self, patch: pytest.MonkeyPatch) -> None:
        real_to, real_tensor, real_generator, real_rand = Tensor.to, torch.tensor, torch.Generator, torch.rand

        def to(tensor: Tensor, *args: Any, non_blocking: bool = False, copy: bool = False, **kwargs: Any) -> Tensor:
            device, dtype = kwargs.get("device"), kwargs.get("dtype")
            for each in args:
                if isinstance(each, torch.dtype):
                    dtype = each
                elif isinstance(each, str | torch.device):
                    device = each
            device, dtype = torch.device(device or tensor.device), dtype or tensor.dtype
            if device.type == tensor.device.type:
                return real_to(tensor, dtype, copy=copy)
            moved: Tensor = _Move.apply(tensor, device, dtype, non_blocking)
            return moved

        def tensor(data: Any, *, device: Any = None, pin_memory: bool = False, **options: Any) -> Tensor:
            made: Tensor = real_tensor(data, **options)
            if pin_memory:
                self._pin(made)
            return made if device is None else made.to(device)

        class Generator:
            def __new__(cls, device: Any = "cpu") -> torch.Generator:  # type: ignore[misc]
                made = real_generator()
                if torch.device(device).type == "cuda":
                    with _Given() as given:
                        torch.empty(0).uniform_(generator=made)
                    self._generators.append(given.generator)
                return made

        def rand(*size: Any, out: Tensor | None = None, device: Any = None, **options: Any) -> Tensor:
            if out is None:
                return real_rand(*size, device=device, **options)
            assert device is None or torch.device(device) == out.device
            return real_rand(*size, out=out, **options)

        patch.setattr(torch, "rand", rand)
        patch.setattr(Tensor, "to", to)
        patch.setattr(torch, "tensor", tensor)
        patch.setattr(torch, "Generator", Generator)
        # Modules move their parameters by new ones, because the old ones cannot become others here.
        patch.setattr(torch.__future__, "get_overwrite_module_params_on_conversion", lambda: True)
        real_autocast, enabled, kind = torch.autocast, torch.is_autocast_enabled, torch.get_autocast_dtype
        patch.setattr(torch, "autocast", lambda device, *args, **options: real_autocast("cpu", *args, **options))
        patch.setattr(torch, "is_autocast_enabled", lambda device: enabled("cpu"))
        patch.setattr(torch, "get_autocast_dtype", lambda device: kind("cpu"))

    def _install_graphs(self, patch: pytest.MonkeyPatch) -> None:
        gpu = self

        class Graph:
            tape: Tape

            def replay(self) -> None:
                gpu.launches += 1
                self.tape.replay()

        @contextlib.contextmanager
        def graph(given: Graph, stream: object = None, capture_error_mode: str = "global") -> Iterator[None]:
            assert capture_error_mode == "thread_local"
            with gpu.record() as tape:
                yield
            given.tape = tape

        class Stream:
            cuda_stream = 1

            def __init__(self, device: object = None) -> None:
                pass

            def wait_stream(self, other: object) -> None:
                pass

        class Event:
            def __init__(self, enable_timing: bool = False) -> None:
                self.timed = enable_timing

            def record(self, stream: object = None) -> None:
                self.at = time.perf_counter()

            def synchronize(self) -> None:
                gpu.wait("event")

            def query(self) -> bool:
                return True

            def elapsed_time(self, end: Event) -> float:
                assert self.timed
                assert end.timed
                return (end.at - self.at) * 1000

        def living_bytes(device: object = None) -> int:
            storages = {each.here.untyped_storage().data_ptr(): each.here.untyped_storage() for each in gpu.living}
            return sum(storage.nbytes() for storage in storages.values())

        def reserved_bytes(device: object = None) -> int:
            tapes = [*gpu.recorded, *([gpu.tape] if gpu.tape else [])]
            return living_bytes() + sum(len(tape) for tape in tapes)  # a graph keeps something for itself

        for name, value in {
            "_lazy_init": lambda: None,
            "is_available": lambda: True,
            "device_count": lambda: 1,
            "set_sync_debug_mode": lambda mode: None,
            "set_device": lambda device: None,
            "device": lambda device: contextlib.nullcontext(),
            "stream": lambda stream: contextlib.nullcontext(),
            "current_stream": lambda device=None: Stream(),
            "synchronize": lambda device=None: gpu.wait("synchronize"),
            "get_device_name": lambda device=None: "a GPU that is not there",
            "get_device_properties": lambda device=None: SimpleNamespace(uuid="none"),
            "mem_get_info": lambda device=None: (3 << 30, 4 << 30),
            "memory_allocated": living_bytes,
            "memory_reserved": reserved_bytes,
            "max_memory_allocated": living_bytes,
            "reset_peak_memory_stats": lambda device=None: None,
            "CUDAGraph": Graph,
            "graph": graph,
            "Stream": Stream,
            "Event": Event,
        }.items():
            patch.setattr(torch.cuda, name, value)

    def _install_kernels(self, patch: pytest.MonkeyPatch, folder: Path) -> None:
        def load(program: DeviceProgram, device: torch.device, trial: Callable[[Any], None]) -> PretendedLauncher:
            key = str(hash((program.name, program.source)))
            if key not in _BUILT:
                whose = program.name.partition(".")[0]
                table = f"host_{'environments' if whose in c_envs.ENVIRONMENTS else whose}.h"
                _BUILT[key] = host_program(program, table, folder / key)
            launcher = PretendedLauncher(self, _BUILT[key])
            trial(launcher)
            return launcher

        for module in (device_program, device_kernels):
            patch.setattr(module, "load_program", load)


_BUILT: dict[str, CudaLauncher] = {}


class PretendedLauncher:
    """A `Launcher` of kernels built for the host, which a graph can hold."""

    def __init__(self, gpu: PretendedGpu, inner: CudaLauncher) -> None:
        self._gpu, self._inner = gpu, inner

    def launch(self, kernel: str, blocks: int, *arguments: Any) -> None:
        """At once; while a graph is recorded also into it, with the arguments as they are now."""
        kept = [type(each).from_buffer_copy(each) for each in arguments]
        self._inner.launch(kernel, blocks, *kept)
        if self._gpu.tape is not None:
            self._gpu.tape.note(lambda: self._inner.launch(kernel, blocks, *kept), (), {}, None)


def _inner(value: Any) -> Any:
    return value.here if isinstance(value, OnDevice) else value
