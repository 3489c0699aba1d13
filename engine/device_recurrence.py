"""The recurrent cores' own kernels on a GPU (engine/kernels/recurrence.h): compiled, and launched with tensors.

What torch would make a dozen launches of, gates, resets, state and output of a step, is one kernel here.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from importlib import resources

import torch
from torch import Tensor

from c_envs.device import DeviceProgram
from engine.device_environments import Launcher
from engine.device_program import load_program
from engine.errors import DeviceError

THREADS = 256
"""Threads of a block, each of which computes one element (DEVICE_THREADS in recurrence.h)."""
TYPES = {torch.float32: "float32", torch.bfloat16: "bfloat16"}
"""What the network's products may be; states are float32 always."""


def _layout(pointers: str, numbers: str) -> list[tuple[str, type[ctypes.c_void_p] | type[ctypes.c_int64]]]:
    return [
        *((name, ctypes.c_void_p) for name in pointers.split()),
        *((name, ctypes.c_int64) for name in numbers.split()),
    ]


class LstmForward(ctypes.Structure):
    """The struct of this name in recurrence.h, for either type; so with those below."""

    _fields_ = _layout("gates cell reset after output carried reset_next", "rows hidden")


class LstmBackward(ctypes.Structure):
    _fields_ = _layout("gates cell reset after d_output d_carried reset_next d_cell", "rows hidden")


class MinGruForward(ctypes.Structure):
    _fields_ = _layout("raw inputs start resets states outputs", "rows hidden steps")


class MinGruBackward(ctypes.Structure):
    _fields_ = _layout("raw inputs start resets states d_outputs d_inputs d_raw", "rows hidden steps")


ARGUMENTS: dict[str, type[ctypes.Structure]] = {
    "lstm_forward": LstmForward,
    "lstm_backward": LstmBackward,
    "mingru_forward": MinGruForward,
    "mingru_backward": MinGruBackward,
}
"""Each kernel's arguments; a kernel is there once for each of TYPES."""


def recurrence_program() -> DeviceProgram:
    """The kernels as a program for the run-time compiler.

    Nothing here is held to bits: products may be contracted, and a quotient may be off in its last place, which spares
    every division a branch that a thread would wait at.
    """
    checks = "".join(
        f"static_assert(sizeof({arguments.__name__}<{real}>) == {ctypes.sizeof(arguments)}, "
        '"the host passes as many bytes");\n'
        for arguments in ARGUMENTS.values()
        for real in ("float", "Bfloat16")
    )
    return DeviceProgram(
        name="recurrence.cu",
        source=f"""#include "recurrence.h"
{checks}static_assert(DEVICE_THREADS == {THREADS}, "blocks have as many threads as are launched");
""",
        headers={"recurrence.h": resources.files("engine").joinpath("kernels", "recurrence.h").read_text("utf-8")},
        options=("--std=c++17", "--prec-div=false"),
        kernels=tuple(f"{kernel}_{real}" for kernel in ARGUMENTS for real in TYPES.values()),
        threads=THREADS,
    )


class Recurrence:
    """The kernels of `recurrence_program`, launched on torch's current stream.

    Every tensor is contiguous, on the device, and of the type and shape that recurrence.h gives it; steps, rows and
    hidden are read off the first ones.
    """

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher

    def lstm_forward(
        self,
        gates: Tensor,
        cell: Tensor,
        after: Tensor,
        output: Tensor,
        *,
        carried: Tensor | None = None,
        reset: Tensor | None = None,
        reset_next: Tensor | None = None,
    ) -> None:
        """One step from pre-activations; `after`, `output` and `carried` are written."""
        self._launch(
            "lstm_forward",
            gates.dtype,
            cell.shape,
            gates=gates,
            cell=cell,
            reset=reset,
            after=after,
            output=output,
            carried=carried,
            reset_next=reset_next,
        )

    def lstm_backward(
        self,
        gates: Tensor,
        cell: Tensor,
        after: Tensor,
        d_output: Tensor,
        d_carried: Tensor,
        d_cell: Tensor,
        *,
        reset: Tensor | None = None,
        reset_next: Tensor | None = None,
    ) -> None:
        """Its gradient; `gates` and `d_cell` are read and overwritten."""
        self._launch(
            "lstm_backward",
            gates.dtype,
            cell.shape,
            gates=gates,
            cell=cell,
            reset=reset,
            after=after,
            d_output=d_output,
            d_carried=d_carried,
            reset_next=reset_next,
            d_cell=d_cell,
        )

    def mingru_forward(
        self, raw: Tensor, inputs: Tensor, start: Tensor, resets: Tensor | None, states: Tensor, outputs: Tensor
    ) -> None:
        """All steps; `states` and `outputs` are written. One step needs no resets."""
        self._launch(
            "mingru_forward",
            raw.dtype,
            start.shape,
            steps=raw.shape[0],
            raw=raw,
            inputs=inputs,
            start=start,
            resets=resets,
            states=states,
            outputs=outputs,
        )

    def mingru_backward(
        self,
        raw: Tensor,
        inputs: Tensor,
        start: Tensor,
        resets: Tensor,
        states: Tensor,
        d_outputs: Tensor,
        d_inputs: Tensor,
        d_raw: Tensor,
    ) -> None:
        """Their gradient; `d_inputs` and `d_raw` are written."""
        self._launch(
            "mingru_backward",
            raw.dtype,
            start.shape,
            steps=raw.shape[0],
            raw=raw,
            inputs=inputs,
            start=start,
            resets=resets,
            states=states,
            d_outputs=d_outputs,
            d_inputs=d_inputs,
            d_raw=d_raw,
        )

    def try_all(self) -> None:
        """Launches every kernel on nothing."""
        for kernel in ARGUMENTS:
            for real in TYPES:
                self._launch(kernel, real, (0, 0))

    def _launch(
        self, kernel: str, real: torch.dtype, shape: Sequence[int], steps: int | None = None, **tensors: Tensor | None
    ) -> None:
        rows, hidden = shape
        elements = rows * hidden
        if elements >= 2**31:
            raise DeviceError(f"{rows:,} segments of {hidden} units are more than a launch takes")
        numbers = {"rows": rows, "hidden": hidden} | ({} if steps is None else {"steps": steps})
        addresses = {name: None if tensor is None else tensor.data_ptr() for name, tensor in tensors.items()}
        arguments = ARGUMENTS[kernel](**addresses, **numbers)
        self._launcher.launch(f"{kernel}_{TYPES[real]}", max(1, -(-elements // THREADS)), arguments)


def recurrence(device: torch.device, warn: Callable[[str], None] = lambda text: None) -> Recurrence | None:
    """The kernels for a CUDA device, or None where they cannot be had, and then `warn` hears why."""
    try:
        launcher = load_program(recurrence_program(), device, lambda launcher: Recurrence(launcher).try_all())
    except DeviceError as error:
        warn(f"the recurrent core runs without kernels of its own, which is slower: {error}")
        return None
    return Recurrence(launcher)
