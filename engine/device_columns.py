"""Gradients of biases on a GPU (engine/kernels/columns.h): sums over the rows of tall matrices.

torch reads such a matrix at a tenth of the memory's rate. The encoder's kernel does two things in one pass: it leaves
out units that were at rest, and sums what is left.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from c_envs.device import DeviceProgram
from engine.device_environments import Launcher
from engine.device_kernels import THREADS, kernel_program, launch, launch_blocks, layout, load_kernels

WIDEST = 32
"""Columns that a block takes at most: its threads read neighbours in memory."""
EACH_SUMS = 16
"""Rows that each thread of the first pass sums."""


class ColumnSums(ctypes.Structure):
    """The struct of this name in columns.h."""

    _fields_ = layout("numbers outputs slopes sums", "rows columns block_rows width")


ARGUMENTS: dict[str, type[ctypes.Structure]] = {"column_sums": ColumnSums}


def columns_program() -> DeviceProgram:
    """The kernel as a program for the run-time compiler."""
    return kernel_program("columns.h", ARGUMENTS, {"ColumnSums": ctypes.sizeof(ColumnSums)})


class ColumnKernels:
    """The kernel of `columns_program`, launched on torch's current stream."""

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher

    def sums(self, matrix: Tensor) -> Tensor:
        """Sums of the columns of a float32 matrix [R, C]: [C]. The same numbers give the same sums, bit by bit."""
        return self._sums(matrix.contiguous())

    def at_work(self, slopes: Tensor, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """Slopes [R, C] for what was put into a ReLU that gave `outputs` [R, C], and the sums of their columns [C]."""
        found = torch.empty_like(outputs)
        return found, self._sums(slopes.contiguous(), outputs, found)

    def _sums(self, matrix: Tensor, outputs: Tensor | None = None, slopes: Tensor | None = None) -> Tensor:
        """In two passes: strips of rows, then these."""
        rows, columns = matrix.shape
        width = min(WIDEST, 1 << (columns - 1).bit_length())
        strip = EACH_SUMS * THREADS // width
        sums = torch.empty(max(1, -(-rows // strip)), columns, device=matrix.device)
        self._launch(matrix, outputs, slopes, sums, strip, width)
        if len(sums) > 1:
            parts, sums = sums, torch.empty(1, columns, device=matrix.device)
            self._launch(parts, None, None, sums, len(parts), width)
        return sums[0]

    def _launch(
        self, matrix: Tensor, outputs: Tensor | None, slopes: Tensor | None, sums: Tensor, strip: int, width: int
    ) -> None:
        rows, columns = matrix.shape
        launch_blocks(
            self._launcher,
            "column_sums",
            ColumnSums,
            len(sums) * -(-columns // width),
            numbers=matrix,
            outputs=outputs,
            slopes=slopes,
            sums=sums,
            rows=rows,
            columns=columns,
            block_rows=strip,
            width=width,
        )

    def try_all(self) -> None:
        """Launches the kernel on nothing."""
        launch(self._launcher, "column_sums", ColumnSums, 0)


def column_kernels(device: torch.device, warn: Callable[[str], None] = lambda text: None) -> ColumnKernels | None:
    """The kernel for a CUDA device, or None where it cannot be had, and then `warn` hears why."""
    return load_kernels(columns_program(), device, ColumnKernels, ColumnKernels.try_all, "the bias gradient", warn)


class DeviceEncoder(torch.autograd.Function):
    """relu(inputs @ weight.t() + bias) for inputs [N, D], with gradients for the weight [H, D] and the bias [H].

    In float32: what autocast would round is left to torch's layers.
    """

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor, kernels: ColumnKernels) -> Tensor:
        outputs = torch.addmm(bias, inputs, weight.t()).relu_()
        ctx.save_for_backward(inputs, outputs)
        ctx.kernels = kernels
        return outputs

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the weight and the bias; observations have none."""
        inputs, outputs = ctx.saved_tensors
        slopes, sums = ctx.kernels.at_work(gradients[0], outputs)
        return None, torch.mm(slopes.t(), inputs), sums, None


class DeviceLinear(torch.autograd.Function):
    """inputs @ weight.t() + bias for inputs [N, D], with gradients for all three, in float32."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor, kernels: ColumnKernels) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        ctx.kernels = kernels
        return torch.addmm(bias, inputs, weight.t())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the inputs, the weight and the bias."""
        inputs, weight = ctx.saved_tensors
        slopes = gradients[0].contiguous()
        return torch.mm(slopes, weight), torch.mm(slopes.t(), inputs), ctx.kernels.sums(slopes), None
