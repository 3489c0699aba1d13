"""The LSTM with resets: the fused path, the plain path and torch.nn.LSTM agree."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from engine import _kernels
from engine.lstm import LSTM
from engine.policy import Policy

HIDDEN = 24


def make(layers: int = 1, seed: int = 0) -> LSTM:
    core = LSTM(HIDDEN, layers)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in core.parameters():
            parameter.normal_(0, 0.3, generator=generator)
    return core


def segments(steps: int, count: int, layers: int, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(steps, count, HIDDEN, generator=generator)
    state = torch.randn(layers, 2, count, HIDDEN, generator=generator)
    resets = (torch.rand(steps, count, generator=generator) < 0.25).to(torch.uint8)
    resets[0] = 0
    return inputs, state, resets


@pytest.mark.parametrize("layers", [1, 2])
def test_without_resets_the_plain_path_is_torch_lstm(layers: int) -> None:
    core = make(layers)
    core.fused = False
    oracle = torch.nn.LSTM(HIDDEN, HIDDEN, layers)
    oracle.load_state_dict(core.state_dict())
    inputs, state, resets = segments(9, 5, layers)
    expected, _ = oracle(inputs, (state[:, 0].contiguous(), state[:, 1].contiguous()))
    torch.testing.assert_close(core.unroll(inputs, state, torch.zeros_like(resets)), expected)


@pytest.mark.parametrize("layers", [1, 2])
def test_a_reset_inside_a_segment_equals_a_fresh_start_there(layers: int) -> None:
    """Each agent's pieces between resets, run alone through torch.nn.LSTM from zeros, give the same outputs."""
    core = make(layers)
    oracle = torch.nn.LSTM(HIDDEN, HIDDEN, layers)
    oracle.load_state_dict(core.state_dict())
    inputs, state, resets = segments(17, 6, layers)
    outputs = core.unroll(inputs, state, resets)
    for agent in range(inputs.shape[1]):
        starts = [0, *[t for t in range(1, 17) if resets[t, agent]], 17]
        for first, stop in itertools.pairwise(starts):
            begin = state[:, :, agent : agent + 1] if first == 0 else torch.zeros(layers, 2, 1, HIDDEN)
            piece, _ = oracle(
                inputs[first:stop, agent : agent + 1], (begin[:, 0].contiguous(), begin[:, 1].contiguous())
            )
            torch.testing.assert_close(outputs[first:stop, agent : agent + 1], piece, atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("layers", [1, 3])
def test_fused_outputs_and_gradients_agree_with_the_plain_path(layers: int) -> None:
    core = make(layers)
    inputs, state, resets = segments(13, 8, layers)
    weight = torch.linspace(-1, 1, 13 * 8 * HIDDEN).view(13, 8, HIDDEN)
    found = []
    for fused in (True, False):
        core.fused = fused
        leaf = inputs.clone().requires_grad_()
        outputs = core.unroll(leaf, state, resets)
        kept = outputs.detach().clone()  # the way back overwrites the outputs of the fused path
        gradients = torch.autograd.grad((outputs * weight).sum(), [leaf, *core.parameters()])
        found.append((kept, gradients))
    torch.testing.assert_close(found[0][0], found[1][0], atol=2e-6, rtol=1e-5)
    for fused_gradient, plain_gradient in zip(found[0][1], found[1][1], strict=True):
        assert (fused_gradient - plain_gradient).norm() <= 1e-4 * plain_gradient.norm()


def test_stepping_one_by_one_equals_the_unroll() -> None:
    policy = Policy(10, 4, hidden=HIDDEN, layers=2)
    policy.initialize(torch.Generator().manual_seed(0))
    observations = torch.randn(7, 5, 10, generator=torch.Generator().manual_seed(1))
    state = policy.initial_state(5)
    logits, values = policy.unroll(observations, state, torch.zeros(7, 5, dtype=torch.uint8))
    for t in range(7):
        step_logits, step_values, state = policy.step(observations[t], state)
        torch.testing.assert_close(step_logits, logits[t], atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(step_values, values[t], atol=1e-6, rtol=1e-5)


def test_the_gate_kernel_stays_finite_and_accurate_at_extreme_inputs() -> None:
    gates = np.array([[-1e30, -200.0, -90.0, -20.0, 0.0, 1e-4, 20.0, 200.0] * 4], dtype=np.float32)
    reference = gates.astype(np.float64).reshape(4, 8).clip(-1e3, 1e3)
    cell = np.full((1, 8), 0.5, dtype=np.float32)
    after, output, carried = (np.zeros((1, 8), dtype=np.float32) for _ in range(3))
    _kernels.lstm_forward(gates, cell, None, after, output, carried, None)
    with np.errstate(over="ignore"):
        i, f, o = (1 / (1 + np.exp(-reference[k])) for k in (0, 1, 3))
    expected = f * 0.5 + i * np.tanh(reference[2])
    np.testing.assert_allclose(after[0], expected, atol=3e-7)
    np.testing.assert_allclose(output[0], o * np.tanh(expected), atol=5e-7)
    np.testing.assert_array_equal(output, carried)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cell": np.zeros((2, 4), dtype=np.float64)}, "format"),
        ({"next": np.zeros((2, 5), dtype=np.float32)}, "shape"),
        ({"gates": np.zeros((2, 15), dtype=np.float32)}, "shape"),
        ({"output": np.zeros((4, 2), dtype=np.float32).T}, "contiguous"),
        ({"reset": np.zeros(3, dtype=np.uint8)}, "shape"),
    ],
)
def test_kernels_refuse_wrong_buffers(change: dict[str, np.ndarray], message: str) -> None:
    buffers: dict[str, np.ndarray | None] = {
        "gates": np.zeros((2, 16), dtype=np.float32),
        "cell": np.zeros((2, 4), dtype=np.float32),
        "reset": None,
        "next": np.zeros((2, 4), dtype=np.float32),
        "output": np.zeros((2, 4), dtype=np.float32),
        "carried": np.zeros((2, 4), dtype=np.float32),
        "reset_next": None,
    }
    with pytest.raises((TypeError, ValueError, BufferError), match=message):
        _kernels.lstm_forward(*(buffers | change).values())


def test_kernels_refuse_a_read_only_buffer() -> None:
    frozen = np.zeros((2, 16), dtype=np.float32)
    frozen.flags.writeable = False
    others = [np.zeros((2, 4), dtype=np.float32) for _ in range(4)]
    with pytest.raises((BufferError, ValueError)):
        _kernels.lstm_forward(frozen, others[0], None, others[1], others[2], others[3], None)


def test_the_standard_network_has_the_size_that_is_quoted_for_it() -> None:
    policy = Policy(118, 3, core="lstm", hidden=128, layers=1)
    assert policy.parameter_count() == 147_844
    assert policy.forward_flops() == 293_376
    assert policy.sample_flops() == 849_920
