"""The engine's own kernels for a GPU (engine/kernels/*.h): compiled, loaded, and launched with tensors.

A kernel takes one struct: pointers first, then int64 numbers. A ctypes structure of the same name has the same fields.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any, TypeVar

import torch
from torch import Tensor

from c_envs.device import DeviceProgram
from engine.device_environments import Launcher
from engine.device_program import load_program
from engine.errors import DeviceError
from engine.scalars import Scalar

Kernels = TypeVar("Kernels")

Argument = Tensor | float | ctypes.Array[Any] | None
"""A value of a field of a kernel's struct."""

THREADS = 256
"""Threads of a block, each of which computes one element (DEVICE_THREADS in device.h)."""

OPTIONS = ("--std=c++17", "--prec-div=false")
"""What the compiler is told. Nothing here is held to bits: products may be contracted, and a quotient may be off in its
last place, which spares every division a branch that a thread would wait at."""


def layout(pointers: str, numbers: str) -> list[tuple[str, type[ctypes.c_void_p] | type[ctypes.c_int64]]]:
    """The fields of a structure by their names."""
    return [
        *((name, ctypes.c_void_p) for name in pointers.split()),
        *((name, ctypes.c_int64) for name in numbers.split()),
    ]


def kernel_program(
    header: str, arguments: Mapping[str, type[ctypes.Structure]], sizes: Mapping[str, int], *more: str
) -> DeviceProgram:
    """`header` of engine/kernels as a program for the run-time compiler, with the kernels that `arguments` names.

    `sizes` has the bytes that the host passes for each struct of the header, by its name there; it includes the headers
    `more` beside device.h.
    """
    checks = "".join(
        f'static_assert(sizeof({name}) == {size}, "the host passes as many bytes");\n' for name, size in sizes.items()
    )
    return DeviceProgram(
        name=f"{header.partition('.')[0]}.cu",
        source=f"""#include "{header}"
{checks}static_assert(DEVICE_THREADS == {THREADS}, "blocks have as many threads as are launched");
""",
        headers=headers("device.h", *more, header),
        options=OPTIONS,
        kernels=tuple(arguments),
        threads=THREADS,
    )


def headers(*names: str) -> dict[str, str]:
    """The text of each of these headers of engine/kernels."""
    texts = resources.files("engine").joinpath("kernels")
    return {name: texts.joinpath(name).read_text("utf-8") for name in names}


def launch(
    launcher: Launcher,
    kernel: str,
    arguments: type[ctypes.Structure],
    elements: int,
    a_block: int = THREADS,
    /,
    **values: Argument,
) -> None:
    """Queues `kernel` on torch's current stream, with a block for every `a_block` elements; a tensor is passed as its
    address."""
    if elements >= 2**31:
        raise DeviceError(f"{elements:,} elements are more than a launch of {kernel} takes")
    launch_blocks(launcher, kernel, arguments, max(1, -(-elements // a_block)), **values)


def launch_blocks(
    launcher: Launcher, kernel: str, arguments: type[ctypes.Structure], blocks: int, **values: Argument
) -> None:
    """The same with so many blocks."""
    given = {name: value.data_ptr() if isinstance(value, Tensor) else value for name, value in values.items()}
    launcher.launch(kernel, blocks, arguments(**given))


def as_double(setting: Scalar, device: torch.device) -> Tensor:
    """A setting where kernels read it, 0-D float64 on the device."""
    if isinstance(setting, Tensor):
        return setting.double()
    return torch.full((), setting, dtype=torch.float64, device=device)


def load_kernels(
    program: DeviceProgram,
    device: torch.device,
    make: Callable[[Launcher], Kernels],
    try_all: Callable[[Kernels], None],
    whose: str,
    warn: Callable[[str], None],
) -> Kernels | None:
    """What `make` makes of the program's launcher on a CUDA device, or None where it cannot be had, and then `warn`
    hears why `whose` ("the recurrent core") work is done without. `try_all` launches every kernel on nothing."""
    try:
        launcher = load_program(program, device, lambda launcher: try_all(make(launcher)))
    except DeviceError as error:
        warn(f"{whose} runs without kernels of its own, which is slower: {error}")
        return None
    return make(launcher)
