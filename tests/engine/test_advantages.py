"""GAE with V-trace clipping against an independent slow version."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine import advantages as module
from engine.advantages import AdvantageSettings, compute_advantages


def slow(
    rewards: np.ndarray,
    values: np.ndarray,
    ratios: np.ndarray,
    done: np.ndarray,
    final: np.ndarray,
    bootstrap: np.ndarray,
    s: AdvantageSettings,
) -> np.ndarray:
    """Straight from the definition, one agent and one step at a time, in double precision."""
    horizon, agents = rewards.shape
    out = np.zeros((horizon, agents))
    for n in range(agents):
        for t in range(horizon):
            # Sum of discounted, trace-weighted temporal differences from t until the episode or the segment ends.
            weight, total = 1.0, 0.0
            for k in range(t, horizon):
                if done[k, n]:
                    following = float(final[k, n])
                elif k + 1 < horizon:
                    following = float(values[k + 1, n])
                else:
                    following = float(bootstrap[n])
                delta = min(ratios[k, n], s.rho_clip) * (rewards[k, n] + s.gamma * following - values[k, n])
                total += weight * delta
                if done[k, n]:
                    break
                weight *= s.gamma * s.gae_lambda * min(ratios[k, n], s.c_clip)
            out[t, n] = total
    return out


def data(horizon: int = 19, agents: int = 300, on_policy: bool = False, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    done = (rng.random((horizon, agents)) < 0.15).astype(np.uint8)
    cut = done * (rng.random((horizon, agents)) < 0.5)
    return [
        rng.normal(size=(horizon, agents)).astype(np.float32),
        rng.normal(size=(horizon, agents)).astype(np.float32),
        np.ones((horizon, agents), np.float32)
        if on_policy
        else rng.lognormal(size=(horizon, agents)).astype(np.float32),
        done,
        (cut * rng.normal(size=(horizon, agents))).astype(np.float32),
        rng.normal(size=agents).astype(np.float32),
    ]


@pytest.mark.parametrize("settings", [AdvantageSettings(0.99, 0.95, 1.0, 1.0), AdvantageSettings(0.9, 0.5, 0.7, 1.3)])
def test_the_kernel_equals_the_definition(settings: AdvantageSettings) -> None:
    arrays = data()
    out = torch.empty(19, 300)
    compute_advantages(*(torch.from_numpy(a) for a in arrays), settings, out=out)
    np.testing.assert_allclose(out.numpy(), slow(*arrays, settings), atol=2e-5)


def test_the_torch_path_equals_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = [torch.from_numpy(a) for a in data()]
    settings = AdvantageSettings(0.97, 0.9, 0.8, 1.1)
    expected, out = torch.empty(19, 300), torch.empty(19, 300)
    compute_advantages(*arrays, settings, out=expected)

    def refuse(*_: object) -> None:
        raise AssertionError("the kernel is not for this device")

    monkeypatch.setattr(module._kernels, "advantages", refuse)
    module.torch_advantages(*arrays, settings, out=out)
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-5)


def test_with_fresh_data_it_is_plain_gae() -> None:
    """With every ratio 1 and clips of at least 1 the advantages are those of Schulman's recursion."""
    rewards, values, ratios, done, final, bootstrap = data(on_policy=True)
    out = torch.empty(19, 300)
    compute_advantages(
        *(torch.from_numpy(a) for a in (rewards, values, ratios, done, np.zeros_like(final), bootstrap)),
        AdvantageSettings(0.99, 0.95, 1.0, 1.0),
        out=out,
    )
    running = np.zeros(300)
    for t in reversed(range(19)):
        following = values[t + 1] if t < 18 else bootstrap
        alive = 1.0 - done[t]
        running = rewards[t] + 0.99 * alive * following - values[t] + 0.99 * 0.95 * alive * running
        np.testing.assert_allclose(out[t].numpy(), running, atol=2e-5)


def test_a_truncation_is_bootstrapped_and_a_termination_is_not() -> None:
    one, zero = torch.ones(1, 1), torch.zeros(1, 1)
    end = torch.ones(1, 1, dtype=torch.uint8)
    settings = AdvantageSettings(0.5, 0.9, 1.0, 1.0)
    out = torch.empty(1, 1)
    compute_advantages(zero, zero, one, end, zero, torch.tensor([8.0]), settings, out=out)
    assert out.item() == 0.0, "a terminal step must not see the value behind it"
    compute_advantages(zero, zero, one, end, torch.full((1, 1), 8.0), torch.tensor([3.0]), settings, out=out)
    assert out.item() == 4.0, "a truncated step sees half (gamma) of its last observation's value"
