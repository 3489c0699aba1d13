"""The objective on a GPU (engine/kernels/loss.h): statistics and gradient of all samples in one launch.

Autograd would need eighty for it, forward and back.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from c_envs.device import DeviceProgram
from engine.device_environments import Launcher
from engine.device_kernels import as_double, kernel_program, launch, layout, load_kernels
from engine.losses import STATISTICS, LossSettings, Targets
from engine.scalars import Scalar, switched_on


class PpoLoss(ctypes.Structure):
    """The struct of this name in loss.h."""

    _fields_ = layout(
        "logits values actions logprobs advantages old_values returns masks live clip value_clip value_coef "
        "entropy_coef d_logits d_values ratios statistics",
        "rows choices stride value_stride count",
    )


ARGUMENTS: dict[str, type[ctypes.Structure]] = {"ppo_loss": PpoLoss}


class Slopes(NamedTuple):
    """What `LossKernels.ppo_loss` gives: the loss's gradients for logits [T, S, A] and values [T, S], the ratios [T, S]
    and what each sample adds to the `STATISTICS` [6, T * S]."""

    logits: Tensor
    values: Tensor
    ratios: Tensor
    statistics: Tensor


def loss_program() -> DeviceProgram:
    """The kernel as a program for the run-time compiler."""
    return kernel_program("loss.h", ARGUMENTS, {"PpoLoss": ctypes.sizeof(PpoLoss)})


class LossKernels:
    """The kernel of `loss_program`, launched on torch's current stream."""

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher

    def ppo_loss(
        self, logits: Tensor, values: Tensor, targets: Targets, settings: LossSettings, count: Scalar
    ) -> Slopes:
        """What `engine.losses.ppo_loss` and autograd find, for the same arguments on the device."""
        rows, choices = values.numel(), logits.shape[-1]
        flat, flat_values = logits.detach().reshape(rows, choices), values.detach().reshape(rows)
        found = Slopes(
            torch.empty_like(logits, memory_format=torch.contiguous_format),
            torch.empty_like(values, memory_format=torch.contiguous_format),
            torch.empty_like(values, memory_format=torch.contiguous_format),
            torch.empty(len(STATISTICS), rows, device=values.device),
        )

        launch(
            self._launcher,
            "ppo_loss",
            PpoLoss,
            rows,
            logits=flat,
            values=flat_values,
            actions=targets.actions,
            logprobs=targets.logprobs,
            advantages=targets.advantages,
            old_values=targets.values,
            returns=targets.returns,
            masks=targets.masks,
            live=count if isinstance(count, Tensor) else None,
            clip=as_double(settings.clip, values.device),
            value_clip=as_double(settings.value_clip, values.device) if switched_on(settings.value_clip) else None,
            value_coef=as_double(settings.value_coef, values.device),
            entropy_coef=as_double(settings.entropy_coef, values.device),
            d_logits=found.logits,
            d_values=found.values,
            ratios=found.ratios,
            statistics=found.statistics,
            rows=rows,
            choices=choices,
            stride=flat.stride(0),
            value_stride=flat_values.stride(0),
            count=0 if isinstance(count, Tensor) else int(count),
        )
        return found

    def try_all(self) -> None:
        """Launches the kernel on nothing."""
        launch(self._launcher, "ppo_loss", PpoLoss, 0)


def loss_kernels(device: torch.device, warn: Callable[[str], None] = lambda text: None) -> LossKernels | None:
    """The kernel for a CUDA device, or None where it cannot be had, and then `warn` hears why."""
    return load_kernels(loss_program(), device, LossKernels, LossKernels.try_all, "the objective", warn)
