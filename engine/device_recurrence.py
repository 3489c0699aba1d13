"""The recurrent cores' own kernels on a GPU (engine/kernels/recurrence.h): compiled, and launched with tensors.

What torch would make a dozen launches of, gates, resets, state and output of a step, is one kernel here.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from c_envs.device import DeviceProgram
from engine.device_environments import Launcher
from engine.device_kernels import kernel_program, launch, layout, load_kernels

TYPES = {torch.float32: "float32", torch.bfloat16: "bfloat16"}
"""What the network's products may be; states are float32 always."""


class LstmForward(ctypes.Structure):
    """The struct of this name in recurrence.h, for either type; so with those below."""

    _fields_ = layout("gates bias cell reset after output carried reset_next", "rows hidden")


class LstmBackward(ctypes.Structure):
    _fields_ = layout("gates cell reset after d_output d_carried reset_next d_cell", "rows hidden")


class MinGruForward(ctypes.Structure):
    _fields_ = layout("raw inputs start resets states outputs", "rows hidden steps")


class MinGruBackward(ctypes.Structure):
    _fields_ = layout("raw inputs start resets states d_outputs d_inputs d_raw", "rows hidden steps")


ARGUMENTS: dict[str, type[ctypes.Structure]] = {
    "lstm_forward": LstmForward,
    "lstm_backward": LstmBackward,
    "mingru_forward": MinGruForward,
    "mingru_backward": MinGruBackward,
}
"""Each kernel's arguments; a kernel is there once for each of TYPES."""


def recurrence_program() -> DeviceProgram:
    """The kernels as a program for the run-time compiler."""
    sizes = {
        f"{arguments.__name__}<{real}>": ctypes.sizeof(arguments)
        for arguments in ARGUMENTS.values()
        for real in ("float", "Bfloat16")
    }
    kernels = {f"{kernel}_{real}": each for kernel, each in ARGUMENTS.items() for real in TYPES.values()}
    return kernel_program("recurrence.h", kernels, sizes, "real.h")


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
        bias: Tensor | None = None,
        carried: Tensor | None = None,
        reset: Tensor | None = None,
        reset_next: Tensor | None = None,
    ) -> None:
        """One step from pre-activations, to which `bias` [4*hidden] may have to be added; writes `after`, `output` and
        `carried`."""
        self._launch(
            "lstm_forward",
            gates.dtype,
            cell.shape,
            gates=gates,
            bias=bias,
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
        numbers = {"rows": rows, "hidden": hidden} | ({} if steps is None else {"steps": steps})
        launch(self._launcher, f"{kernel}_{TYPES[real]}", ARGUMENTS[kernel], rows * hidden, **tensors, **numbers)


def recurrence(device: torch.device, warn: Callable[[str], None] = lambda text: None) -> Recurrence | None:
    """The kernels for a CUDA device, or None where they cannot be had, and then `warn` hears why."""
    return load_kernels(recurrence_program(), device, Recurrence, Recurrence.try_all, "the recurrent core", warn)
