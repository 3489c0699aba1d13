"""Segments with resets for the recurrent cores, and what a path through a core makes of them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from engine.device_graph import GraphedCall
from engine.lstm import LSTM
from engine.mingru import MinGRU

Core = LSTM | MinGRU
CORES: tuple[type[Core], ...] = (LSTM, MinGRU)
SHAPES = [(1, 1, 1), (1, 5, 7), (2, 300, 1), (7, 4, 3), (8, 3, 5), (13, 8, 24), (33, 17, 31)]
"""Steps, segments, units."""


def make_core(kind: type[Core], hidden: int, layers: int = 1, device: str = "cpu") -> Core:
    """A core with weights of a seed."""
    core = kind(hidden, layers)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in core.parameters():
            parameter.normal_(0, 0.3, generator=generator)
    return core.to(device)


def segments(core: Core, steps: int, count: int, hidden: int, device: str = "cpu") -> tuple[Tensor, Tensor, Tensor]:
    """Inputs, first state, and resets at random, in the first and the last step, too."""
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(steps, count, hidden, generator=generator)
    state = torch.randn(core.layers, core.parts, count, hidden, generator=generator)
    resets = (torch.rand(steps, count, generator=generator) < 0.25).to(torch.uint8)
    resets[0, 0] = resets[-1, -1] = 1
    return inputs.to(device), state.to(device), resets.to(device)


def outputs_and_gradients(
    core: Core, inputs: Tensor, state: Tensor, resets: Tensor, autocast: bool = False
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Outputs, and of a sum with uneven weights over them the gradients of the inputs and of every parameter.

    Under autocast the inputs are bfloat16, as those that come from the encoder are.
    """
    weight = torch.linspace(-1, 1, inputs.numel(), device=inputs.device).view_as(inputs) + 0.01
    leaf = inputs.clone().requires_grad_()
    with torch.autocast(inputs.device.type, torch.bfloat16, enabled=autocast):
        outputs = core.unroll(leaf.bfloat16() if autocast else leaf, state, resets)
    return outputs.detach().clone(), torch.autograd.grad((outputs * weight).sum(), [leaf, *core.parameters()])


def closeness(found: Tensor | Sequence[Tensor], expected: Tensor | Sequence[Tensor]) -> float:
    """The largest error of a tensor, by its norm, in parts of the norm of what was expected."""
    if isinstance(found, Tensor) and isinstance(expected, Tensor):
        return float((found.float() - expected).norm() / expected.norm())
    return max(closeness(one, two) for one, two in zip(found, expected, strict=True))


def assert_a_graph_holds(core: Core, inputs: Tensor, state: Tensor, resets: Tensor, autocast: bool) -> None:
    """Recorded as a graph the core goes through segments and back as it does without, also when they have changed."""
    kept: list[Tensor] = []

    def work() -> None:
        outputs, gradients = outputs_and_gradients(core, inputs, state, resets, autocast)
        results = [outputs.float(), *gradients]
        if not kept:
            kept.extend(torch.zeros_like(each) for each in results)
        for to, each in zip(kept, results, strict=True):
            to.copy_(each)

    call = GraphedCall(work, "unroll", inputs.device, pytest.fail)
    for _ in range(3):
        call()
    assert call.recorded
    inputs.copy_(inputs.flip(0))
    resets.copy_(resets.flip(1))
    call()
    outputs, gradients = outputs_and_gradients(core, inputs, state, resets, autocast)
    torch.testing.assert_close(kept[0], outputs.float())
    assert closeness(kept[1:], gradients) <= 1e-5
