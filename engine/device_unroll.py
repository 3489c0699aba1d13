"""The recurrent cores through a segment and back on a GPU: torch's matrix products, and kernels for what lies between.

The plain paths in engine/lstm.py and engine/mingru.py compute the same on every device; these here are held to them.
Nothing is asked of the device and memory comes from torch, so that a CUDA graph can hold all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from engine.device_recurrence import TYPES, Recurrence
from engine.device_scan import LstmScan


class Core(Protocol):
    """What the choice between the paths needs to know of a core."""

    fused: bool
    kernels: Recurrence | None


def unroll_kernels(core: Core, inputs: Tensor) -> Recurrence | None:
    """The core's kernels where they can take it through a segment, with gradients."""
    return core.kernels if core.kernels is not None and core.fused and product_type(inputs) in TYPES else None


def step_kernels(core: Core, inputs: Tensor) -> Recurrence | None:
    """The core's kernels where they can take it a step of the rollout: without gradients, in float32."""
    if core.kernels is None or not core.fused or torch.is_grad_enabled():
        return None
    return core.kernels if inputs.dtype == product_type(inputs) == torch.float32 else None


def product_type(inputs: Tensor) -> torch.dtype:
    """The type that torch gives matrix products of `inputs` here, autocast considered."""
    kind = inputs.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else inputs.dtype


class LstmSteps:
    """An LSTM's recurrence step by step, called like `LstmScan`: torch's recurrent product and the gates' kernel."""

    def __init__(self, kernels: Recurrence) -> None:
        self._kernels = kernels

    def forward(
        self, gates: Tensor, w_hh: Tensor, resets: Tensor, cells: Tensor, carried: Tensor, outputs: Tensor
    ) -> None:
        """All steps; `gates` get the recurrent product added, `outputs` are written, and so are `cells` and `carried`
        behind their first ones."""
        steps = gates.shape[0]
        for t in range(steps):
            gates[t].addmm_(carried[t], w_hh.t())
            later = t + 1 < steps
            self._kernels.lstm_forward(
                gates[t],
                cells[t],
                cells[t + 1],
                outputs[t],
                carried=carried[t + 1] if later else None,
                reset=resets[t] if t else None,
                reset_next=resets[t + 1] if later else None,
            )

    def backward(self, gates: Tensor, w_hh: Tensor, resets: Tensor, cells: Tensor, d_outputs: Tensor) -> Tensor:
        """Their gradient; `gates` are overwritten with theirs. Returns that of the bias, float32 [4*hidden]."""
        steps, rows, hidden = d_outputs.shape
        d_carried = torch.zeros_like(d_outputs[0])
        d_cell = torch.zeros(rows, hidden, device=gates.device)
        for t in range(steps - 1, -1, -1):
            self._kernels.lstm_backward(
                gates[t],
                cells[t],
                cells[t + 1],
                d_outputs[t],
                d_carried,
                d_cell,
                reset=resets[t] if t else None,
                reset_next=resets[t + 1] if t + 1 < steps else None,
            )
            if t > 0:
                torch.mm(gates[t], w_hh, out=d_carried)
        return gates.view(steps * rows, 4 * hidden).sum(0, dtype=torch.float32)


def lstm_recurrence(kernels: Recurrence, scans: Mapping[torch.dtype, LstmScan], inputs: Tensor) -> LstmSteps | LstmScan:
    """All steps at once where there is a kernel for them and products may be rounded as it rounds them, else step by
    step."""
    real = product_type(inputs)
    rounded = real == torch.bfloat16 or torch.backends.cuda.matmul.allow_tf32
    return scans[real] if rounded and real in scans else LstmSteps(kernels)


