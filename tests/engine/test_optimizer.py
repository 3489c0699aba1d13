"""Muon and Adam against torch's own, clipping and schedules against their definitions."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from engine.optimizer import Optimizer, OptimizerSettings, clip_by_global_norm, orthogonalize
from engine.policy import Policy
from engine.schedules import annealed_beta, learning_rate_factor

SETTINGS = OptimizerSettings(muon=True, muon_momentum=0.95, adam_beta1=0.9, adam_beta2=0.999, adam_eps=1e-8)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.encoder = nn.Parameter(torch.randn(12, 30, generator=generator))
        self.core = nn.Parameter(torch.randn(40, 12, generator=generator))
        self.bias = nn.Parameter(torch.randn(40, generator=generator))
        self.heads = nn.Parameter(torch.randn(4, 12, generator=generator))


def gradients(net: nn.Module, step: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(100 + step)
    return [torch.randn(p.shape, generator=generator) for p in net.parameters()]


@pytest.mark.parametrize("shape", [(8, 8), (4, 16), (16, 4), (128, 118)])
def test_orthogonalize_brings_every_singular_value_near_one(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalize(matrix))
    assert values.min() > 0.6
    assert values.max() < 1.25


@pytest.mark.parametrize("shape", [(6, 15), (15, 6), (10, 12)])
def test_orthogonalize_follows_the_polynomial_on_each_singular_value(shape: tuple[int, int]) -> None:
    """Newton-Schulz acts on singular values alone: the slow version does it through the SVD, in double precision."""
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(3))
    u, s, v = torch.linalg.svd(matrix.double(), full_matrices=False)
    s = s / matrix.double().norm()
    for _ in range(5):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    torch.testing.assert_close(orthogonalize(matrix).double(), u @ torch.diag(s) @ v, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("shape", [(6, 15), (15, 6), (10, 12)])
def test_several_matrices_are_orthogonalized_at_once_as_one_by_one(shape: tuple[int, int]) -> None:
    matrices = (
        torch.randn(3, *shape, generator=torch.Generator().manual_seed(4)) * torch.tensor([1e-3, 1, 50])[:, None, None]
    )
    torch.testing.assert_close(orthogonalize(matrices), torch.stack([orthogonalize(each) for each in matrices]))


def test_muon_moves_matrices_as_torch_muon_does() -> None:
    """torch.optim.Muon iterates in bfloat16, hence the tolerance."""
    ours, oracle_net = Net(), Net()
    optimizer = Optimizer(ours, SETTINGS)
    optimizer.set_rates(0.02, 0.001, 0.0)
    oracle = torch.optim.Muon([oracle_net.encoder, oracle_net.core], lr=0.02, momentum=0.95, weight_decay=0.0)
    start = [p.detach().clone() for p in ours.parameters()]
    for step in range(5):
        grads = gradients(ours, step)
        optimizer.step([g.clone() for g in grads])
        for parameter, gradient in zip(oracle_net.parameters(), grads, strict=True):
            parameter.grad = gradient.clone()
        oracle.step()
    for index, name in ((0, "encoder"), (1, "core")):
        moved = getattr(ours, name).detach() - start[index]
        expected = getattr(oracle_net, name).detach() - start[index]
        assert (moved - expected).norm() < 0.03 * expected.norm()


def test_the_rest_moves_as_torch_adam_does() -> None:
    ours, oracle_net = Net(), Net()
    optimizer = Optimizer(ours, SETTINGS)
    optimizer.set_rates(0.02, 0.003, 0.0)
    oracle = torch.optim.Adam([oracle_net.bias, oracle_net.heads], lr=0.003)
    for step in range(6):
        grads = gradients(ours, step)
        optimizer.step([g.clone() for g in grads])
        for parameter, gradient in zip(oracle_net.parameters(), grads, strict=True):
            parameter.grad = gradient.clone()
        oracle.step()
    torch.testing.assert_close(ours.bias, oracle_net.bias)
    torch.testing.assert_close(ours.heads, oracle_net.heads)


def test_with_adam_alone_every_parameter_is_adams() -> None:
    ours, oracle_net = Net(), Net()
    optimizer = Optimizer(ours, OptimizerSettings(False, 0.95, 0.9, 0.99, 1e-8))
    optimizer.set_rates(0.01, 5.0, 0.1)
    matrices = [p for p in oracle_net.parameters() if p.ndim == 2]
    oracle = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": [oracle_net.bias], "weight_decay": 0.0}],
        lr=0.01,
        betas=(0.9, 0.99),
    )
    for step in range(4):
        grads = gradients(ours, step)
        optimizer.step([g.clone() for g in grads])
        for parameter, gradient in zip(oracle_net.parameters(), grads, strict=True):
            parameter.grad = gradient.clone()
        oracle.step()
    for mine, theirs in zip(ours.parameters(), oracle_net.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs)


def test_muon_takes_encoder_and_core_and_leaves_the_heads() -> None:
    policy = Policy(10, 3, hidden=8)
    optimizer = Optimizer(policy, SETTINGS)
    chosen = {name for name, muon in zip(optimizer.names, optimizer.uses_muon, strict=True) if muon}
    assert chosen == {"encoder.weight", "core.weight_ih_l0", "core.weight_hh_l0"}


def test_saved_moments_continue_the_same_path() -> None:
    one, two = Net(), Net()
    first, second = Optimizer(one, SETTINGS), Optimizer(two, SETTINGS)
    for optimizer in (first, second):
        optimizer.set_rates(0.02, 0.001, 0.01)
    for step in range(3):
        first.step(gradients(one, step))
    two.load_state_dict(one.state_dict())
    second.load_tensors({name: tensor.clone() for name, tensor in first.state_tensors().items()})
    for step in range(3, 5):
        first.step(gradients(one, step))
        second.step(gradients(two, step))
    for mine, theirs in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize("muon", [True, False])
@pytest.mark.parametrize("core", ["lstm", "mingru", "none"])
def test_joined_parameters_move_as_each_does_alone(core: str, muon: bool) -> None:
    alone, joined = (Policy(10, 3, core=core, hidden=8, layers=2) for _ in range(2))
    for policy in (alone, joined):
        policy.initialize(torch.Generator().manual_seed(1))
    settings = OptimizerSettings(muon, 0.95, 0.9, 0.999, 1e-8)
    one, other = Optimizer(alone, settings, joined=False), Optimizer(joined, settings, joined=True)
    assert len(one.groups) == len(one.parameters)
    assert len(other.groups) == (3 if muon else 1), "the encoder's matrix, the core's, and the rest"
    for step in range(4):
        for optimizer, policy in ((one, alone), (other, joined)):
            optimizer.set_rates(0.02, 0.01, 0.3)
            optimizer.step(gradients(policy, step))
    for name, value in one.weights().items():
        torch.testing.assert_close(other.weights()[name], value, msg=lambda text, name=name: f"{name}: {text}")
    for optimizer in (one, other):
        assert sum(tensor.numel() for tensor in optimizer.held()) == sum(
            tensor.numel() for tensor in optimizer.weights().values()
        )


def test_what_was_saved_of_joined_moments_is_what_each_has_alone() -> None:
    one, two = Policy(10, 3, hidden=8), Policy(10, 3, hidden=8)
    one.initialize(torch.Generator().manual_seed(1))
    first, second = Optimizer(one, SETTINGS, joined=True), Optimizer(two, SETTINGS, joined=False)
    for optimizer in (first, second):
        optimizer.set_rates(0.02, 0.001, 0.01)
    first.step(gradients(one, 0))
    two.load_state_dict(one.state_dict())
    second.load_tensors(first.state_tensors())
    first.step(gradients(one, 1))
    second.step(gradients(two, 1))
    for mine, theirs in zip(one.parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs)


def test_gradients_are_clipped_by_their_joint_norm() -> None:
    parts = [torch.full((3,), 2.0), torch.full((2, 2), -1.0)]
    norm = clip_by_global_norm(parts, 1.0)
    assert norm.item() == pytest.approx(4.0)
    assert math.sqrt(sum(float(p.square().sum()) for p in parts)) == pytest.approx(1.0, rel=1e-5)
    small = [torch.full((3,), 0.1)]
    clip_by_global_norm(small, 1.0)
    assert torch.equal(small[0], torch.full((3,), 0.1))


def test_learning_rate_factors_meet_their_fixed_points() -> None:
    for schedule in ("cosine", "linear", "constant"):
        assert learning_rate_factor(schedule, 0, 1000, 0, 0.1) == pytest.approx(1.0)
        assert learning_rate_factor(schedule, 49, 1000, 99, 0.1) == pytest.approx(0.5)
    assert learning_rate_factor("cosine", 500, 1000, 0, 0.0) == pytest.approx(0.5)
    assert learning_rate_factor("cosine", 250, 1000, 0, 0.0) == pytest.approx((1 + math.sqrt(0.5)) / 2)
    assert learning_rate_factor("linear", 250, 1000, 0, 0.2) == pytest.approx(0.8)
    assert learning_rate_factor("constant", 999, 1000, 0, 0.2) == 1.0
    assert learning_rate_factor("cosine", 5000, 1000, 0, 0.1) == pytest.approx(0.1), (
        "never below the floor, even past the end"
    )


def test_beta_reaches_one_at_the_end() -> None:
    assert annealed_beta(0.4, 0.0) == 0.4
    assert annealed_beta(0.4, 0.5) == pytest.approx(0.7)
    assert annealed_beta(0.4, 1.0) == annealed_beta(0.4, 2.0) == 1.0
