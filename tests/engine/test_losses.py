"""The PPO objective against a plain-Python version, one sample at a time."""

from __future__ import annotations

import math

import pytest
import torch

from engine.losses import STATISTICS, LossSettings, Targets, normalize, ppo_loss


def slow(
    logits: list[list[float]], values: list[float], rows: dict[str, list[float]], s: LossSettings
) -> tuple[float, dict[str, float]]:
    count = sum(rows["masks"])
    total, found = 0.0, dict.fromkeys(STATISTICS, 0.0)
    for k, scores in enumerate(logits):
        if not rows["masks"][k]:
            continue
        top = max(scores)
        norm = top + math.log(sum(math.exp(x - top) for x in scores))
        logs = [x - norm for x in scores]
        log_ratio = logs[int(rows["actions"][k])] - rows["logprobs"][k]
        ratio, advantage = math.exp(log_ratio), rows["advantages"][k]
        limited = min(max(ratio, 1 - s.clip), 1 + s.clip)
        policy = -min(ratio * advantage, limited * advantage)
        error = (values[k] - rows["returns"][k]) ** 2
        if s.value_clip > 0:
            near = rows["values"][k] + min(max(values[k] - rows["values"][k], -s.value_clip), s.value_clip)
            error = max(error, (near - rows["returns"][k]) ** 2)
        entropy = -sum(math.exp(x) * x for x in logs)
        total += (policy + s.value_coef * 0.5 * error - s.entropy_coef * entropy) / count
        for name, value in zip(
            STATISTICS,
            (policy, 0.5 * error, entropy, -log_ratio, ratio - 1 - log_ratio, abs(ratio - 1) > s.clip),
            strict=True,
        ):
            found[name] += float(value) / count
    return total, found


@pytest.mark.parametrize("value_clip", [0.0, 0.3])
@pytest.mark.parametrize("masked", [False, True])
def test_the_loss_is_the_sum_of_its_samples(value_clip: float, masked: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    shape = (6, 5)
    logits = torch.randn(*shape, 4, generator=generator)
    values = torch.randn(shape, generator=generator)
    masks = (torch.rand(shape, generator=generator) < 0.7).float() if masked else torch.ones(shape)
    targets = Targets(
        actions=torch.randint(0, 4, shape, generator=generator, dtype=torch.int32),
        logprobs=-torch.rand(shape, generator=generator) * 2,
        advantages=torch.randn(shape, generator=generator),
        values=torch.randn(shape, generator=generator),
        returns=torch.randn(shape, generator=generator),
        masks=masks if masked else None,
    )
    settings = LossSettings(clip=0.2, value_clip=value_clip, value_coef=0.7, entropy_coef=0.05)
    loss, ratios, statistics = ppo_loss(logits, values, targets, settings, float(masks.sum()))
    rows = {
        name: getattr(targets, name).flatten().tolist()
        for name in ("actions", "logprobs", "advantages", "values", "returns")
    }
    rows["masks"] = masks.flatten().tolist()
    expected, found = slow(logits.flatten(0, 1).tolist(), values.flatten().tolist(), rows, settings)
    assert loss.item() == pytest.approx(expected, rel=1e-4)
    for name, value in zip(STATISTICS, statistics.tolist(), strict=True):
        assert value == pytest.approx(found[name], rel=1e-4, abs=1e-6), name
    assert ratios.shape == shape
    assert torch.equal(ratios[~masks.bool()], torch.ones(int((1 - masks).sum()))), "no action, no ratio"


def test_parts_of_a_minibatch_add_up_to_the_whole() -> None:
    """Loss and statistics are sums over the whole minibatch's count, so that workers' shares can be added."""
    generator = torch.Generator().manual_seed(1)
    logits, values = torch.randn(4, 8, 3, generator=generator), torch.randn(4, 8, generator=generator)
    fields = {name: torch.randn(4, 8, generator=generator) for name in ("logprobs", "advantages", "values", "returns")}
    actions = torch.randint(0, 3, (4, 8), generator=generator, dtype=torch.int32)
    settings = LossSettings(0.1, 0.2, 0.5, 0.01)

    def part(columns: slice) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        targets = Targets(actions=actions[:, columns], masks=None, **{k: v[:, columns] for k, v in fields.items()})
        return ppo_loss(logits[:, columns], values[:, columns], targets, settings, 32.0)

    whole, left, right = part(slice(0, 8)), part(slice(0, 3)), part(slice(3, 8))
    torch.testing.assert_close(left[0] + right[0], whole[0])
    torch.testing.assert_close(left[2] + right[2], whole[2])


def test_normalized_advantages_have_mean_zero_and_deviation_one_over_live_steps() -> None:
    generator = torch.Generator().manual_seed(2)
    advantages = torch.randn(7, 9, generator=generator) * 5 + 3
    whole = normalize(advantages, None)
    assert abs(whole.mean().item()) < 1e-6
    assert whole.std().item() == pytest.approx(1.0, abs=1e-5)
    masks = (torch.rand(7, 9, generator=generator) < 0.5).float()
    live = normalize(advantages, masks)[masks.bool()]
    assert abs(live.mean().item()) < 1e-6
    assert live.std().item() == pytest.approx(1.0, abs=1e-5)
    assert torch.equal(normalize(advantages, masks)[~masks.bool()], torch.zeros(int((1 - masks).sum())))


@pytest.mark.parametrize("value", [0.1, 0.3, 1.7, 35.3, -0.61, 0.7])
@pytest.mark.parametrize("count", [3, 5, 7, 11, 100, 4097])
def test_equal_advantages_become_zero_whatever_their_mean_is_rounded_to(value: float, count: int) -> None:
    advantages = torch.full((1, count), value)
    for masks in (None, torch.ones(1, count)):
        assert torch.equal(normalize(advantages, masks), torch.zeros(1, count))
    masks = torch.ones(1, count)
    apart = value * (1 + 1e-4 * torch.arange(count).remainder(2)).unsqueeze(0)
    assert normalize(apart, masks).std().item() == pytest.approx(1.0, rel=1e-2)
    apart[0, 0] = torch.nan
    assert normalize(apart, masks).isnan().all(), "what is not finite stays to be found"


def test_one_live_step_alone_does_not_divide_by_zero() -> None:
    masks = torch.zeros(3, 2)
    masks[1, 1] = 1
    assert torch.equal(normalize(torch.randn(3, 2), masks), torch.zeros(3, 2))
    assert torch.equal(normalize(torch.tensor([[4.0]]), None), torch.zeros(1, 1))
    assert torch.isfinite(normalize(torch.full((4, 4), 2.5), None)).all()
