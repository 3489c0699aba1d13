"""A step of the rollout in one launch on a GPU (engine/kernels/policy_step.h): encoder, core, heads and action.

Layer by layer it takes a dozen launches, each of which lasts a few microseconds however little it has to do, and a
horizon has as many steps as all updates have minibatches, many times over. It multiplies on tensor cores, in TF32.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from c_envs.device import DeviceProgram
from engine.device_environments import Launcher
from engine.device_kernels import OPTIONS, headers, layout, load_kernels

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


class Arguments(NamedTuple):
    """The structs of these names in the header."""

    policy_step: type[ctypes.Structure]
    pack_weights: type[ctypes.Structure]


@cache
def arguments(layers: int, core: str) -> Arguments:
    """Those for a core of this kind and so many layers."""
    pointer, each = ctypes.c_void_p, 2 if core == "lstm" else 1

    class PolicyStep(ctypes.Structure):
        _fields_ = (
            *layout("observations state ended cut cut_state cut_at step uniform actions logprobs values", ""),
            *layout("packed encoder_bias", ""),
            ("heads", pointer * 2),
            ("biases", pointer * (layers * each)),
            *layout("", "rows agents time"),
        )

    class PackWeights(ctypes.Structure):
        _fields_ = (("encoder", pointer), ("layers", pointer * (layers * each)), ("packed", pointer))

    return Arguments(PolicyStep, PackWeights)


def policy_program(inputs: int, hidden: int, layers: int, heads: int, core: str) -> DeviceProgram:
    """The kernel for a policy of this shape as a program for the run-time compiler."""
    rows, threads = block_rows(hidden), 4 * hidden
    shared = _shared_bytes(inputs, hidden, heads, core, rows)
    sizes = [ctypes.sizeof(each) for each in arguments(layers, core)]
    return DeviceProgram(
        name="policy_step.cu",
        source=f"""#define POLICY_INPUTS {inputs}
#define POLICY_UNITS {hidden}
#define POLICY_LAYERS {layers}
#define POLICY_HEADS {heads}
#define POLICY_CORE {CORES[core]}
#define POLICY_ROWS {rows}
#include "policy_step.h"
static_assert(sizeof(PolicyStep) == {sizes[0]}, "the host passes as many bytes");
static_assert(sizeof(PackWeights) == {sizes[1]}, "the host passes as many bytes");
static_assert(PACKED_WORDS * sizeof(Words) == {packed_bytes(inputs, hidden, layers, core)}, "the host has as many");
static_assert(POLICY_THREADS == {threads}, "blocks have as many threads as are launched");
static_assert(Memory::BYTES == {shared}, "blocks have as much memory as they are launched with");
""",
        headers=headers("device.h", "real.h", "mma.h", "action.h", "policy_step.h"),
        options=OPTIONS,
        kernels=("policy_step", "pack_weights"),
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
    return 4 * (columns + rows * heads * (SHARES + 1) + rows)


def packed_bytes(inputs: int, hidden: int, layers: int, core: str) -> int:
    """What packed weights take, whose rows are filled up to multiples of 16 numbers."""
    gates, matrices = {"none": (1, 1), "mingru": (3, 1), "lstm": (4, 2)}[core]
    return 4 * hidden * (-(-inputs // 16) * 16 + layers * matrices * gates * hidden)


class PolicyStep:
    """The kernels of `policy_program` for one policy, launched on torch's current stream.

    `parameters` are the encoder's weight and bias, the heads', and each layer's: w_ih, w_hh, b_ih and b_hh of an LSTM,
    else weight and bias.
    """

    def __init__(self, launcher: Launcher, parameters: Sequence[Tensor], hidden: int, layers: int, core: str) -> None:
        self._launcher, self._parameters = launcher, parameters
        self._rows, self._threads, self._struct = block_rows(hidden), 4 * hidden, arguments(layers, core)
        size = packed_bytes(parameters[0].shape[1], hidden, layers, core)
        self._packed = torch.empty(size, dtype=torch.uint8, device=parameters[0].device)

    def pack(self) -> None:
        """Takes the weights as they are now, for the steps that follow: before the first one, and whenever they have
        changed."""
        encoder, *_ = self._parameters
        weights = [each.data_ptr() for each in self._parameters[4:] if each.ndim == 2]
        given = self._struct.pack_weights(
            encoder=encoder.data_ptr(),
            layers=(ctypes.c_void_p * len(weights))(*weights),
            packed=self._packed.data_ptr(),
        )
        self._launcher.launch("pack_weights", -(-self._packed.numel() // (16 * self._threads)), given)

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
        cut_state: Tensor | None = None,
        cut_at: Tensor | None = None,
        step: Tensor | int = 0,
    ) -> None:
        """Actions, their log-probabilities and values [N] for observations [N, D] and numbers [N] in [0, 1); the state
        [layers, parts, N, hidden] moves on by a step.

        `ended` and `cut`, uint8 [N], tell how the step before ended: where one is not 0 an agent starts from an empty
        state. Where `cut` is not 0, or `ended` is above 1, a time limit has cut the episode: then its state goes to
        `cut_state` before, and the number of the step that cut it to `cut_at`, int64 [N].

        With a number for `step` all but the states are rows. Where it is an int64 [1] of the device's, they are columns
        [T, N, ...] of which that row is read and written. Columns and states may be those of some agents among more.
        """
        rows, hidden = state.shape[2:]
        counted = isinstance(step, Tensor)
        self._launch(
            rows,
            observations=observations,
            state=state,
            ended=ended,
            cut=cut,
            cut_state=cut_state,
            cut_at=cut_at,
            step=step if counted else None,
            uniform=uniform,
            actions=actions,
            logprobs=logprobs,
            values=values,
            agents=state.stride(1) // hidden if state.numel() else uniform.stride(0),
            time=0 if counted else step,
        )

    def try_all(self) -> None:
        """Packs, and takes nobody a step."""
        self.pack()
        self._launch(0)

    def _launch(self, rows: int, **values: Tensor | int | None) -> None:
        # An optimizer may have moved the parameters since the last launch.
        encoder_bias, *heads = (each.data_ptr() for each in self._parameters[1:4])
        biases = [each.data_ptr() for each in self._parameters[4:] if each.ndim == 1]
        given = self._struct.policy_step(
            packed=self._packed.data_ptr(),
            encoder_bias=encoder_bias,
            heads=(ctypes.c_void_p * 2)(*heads),
            biases=(ctypes.c_void_p * len(biases))(*biases),
            rows=rows,
            **{name: value.data_ptr() if isinstance(value, Tensor) else value for name, value in values.items()},
        )
        self._launcher.launch("policy_step", max(1, -(-rows // self._rows)), given)


def policy_step(
    device: torch.device,
    parameters: Sequence[Tensor],
    layers: int,
    core: str,
    warn: Callable[[str], None] = lambda text: None,
) -> PolicyStep | None:
    """The kernels for a policy with these parameters (see `PolicyStep`) on a CUDA device, or None where there are none
    for this shape, or where they cannot be had, and then `warn` hears why."""
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
