"""A step of the rollout in one launch on a GPU (engine/kernels/policy_step.h): encoder, core, heads and action.

Layer by layer it takes a dozen launches, each of which lasts a few microseconds however little it has to do, and a
horizon has as many steps as all updates have minibatches, many times over. It multiplies on tensor cores, in TF32.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from functools import cache

import torch
from torch import Tensor

from c_envs.device import DeviceProgram
from engine.device_environments import Launcher
from engine.device_kernels import OPTIONS, headers, load_kernels

HIDDEN = (32, 64, 128)
"""Units of a layer that there are kernels for."""
CORES = {"none": "CORE_NONE", "mingru": "CORE_MINGRU", "lstm": "CORE_LSTM"}
"""What the header calls the cores."""
CAPABILITY = (8, 0)
"""The first one whose tensor cores take these numbers."""
MOST_HEADS = 64
"""Actions and the value that a block has the memory for."""
SHARES = 8
"""Threads that share the sum of one output of the heads (as in the header)."""


def block_rows(hidden: int) -> int:
    """Agents of a block. Every block reads all weights, so larger ones want fewer blocks."""
    return 32 if hidden == 128 else 16


@cache
def arguments(layers: int, core: str) -> type[ctypes.Structure]:
    """The struct PolicyStep of the header."""
    pointer = ctypes.c_void_p
    parameters = layers * (4 if core == "lstm" else 2)

    class PolicyStep(ctypes.Structure):
        _fields_ = (
            *((name, pointer) for name in ("observations", "state", "ended", "cut", "step", "uniform")),
            *((name, pointer) for name in ("actions", "logprobs", "values")),
            ("encoder", pointer * 2),
            ("heads", pointer * 2),
            ("layers", pointer * parameters),
            ("rows", ctypes.c_int64),
            ("agents", ctypes.c_int64),
        )

    return PolicyStep


def policy_program(inputs: int, hidden: int, layers: int, heads: int, core: str) -> DeviceProgram:
    """The kernel for a policy of this shape as a program for the run-time compiler."""
    rows, threads = block_rows(hidden), 4 * hidden
    shared = _shared_bytes(inputs, hidden, heads, core, rows)
    size = ctypes.sizeof(arguments(layers, core))
    return DeviceProgram(
        name="policy_step.cu",
        source=f"""#define POLICY_INPUTS {inputs}
#define POLICY_UNITS {hidden}
#define POLICY_LAYERS {layers}
#define POLICY_HEADS {heads}
#define POLICY_CORE {CORES[core]}
#define POLICY_ROWS {rows}
#include "policy_step.h"
static_assert(sizeof(PolicyStep) == {size}, "the host passes as many bytes");
static_assert(POLICY_THREADS == {threads}, "blocks have as many threads as are launched");
static_assert(Memory::BYTES == {shared}, "blocks have as much memory as they are launched with");
""",
        headers=headers("device.h", "real.h", "mma.h", "action.h", "policy_step.h"),
        options=OPTIONS,
        kernels=("policy_step",),
        threads=threads,
        shared={"policy_step": shared},
        capability=CAPABILITY,
    )


def _shared_bytes(inputs: int, hidden: int, heads: int, core: str, rows: int) -> int:
    """What a block has, as the header lays it out: what goes into a layer, what comes out, an LSTM's h, the heads."""

    def buffer(width: int) -> int:
        padded = -(-width // 16) * 16
        return (rows - 1) * (padded | 16) + (rows - 1) // 2 * 8 + padded

    columns = buffer(max(inputs, hidden)) + buffer(hidden) * (2 if core == "lstm" else 1)
    return 4 * (columns + rows * heads * (SHARES + 1))


class PolicyStep:
    """The kernel of `policy_program` for one policy, launched on torch's current stream.

    `parameters` are the encoder's weight and bias, the heads', and each layer's: w_ih, w_hh, b_ih and b_hh of an LSTM,
    else weight and bias.
    """

    def __init__(self, launcher: Launcher, parameters: Sequence[Tensor], hidden: int, layers: int, core: str) -> None:
        self._launcher, self._parameters = launcher, parameters
        self._rows, self._struct = block_rows(hidden), arguments(layers, core)

    def act(
        self,
        observations: Tensor,
        state: Tensor,
        uniform: Tensor,
        actions: Tensor,
        logprobs: Tensor,
        values: Tensor,
        *,
        ended: Tensor | None = None,
        cut: Tensor | None = None,
        step: Tensor | None = None,
    ) -> None:
        """Actions, their log-probabilities and values [N] for observations [N, D] and numbers [N] in [0, 1); the state
        [layers, parts, N, hidden] moves on by a step. An agent whose `ended` or `cut`, uint8 [N], is not 0 starts from
        an empty state.

        Without `step` all but the state are rows. With it, an int64 [1] of the device's, they are columns [T, N, ...]
        of which that row is read and written. Columns and state may be those of some agents among more.
        """
        rows, hidden = state.shape[2:]
        self._launch(
            rows,
            observations=observations.data_ptr(),
            state=state.data_ptr(),
            ended=None if ended is None else ended.data_ptr(),
            cut=None if cut is None else cut.data_ptr(),
            step=None if step is None else step.data_ptr(),
            uniform=uniform.data_ptr(),
            actions=actions.data_ptr(),
            logprobs=logprobs.data_ptr(),
            values=values.data_ptr(),
            agents=state.stride(1) // hidden if state.numel() else uniform.stride(0),
        )

    def try_all(self) -> None:
        """Launches the kernel on nothing."""
        self._launch(0)

    def _launch(self, rows: int, **values: int | None) -> None:
        # An optimizer may have moved the parameters since the last launch.
        addresses = [parameter.data_ptr() for parameter in self._parameters]
        pair, others = ctypes.c_void_p * 2, ctypes.c_void_p * (len(addresses) - 4)
        given = self._struct(
            encoder=pair(*addresses[:2]),
            heads=pair(*addresses[2:4]),
            layers=others(*addresses[4:]),
            rows=rows,
            **values,
        )
        self._launcher.launch("policy_step", max(1, -(-rows // self._rows)), given)


def policy_step(
    device: torch.device,
    parameters: Sequence[Tensor],
    layers: int,
    core: str,
    warn: Callable[[str], None] = lambda text: None,
) -> PolicyStep | None:
    """The kernel for a policy with these parameters (see `PolicyStep`) on a CUDA device, or None where there is none for
    this shape, or where it cannot be had, and then `warn` hears why."""
    (hidden, inputs), heads = parameters[0].shape, len(parameters[3])
    if hidden not in HIDDEN or heads > MOST_HEADS:
        return None
    return load_kernels(
        policy_program(inputs, hidden, layers, heads, core),
        device,
        lambda launcher: PolicyStep(launcher, parameters, hidden, layers, core),
        PolicyStep.try_all,
        "a step of the rollout",
        warn,
    )
