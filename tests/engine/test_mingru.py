"""The MinGRU: its fused pass, its parallel scan and a slow loop agree, with resets."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from engine import _kernels
from engine.mingru import MinGRU, linear_scan

HIDDEN = 12


def make(layers: int = 1) -> MinGRU:
    core = MinGRU(HIDDEN, layers)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in core.parameters():
            parameter.normal_(0, 0.5, generator=generator)
    return core


def segments(steps: int, count: int, layers: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(steps, count, HIDDEN, generator=generator)
    state = torch.randn(layers, 1, count, HIDDEN, generator=generator)
    resets = (torch.rand(steps, count, generator=generator) < 0.25).to(torch.uint8)
    return inputs, state, resets


def slow(core: MinGRU, inputs: torch.Tensor, state: torch.Tensor, resets: torch.Tensor) -> np.ndarray:
    """One number at a time, from the formulas, in double precision."""

    def sigmoid(x: float) -> float:
        return 1 / (1 + math.exp(-x))

    steps, count, hidden = inputs.shape
    values = inputs.double().numpy().copy()
    for layer, linear in enumerate(core.gates):
        weight, bias = linear.weight.detach().double().numpy(), linear.bias.detach().double().numpy()
        for agent in range(count):
            h = state[layer, 0, agent].double().numpy().copy()
            for t in range(steps):
                if t and resets[t, agent]:
                    h[:] = 0
                x = values[t, agent].copy()
                raw = weight @ x + bias
                for k in range(hidden):
                    c, z, s = raw[k], sigmoid(raw[hidden + k]), sigmoid(raw[2 * hidden + k])
                    h[k] = (1 - z) * h[k] + z * (c + 0.5 if c >= 0 else sigmoid(c))
                    values[t, agent, k] = s * h[k] + (1 - s) * x[k]
    return values


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("layers", [1, 2])
def test_both_paths_equal_the_formulas(fused: bool, layers: int) -> None:
    core = make(layers)
    core.fused = fused
    inputs, state, resets = segments(11, 4, layers)
    outputs = core.unroll(inputs, state, resets)
    np.testing.assert_allclose(outputs.detach().numpy(), slow(core, inputs, state, resets), atol=2e-6)


@pytest.mark.parametrize("layers", [1, 3])
def test_fused_gradients_agree_with_those_of_the_scan(layers: int) -> None:
    core = make(layers)
    inputs, state, resets = segments(13, 6, layers)
    weight = torch.linspace(-1, 1, inputs.numel()).view_as(inputs)
    found = []
    for fused in (True, False):
        core.fused = fused
        leaf = inputs.clone().requires_grad_()
        found.append(torch.autograd.grad((core.unroll(leaf, state, resets) * weight).sum(), [leaf, *core.parameters()]))
    for one, two in zip(*found, strict=True):
        assert (one - two).norm() <= 1e-4 * two.norm()


@pytest.mark.parametrize("steps", [1, 2, 7, 64])
def test_the_scan_equals_the_loop(steps: int) -> None:
    generator = torch.Generator().manual_seed(2)
    factors, terms = torch.rand(steps, 3, 5, generator=generator), torch.randn(steps, 3, 5, generator=generator)
    factors[torch.rand(steps, 3, 5, generator=generator) < 0.2] = 0.0
    hidden = start = torch.randn(3, 5, generator=generator)
    scanned = linear_scan(factors, terms, start)
    for t in range(steps):
        hidden = factors[t] * hidden + terms[t]
        torch.testing.assert_close(scanned[t], hidden)


def test_stepping_one_by_one_equals_the_unroll() -> None:
    core = make(2)
    inputs, state, resets = segments(9, 5, 2)
    outputs = core.unroll(inputs, state, torch.zeros_like(resets))
    for t in range(9):
        output, state = core.step(inputs[t], state)
        torch.testing.assert_close(output, outputs[t], atol=1e-6, rtol=1e-5)


def test_the_kernel_refuses_buffers_that_do_not_fit() -> None:
    raw, inputs, start = (np.zeros(shape, np.float32) for shape in ((6, 12), (6, 4), (3, 4)))
    resets, states, outputs = np.zeros((2, 3), np.uint8), np.zeros((6, 4), np.float32), np.zeros((6, 4), np.float32)
    _kernels.mingru_forward(raw, inputs, start, resets, states, outputs)
    with pytest.raises(ValueError, match="shape"):
        _kernels.mingru_forward(raw[:, :8].copy(), inputs, start, resets, states, outputs)
    with pytest.raises(ValueError, match="shape"):
        _kernels.mingru_forward(raw, inputs, start, resets, states, outputs[:5])
