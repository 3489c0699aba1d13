"""Gives torch and the engine a pretended GPU: what Python asks torch for, torch.cuda, kernels built for the host."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import c_envs
from c_envs.device import DeviceProgram
from engine import device_kernels, device_program
from engine.device_program import CudaLauncher
from tests.engine.device.host_device import host_program
from tests.engine.device.pretended_gpu import PretendedGpu
from tests.engine.device.tape import Tape


def install(gpu: PretendedGpu, patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Puts the GPU in place. `folder` is for the kernels."""
    _install_tensors(gpu, patch)
    _install_graphs(gpu, patch)
    _install_kernels(gpu, patch, folder)


def _install_tensors(gpu: PretendedGpu, patch: pytest.MonkeyPatch) -> None:
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
            gpu.pin(made)
        return made if device is None else made.to(device)

    class Generator:
        def __new__(cls, device: Any = "cpu") -> torch.Generator:  # type: ignore[misc]
            made = real_generator()
            if torch.device(device).type == "cuda":
                with _Given() as given:
                    torch.empty(0).uniform_(generator=made)
                gpu.generators.append(given.generator)
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


def _install_graphs(gpu: PretendedGpu, patch: pytest.MonkeyPatch) -> None:
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
            self.sent = 0

        def record(self, stream: object = None) -> None:
            self.at, self.sent = time.perf_counter(), gpu.sent

        def synchronize(self) -> None:
            gpu.wait("event", self.sent)

        def query(self) -> bool:
            gpu.arrive(self.sent)
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


def _install_kernels(gpu: PretendedGpu, patch: pytest.MonkeyPatch, folder: Path) -> None:
    def load(program: DeviceProgram, device: torch.device, trial: Callable[[Any], None]) -> PretendedLauncher:
        key = str(hash((program.name, program.source)))
        if key not in _BUILT:
            whose = program.name.partition(".")[0]
            table = f"host_{'environments' if whose in c_envs.ENVIRONMENTS else whose}.h"
            _BUILT[key] = host_program(program, table, folder / key)
        launcher = PretendedLauncher(gpu, _BUILT[key])
        trial(launcher)
        return launcher

    for module in (device_program, device_kernels):
        patch.setattr(module, "load_program", load)


class _Move(torch.autograd.Function):
    """From one side to the other."""

    @staticmethod
    def forward(ctx: Any, source: Tensor, device: torch.device, dtype: torch.dtype, non_blocking: bool) -> Tensor:
        ctx.kind = source.device, source.dtype
        return torch.empty(source.shape, dtype=dtype, device=device).copy_(source, non_blocking=non_blocking)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return gradients[0].to(*ctx.kind), None, None, None


class _Given(TorchDispatchMode):
    """Keeps the generator that an operation is given, which Python has another object for than who passes it."""

    generator: torch.Generator

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        if generator := (kwargs or {}).get("generator"):
            self.generator = generator
        return func(*args, **(kwargs or {}))


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
