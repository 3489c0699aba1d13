"""An LSTM's recurrence through a segment in one launch, its gradient in another (engine/kernels/lstm_scan.h): compiled,
and launched with tensors.

Step by step a segment takes a matrix product and a kernel for each step and each way: hundreds of launches that last a
few microseconds each. Rows do not depend on each other: here a multiprocessor takes some of them through all steps and
keeps the recurrent weight. It multiplies on tensor cores, in TF32 or bfloat16.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import torch
from torch import Tensor

from c_envs.device import DeviceProgram
from engine.device_environments import Launcher
from engine.device_kernels import OPTIONS, headers, launch, layout, load_kernels

HIDDEN = (32, 64, 128)
"""Units that there are kernels for: the recurrent weight has to fit a multiprocessor."""
ROWS = 8
"""Rows of a block."""
CAPABILITY = (8, 0)
"""The first one whose tensor cores take these numbers."""
NUMBERS = {torch.float32: "float", torch.bfloat16: "Bfloat16"}
"""What the products' numbers are called in the kernels; float32 is rounded to TF32 there."""
ALIGNMENT = 16
"""Bytes that are loaded at once."""


class LstmScanForward(ctypes.Structure):
    """The struct of this name in lstm_scan.h, for either type; so with the other one."""

    _fields_ = layout("gates weight resets cells carried outputs", "rows steps")


class LstmScanBackward(ctypes.Structure):
    _fields_ = layout("gates weight resets cells d_outputs d_bias", "rows steps")


ARGUMENTS: dict[str, type[ctypes.Structure]] = {
    "lstm_scan_forward": LstmScanForward,
    "lstm_scan_backward": LstmScanBackward,
}


def scan_program(hidden: int, real: torch.dtype) -> DeviceProgram:
    """The kernels for so many units and for products of such numbers as a program for the run-time compiler."""
    name, threads, shared = NUMBERS[real], 2 * hidden, _shared_bytes(hidden, real.itemsize)
    sizes = {f"sizeof({each.__name__}<{name}>)": ctypes.sizeof(each) for each in ARGUMENTS.values()}
    memory = ("ForwardMemory", "BackwardMemory")
    sizes |= {f"{each}<{name}>::BYTES": size for each, size in zip(memory, shared.values(), strict=True)}
    sizes |= {"SCAN_THREADS": threads, "SCAN_ROWS": ROWS}
    checks = "".join(f'static_assert({each} == {size}, "as the host has it");\n' for each, size in sizes.items())
    return DeviceProgram(
        name="lstm_scan.cu",
        source=f"""#define SCAN_HIDDEN {hidden}
#define SCAN_REAL {name}
#include "lstm_scan.h"
{checks}""",
        headers=headers("device.h", "real.h", "mma.h", "lstm_scan.h"),
        options=OPTIONS,
        kernels=tuple(ARGUMENTS),
        threads=threads,
        shared=shared,
        capability=CAPABILITY,
    )


def _shared_bytes(hidden: int, size: int) -> dict[str, int]:
    """What a block has beside registers, by lstm_scan.h: weights, and h of its rows or shares of its gradient."""

    def columns(width: int) -> int:
        return 4 * ((ROWS - 1) * (width | 16) + (ROWS - 1) // 2 * 8 + width)

    warps, width = hidden // 16, hidden * size // 4
    # With 64 tiles of the weight a thread keeps 9 of 16 in its registers, with fewer all.
    tiles = 64 // 16 * 7 if width // 2 == 64 else 0
    weights = tiles * 16 * 2 * hidden
    return {
        "lstm_scan_forward": weights + 2 * columns(width),
        "lstm_scan_backward": weights + warps * warps * columns(16),
    }


class LstmScan:
    """The kernels of `scan_program`, launched on torch's current stream.

    Every tensor is contiguous, on the device, and of the type and shape that lstm_scan.h gives it; resets are uint8.
    """

    def __init__(self, launcher: Launcher, hidden: int) -> None:
        self._launcher, self._hidden = launcher, hidden

    def forward(
        self, gates: Tensor, w_hh: Tensor, resets: Tensor, cells: Tensor, carried: Tensor, outputs: Tensor
    ) -> None:
        """All steps; `gates` get the recurrent product added, `outputs` are written, and so are `cells` and `carried`
        behind their first ones."""
        self._launch(
            "lstm_scan_forward",
            gates.shape[0],
            gates.shape[1],
            gates=gates,
            weight=_aligned(w_hh),
            resets=resets,
            cells=cells,
            carried=carried,
            outputs=outputs,
        )

    def backward(self, gates: Tensor, w_hh: Tensor, resets: Tensor, cells: Tensor, d_outputs: Tensor) -> Tensor:
        """Their gradient; `gates` are overwritten with theirs. Returns that of the bias, float32 [4*hidden]."""
        steps, rows, width = gates.shape
        d_bias = torch.empty(rows, width, device=gates.device)
        self._launch(
            "lstm_scan_backward",
            steps,
            rows,
            gates=gates,
            weight=_aligned(w_hh),
            resets=resets,
            cells=cells,
            d_outputs=_aligned(d_outputs),
            d_bias=d_bias,
        )
        return d_bias.sum(0)

    def try_all(self) -> None:
        """Launches every kernel on nothing."""
        for kernel in ARGUMENTS:
            self._launch(kernel, 0, 0)

    def _launch(self, kernel: str, steps: int, rows: int, **tensors: Tensor) -> None:
        row = 4 * self._hidden
        numbers = {"rows": rows, "steps": steps}
        launch(self._launcher, kernel, ARGUMENTS[kernel], rows * row, ROWS * row, **tensors, **numbers)


def _aligned(tensor: Tensor) -> Tensor:
    """The tensor, or a copy of one that begins where several numbers cannot be loaded at once."""
    tensor = tensor.contiguous()
    return tensor if tensor.data_ptr() % ALIGNMENT == 0 else tensor.clone()


def lstm_scans(
    device: torch.device, hidden: int, real: torch.dtype, warn: Callable[[str], None] = lambda text: None
) -> dict[torch.dtype, LstmScan]:
    """The kernels for an LSTM of `hidden` units on a CUDA device by the type `real` of its products; empty where there
    are none, and where they cannot be had `warn` hears why.

    Products in float32 that must not be rounded have none.
    """
    if hidden not in HIDDEN or (real == torch.float32 and not torch.backends.cuda.matmul.allow_tf32):
        return {}
    scan = load_kernels(
        scan_program(hidden, real),
        device,
        lambda launcher: LstmScan(launcher, hidden),
        LstmScan.try_all,
        f"the LSTM's whole segment in {'TF32' if real == torch.float32 else 'bfloat16'}",
        warn,
    )
    return {} if scan is None else {real: scan}
