"""The kernels that learning on a GPU goes by, beside the network's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from engine.device_loss import LossKernels, loss_kernels
from engine.device_minibatch import MinibatchKernels, minibatch_kernels
from engine.device_step import StepKernels, step_kernels


@dataclass(frozen=True, slots=True)
class LearningKernels:
    """Each None where there are none: then torch operations do that work."""

    minibatch: MinibatchKernels | None = None
    """What draws, gathers and logs minibatches."""
    loss: LossKernels | None = None
    """What computes the objective and its gradient."""
    step: StepKernels | None = None
    """What steps the parameters."""


def learning_kernels(device: torch.device, warn: Callable[[str], None] = lambda text: None) -> LearningKernels:
    """All of them for a CUDA device; `warn` hears why one cannot be had."""
    return LearningKernels(minibatch_kernels(device, warn), loss_kernels(device, warn), step_kernels(device, warn))