class DeviceLSTM(torch.autograd.Function):
    """One LSTM layer over T steps, with resets; gradients for the inputs, the weights and the biases.

    inputs [T, S, H], state [2, S, H], resets uint8 [T, S] -> outputs [T, S, H] of `product_type`. One product takes all
    inputs to the gates, then `recurrence` goes through the steps. Backward is the mirror image with one product for
    each weight's gradient at the end. As on the CPU the gradient stops at the segment's first state.
    """

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        w_ih: Tensor,
        w_hh: Tensor,
        b_ih: Tensor,
        b_hh: Tensor,
        state: Tensor,
        resets: Tensor,
        recurrence: LstmSteps | LstmScan,
    ) -> Tensor:
        steps, segments, hidden = inputs.shape
        real = product_type(inputs)
        ctx.kinds = inputs.dtype, w_ih.dtype
        inputs, w_ih, w_hh = inputs.to(real).contiguous(), w_ih.to(real), w_hh.to(real)
        bias, resets = (b_ih + b_hh).to(real), resets.contiguous()
        gates = torch.addmm(bias, inputs.view(steps * segments, hidden), w_ih.t()).view(steps, segments, 4 * hidden)
        cells = torch.empty(steps + 1, segments, hidden, device=inputs.device)
        outputs, carried = torch.empty_like(inputs), torch.empty_like(inputs)
        carried[0], cells[0] = state[0], state[1]
        recurrence.forward(gates, w_hh, resets, cells, carried, outputs)
        ctx.save_for_backward(inputs, w_ih, w_hh, resets, gates, cells, carried)
        ctx.recurrence = recurrence
        return outputs

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Backpropagation through time; the gates' gradients overwrite their pre-activations."""
        inputs, w_ih, w_hh, resets, gates, cells, carried = ctx.saved_tensors
        torch.autograd.graph.increment_version(gates)  # a second backward finds them changed, and says so
        steps, segments, hidden = inputs.shape
        kind, weight_kind = ctx.kinds
        d_outputs = gradients[0].to(inputs.dtype).contiguous()
        d_bias = ctx.recurrence.backward(gates, w_hh, resets, cells, d_outputs).to(weight_kind)
        d_gates = gates.view(steps * segments, 4 * hidden)
        d_inputs = torch.mm(d_gates, w_ih).view(steps, segments, hidden).to(kind)
        d_w_ih = torch.mm(d_gates.t(), inputs.view(steps * segments, hidden)).to(weight_kind)
        d_w_hh = torch.mm(d_gates.t(), carried.view(steps * segments, hidden)).to(weight_kind)
        # A copy: gradients are scaled in place, and one tensor given twice would be scaled twice.
        return d_inputs, d_w_ih, d_w_hh, d_bias, d_bias.clone(), None, None, None


class DeviceMinGRU(torch.autograd.Function):
    """Activations, recurrence and highway of one MinGRU layer in one kernel over the segment; its gradient in another.

    inputs [T, S, H], raw [T, S, 3 * H], start [S, H], resets uint8 [T, S] -> outputs [T, S, H] of raw's type.
    """

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, raw: Tensor, start: Tensor, resets: Tensor, kernels: Recurrence) -> Tensor:
        ctx.kind, ctx.kernels = inputs.dtype, kernels
        inputs, raw, resets = inputs.to(raw.dtype).contiguous(), raw.contiguous(), resets.contiguous()
        start = start.to(torch.float32).contiguous()
        states, outputs = torch.empty_like(inputs, dtype=torch.float32), torch.empty_like(inputs)
        kernels.mingru_forward(raw, inputs, start, resets, states, outputs)
        ctx.save_for_backward(inputs, raw, start, resets, states)
        return outputs

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the inputs (their highway share) and of the pre-activations."""
        inputs, raw, start, resets, states = ctx.saved_tensors
        d_outputs = gradients[0].to(raw.dtype).contiguous()
        d_inputs, d_raw = torch.empty_like(inputs), torch.empty_like(raw)
        ctx.kernels.mingru_backward(raw, inputs, start, resets, states, d_outputs, d_inputs, d_raw)
        return d_inputs.to(ctx.kind), d_raw, None, None, None
