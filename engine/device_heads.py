"""The policy's last layer on a GPU, with gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from engine.device_columns import ColumnKernels
from engine.device_experience import ExperienceKernels


class DeviceHeads(torch.autograd.Function):
    """inputs [N, H], weight [A, H], bias [A] -> [N, A] by the kernel that the rollout uses, too.

    Logits and values are the same numbers in the rollout and in training as far as this layer goes, and in float32
    whatever `train.precision` says; the gradients' products are of that precision.
    """

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        weight: Tensor,
        bias: Tensor,
        kernels: ExperienceKernels,
        columns: ColumnKernels | None = None,
    ) -> Tensor:
        inputs, ctx.columns = inputs.contiguous(), columns
        ctx.save_for_backward(inputs, weight)
        return kernels.heads(inputs, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the inputs, the weight and the bias."""
        inputs, weight = ctx.saved_tensors
        slope = gradients[0]
        sums = slope.sum(0) if ctx.columns is None else ctx.columns.sums(slope)
        return torch.mm(slope, weight), torch.mm(slope.t(), inputs), sums, None, None
