"""Training with matrix products in bfloat16: profiles allow it on a GPU alone, but autocast does it on a CPU, too."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from engine.policy import CORES, Policy
from engine.profile import Profile
from engine.trainer import Trainer

Make = Callable[..., Trainer]


@pytest.mark.parametrize("core", CORES)
def test_values_and_logits_are_as_fine_as_float32(core: str) -> None:
    """Values near 50 lie 0.25 apart in bfloat16; what comes of the products before the heads is far less."""
    policy = Policy(20, 3, core=core, hidden=32)
    policy.initialize(torch.Generator().manual_seed(0))
    with torch.no_grad():
        policy.heads.weight[3].mul_(5)
        policy.heads.bias[3] = 50
    generator = torch.Generator().manual_seed(1)
    observations, resets = torch.rand(16, 8, 20, generator=generator), torch.zeros(16, 8, dtype=torch.uint8)
    with torch.no_grad():
        logits, values = (each.clone() for each in policy.unroll(observations, policy.initial_state(8), resets))
        with torch.autocast("cpu", torch.bfloat16):
            found = policy.unroll(observations, policy.initial_state(8), resets)
    assert [each.dtype for each in found] == [torch.float32] * 2
    assert 1e-5 < (found[1] - values).pow(2).mean().sqrt() < 0.03
    torch.testing.assert_close(found[0], logits, atol=5e-3, rtol=0)


@pytest.mark.parametrize("core", CORES)
def test_losses_and_gradients_are_close_to_those_of_float32(make_trainer: Make, core: str) -> None:
    """The first iteration is the same rollout; later ones only stay finite."""
    exact, found = (make_trainer(f"policy.core={core}", "env.agents=32") for _ in range(2))
    found.learner.autocast = True
    first, expected = found.iterate().metrics, exact.iterate().metrics
    for name in ("loss/policy", "loss/value", "loss/entropy", "loss/grad_norm"):
        assert first[name] == pytest.approx(expected[name], rel=0.05, abs=2e-3), name
    assert first["loss/value"] != expected["loss/value"], "the products were not in bfloat16"
    for _ in range(4):
        metrics = found.iterate().metrics
        assert all(math.isfinite(value) for value in metrics.values())
        assert metrics["train/skipped"] == 0
    assert all(parameter.dtype == torch.float32 for parameter in found.policy.parameters())


@pytest.mark.parametrize("core", ["lstm", "mingru"])
def test_it_learns_the_bandit(core: str) -> None:
    profile = Profile.load("bandit.toml", [f"policy.core={core}"]).for_device("cpu")
    trainer = Trainer(profile, torch.device("cpu"))
    trainer.learner.autocast = True
    scores = []
    while trainer.progress < 1:
        scores.append(trainer.iterate().metrics.get("episode/score", 0.0))
    trainer.close()
    assert sum(scores[-5:]) / 5 > 0.9, scores[-5:]
