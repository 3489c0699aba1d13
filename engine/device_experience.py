"""Kernels that make experience on a GPU (engine/kernels/experience.h): heads, actions, ends of episodes, advantages.

Each is one launch where torch would need a dozen a step, or one for each step.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import torch
from torch import Tensor

from c_envs.device import DeviceProgram
from engine.device_environments import Launcher
from engine.device_kernels import kernel_program, launch, layout, load_kernels

HEADS_PARTS = 8
"""Threads that share one output of the last layer (the macro of this name in experience.h)."""


class Heads(ctypes.Structure):
    """The struct of this name in experience.h; so with those below."""

    _fields_ = layout("inputs weight bias outputs", "rows width choices")


class ChooseActions(ctypes.Structure):
    _fields_ = layout("logits value step uniform actions logprobs values", "rows choices stride value_stride agents")


class EndStep(ctypes.Structure):
    _fields_ = layout("terminals truncations state cut_state cut_at", "rows parts hidden step")


class Advantages(ctypes.Structure):
    _fields_ = layout("rewards values ratios done final_values bootstrap settings advantages", "rows steps")


ARGUMENTS: dict[str, type[ctypes.Structure]] = {
    "heads": Heads,
    "choose_actions": ChooseActions,
    "end_step": EndStep,
    "advantages": Advantages,
}
"""Each kernel's arguments."""


def experience_program() -> DeviceProgram:
    """The kernels as a program for the run-time compiler."""
    sizes = {arguments.__name__: ctypes.sizeof(arguments) for arguments in ARGUMENTS.values()}
    return kernel_program("experience.h", ARGUMENTS, sizes, "action.h")


class ExperienceKernels:
    """The kernels of `experience_program`, launched on torch's current stream. Tensors are on the device and of the
    types and shapes that experience.h gives them."""

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher

    def heads(self, inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Outputs [N, A] of a linear layer of few outputs: inputs [N, H], weight [A, H], bias [A], all contiguous.

        In float32 to the last bit, whatever `train.precision` rounds other products to.
        """
        rows, width = inputs.shape
        outputs = torch.empty(rows, len(bias), device=inputs.device)
        launch(
            self._launcher,
            "heads",
            Heads,
            outputs.numel() * HEADS_PARTS,
            inputs=inputs,
            weight=weight,
            bias=bias,
            outputs=outputs,
            rows=rows,
            width=width,
            choices=len(bias),
        )
        return outputs

    def choose_actions(
        self,
        logits: Tensor,
        value: Tensor,
        uniform: Tensor,
        actions: Tensor,
        logprobs: Tensor,
        values: Tensor,
        step: Tensor | None = None,
    ) -> None:
        """Actions from logits [N, A] by numbers in [0, 1), with their log-probabilities; copies the values [N], too.

        Without `step` the buffers are rows [N]. With it, an int64 [1] of the device's, they are columns [T, N] of which
        that row is read and written.
        """
        rows, choices = logits.shape
        launch(
            self._launcher,
            "choose_actions",
            ChooseActions,
            rows,
            logits=logits,
            value=value,
            step=step,
            uniform=uniform,
            actions=actions,
            logprobs=logprobs,
            values=values,
            rows=rows,
            choices=choices,
            stride=logits.stride(0),
            value_stride=value.stride(0),
            agents=0 if step is None else actions.stride(0),
        )

    def end_step(
        self,
        step: int,
        terminals: Tensor,
        truncations: Tensor,
        state: Tensor,
        cut_state: Tensor | None = None,
        cut_at: Tensor | None = None,
    ) -> None:
        """Empties the recurrent state [layers, parts, N, hidden] of agents whose episode has ended. Where it was cut
        the state is kept in `cut_state` before, and `step` is noted in `cut_at` [N]."""
        layers, parts, rows, hidden = state.shape
        launch(
            self._launcher,
            "end_step",
            EndStep,
            max(rows, state.numel()),
            terminals=terminals,
            truncations=truncations,
            state=state,
            cut_state=cut_state,
            cut_at=cut_at,
            rows=rows,
            parts=layers * parts,
            hidden=hidden,
            step=step,
        )

    def advantages(
        self,
        rewards: Tensor,
        values: Tensor,
        ratios: Tensor,
        done: Tensor,
        final_values: Tensor,
        bootstrap: Tensor,
        settings: Tensor,
        out: Tensor,
    ) -> None:
        """Advantages [T, N], see `engine.advantages.compute_advantages`; settings float64 [4] in the order of
        `AdvantageSettings`."""
        steps, rows = rewards.shape
        launch(
            self._launcher,
            "advantages",
            Advantages,
            rows,
            rewards=rewards,
            values=values,
            ratios=ratios,
            done=done,
            final_values=final_values,
            bootstrap=bootstrap,
            settings=settings,
            advantages=out,
            rows=rows,
            steps=steps,
        )

    def try_all(self) -> None:
        """Launches every kernel on nothing."""
        for kernel, arguments in ARGUMENTS.items():
            launch(self._launcher, kernel, arguments, 0)


def experience_kernels(
    device: torch.device, warn: Callable[[str], None] = lambda text: None
) -> ExperienceKernels | None:
    """The kernels for a CUDA device, or None where they cannot be had, and then `warn` hears why."""
    return load_kernels(
        experience_program(), device, ExperienceKernels, ExperienceKernels.try_all, "the making of experience", warn
    )
