"""The laws of the iteration: ratios, uses, phases, determinism."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from engine.losses import LossSettings, Targets, ppo_loss
from engine.trainer import Trainer
from tests.engine.conftest import tiny_profile

Make = Callable[..., Trainer]

TIMING = ("time", "sps")


def figures(metrics: dict[str, float]) -> dict[str, float]:
    """Metrics without the clock's."""
    return {key: value for key, value in metrics.items() if not key.startswith(TIMING)}


def shake(trainer: Trainer) -> None:
    """Larger weights than at the start, so that actions, values and states differ between agents."""
    with torch.no_grad():
        for parameter in trainer.policy.parameters():
            parameter.mul_(2.0).add_(0.05)


@pytest.mark.parametrize("core", ["lstm", "mingru", "none"])
@pytest.mark.parametrize("threads", [1, 2])
def test_in_the_first_minibatch_every_ratio_is_one(make_trainer: Make, core: str, threads: int) -> None:
    """What was stored during collection is what training computes, with episodes that end inside segments.

    Only then does the clipped objective start from the policy that acted.
    """
    trainer = make_trainer(
        f"policy.core={core}", f"train.threads={threads}", "env.agents=256", "train.horizon=64", "train.minibatch=16384"
    )
    shake(trainer)
    ended = 0
    for _ in range(3):
        trainer.collect()
        buffer = trainer.buffer
        ended += int(buffer.resets.sum())
        everyone = torch.arange(buffer.agents)
        batch = trainer.experience.gather(everyone)
        logits, values = trainer.policy.unroll(batch.observations, batch.state, batch.resets)
        targets = Targets(batch.actions, batch.logprobs, batch.advantages, batch.values, batch.values, None)
        _, ratios, _ = ppo_loss(logits, values, targets, LossSettings(0.2, 0.0, 1.0, 0.0), ratio_count(buffer.rewards))
        assert (ratios - 1).abs().max() < 1e-5
        torch.testing.assert_close(values.detach(), buffer.values, atol=1e-5, rtol=1e-5)
    assert ended > 10, "no episode ended inside a segment: the test proves nothing"


def ratio_count(rewards: torch.Tensor) -> float:
    return float(rewards.numel())


@pytest.mark.parametrize("epochs", [1.0, 0.5, 2.5])
@pytest.mark.parametrize("scheme", ["prioritized", "uniform", "topk", "sequential"])
def test_mean_uses_equal_update_epochs(make_trainer: Make, epochs: float, scheme: str) -> None:
    trainer = make_trainer(f"train.update_epochs={epochs}", f"replay.scheme={scheme}", "train.minibatch=32")
    for _ in range(3):
        assert trainer.iterate().metrics["replay/uses_mean"] == epochs


def test_what_does_not_fill_a_minibatch_is_owed_to_the_next_iteration(make_trainer: Make) -> None:
    trainer = make_trainer("train.update_epochs=0.3", "train.minibatch=64")
    uses = [trainer.iterate().metrics["replay/uses_mean"] for _ in range(10)]
    assert sum(uses) == pytest.approx(3.0)
    assert uses.count(0.0) > 0
    assert uses.count(0.5) == 6


@pytest.mark.parametrize("threads", [1, 2])
def test_equal_seeds_make_equal_runs_bit_for_bit(make_trainer: Make, threads: int) -> None:
    sets = (f"train.threads={threads}", "env.agents=256", "train.minibatch=512", "replay.scheme=prioritized")
    one, two = make_trainer(*sets), make_trainer(*sets)
    for _ in range(4):
        assert figures(one.iterate().metrics) == figures(two.iterate().metrics)
    for mine, theirs in zip(one.policy.parameters(), two.policy.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_another_seed_makes_another_run(make_trainer: Make) -> None:
    one, two = make_trainer("train.seed=1"), make_trainer("train.seed=2")
    assert figures(one.iterate().metrics) != figures(two.iterate().metrics)


@pytest.mark.parametrize("core", ["lstm", "mingru"])
def test_the_fused_and_the_plain_path_learn_the_same(make_trainer: Make, core: str) -> None:
    """One switch apart: with the same random numbers the same actions, losses and gradients to rounding."""
    fused, plain = make_trainer(f"policy.core={core}"), make_trainer(f"policy.core={core}", "train.fused=false")
    assert type(fused.collector) is not type(plain.collector)
    for _ in range(3):
        one, two = fused.iterate().metrics, plain.iterate().metrics
        assert torch.equal(fused.buffer.actions, plain.buffer.actions)
        for key in ("loss/policy", "loss/value", "loss/entropy", "loss/grad_norm"):
            assert one[key] == pytest.approx(two[key], rel=1e-3, abs=1e-5), key


def test_alpha_zero_is_the_uniform_scheme_through_whole_iterations(make_trainer: Make) -> None:
    one = make_trainer("replay.scheme=prioritized", "replay.alpha=0")
    two = make_trainer("replay.scheme=uniform", "replay.alpha=0")
    for _ in range(3):
        one.iterate()
        two.iterate()
    for mine, theirs in zip(one.policy.parameters(), two.policy.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_the_phases_add_up_to_the_wall_time(make_trainer: Make) -> None:
    trainer = make_trainer("env.agents=128", "train.horizon=32", "train.minibatch=1024")
    trainer.iterate()
    metrics = trainer.iterate().metrics
    named = sum(
        value for key, value in metrics.items() if key.startswith(("time/collect", "time/train", "time/report"))
    )
    assert named + metrics["time/unaccounted"] == pytest.approx(metrics["time/iteration"], rel=1e-6)
    assert metrics["time/unaccounted"] < 0.05 * metrics["time/iteration"]
    for phase in ("collect/env", "collect/policy", "collect/store"):
        assert metrics[f"time/{phase}"] > 0
    for phase in ("advantage", "draw", "gather", "forward", "backward", "optimizer"):
        assert metrics[f"time/train/{phase}"] > 0


def test_rewards_are_clamped_where_the_profile_asks_for_it(make_trainer: Make) -> None:
    def largest(clamp: float) -> float:
        trainer = make_trainer(
            f"train.reward_clamp={clamp}", "env.agents=64", "train.horizon=64", "train.minibatch=1024"
        )
        found = 0.0
        for _ in range(6):
            trainer.collect()
            found = max(found, float(trainer.buffer.rewards.max()))
        return found

    assert largest(0.0) >= 1.0
    assert largest(0.5) == 0.5


def test_advantages_are_recomputed_before_every_minibatch(make_trainer: Make) -> None:
    """With all values written back after an update, the next advantages are those of the new values."""
    trainer = make_trainer("train.minibatch=128")
    trainer.collect()
    trainer.compute_advantages()
    before = trainer.buffer.advantages.clone()
    drawn = trainer.draw()
    old = trainer.buffer.values.clone()
    with torch.no_grad():
        trainer.policy.heads.bias[-1] += 0.5
    trainer.update(drawn)
    assert (trainer.buffer.values - old)[:, drawn.segments].min() > 0.4, (
        "values of what was trained on are written back"
    )
    trainer.compute_advantages()
    assert not torch.equal(trainer.buffer.advantages, before)


def test_the_learning_rate_follows_its_schedule_and_live_edits(make_trainer: Make) -> None:
    trainer = make_trainer("train.schedule=linear", "train.total_steps=1280", "train.warmup=0", "train.min_lr_ratio=0")
    trainer.iterate()
    rate = trainer.profile.train.learning_rate
    assert trainer.learning_rates()[0] == pytest.approx(rate)
    trainer.profile = trainer.profile.with_value("train.learning_rate", 0.5)
    assert trainer.iterate().metrics["train/learning_rate"] == pytest.approx(0.5 * (1 - 128 / 1280))


def test_a_policy_without_memory_trains() -> None:
    trainer = Trainer(tiny_profile("policy.core=none", "policy.layers=2").for_device("cpu"), torch.device("cpu"))
    before = [parameter.clone() for parameter in trainer.policy.parameters()]
    metrics = trainer.iterate().metrics
    trainer.close()
    assert metrics["loss/grad_norm"] > 0
    assert all(not torch.equal(a, b) for a, b in zip(before, trainer.policy.parameters(), strict=True))


def test_maze_trains_and_reports_success(make_trainer: Make) -> None:
    trainer = make_trainer(
        "env.config.map_size=5", "env.config.num_maps=4", "env.agents=64", "train.minibatch=512", name="maze.toml"
    )
    reports: list[dict[str, Any]] = [trainer.iterate().metrics for _ in range(8)]
    scores = [report["episode/score"] for report in reports if "episode/score" in report]
    assert scores
    assert all(0 <= score <= 1 for score in scores)


@pytest.mark.parametrize("factor", [0, 1])
def test_a_report_can_be_looked_at_long_after_its_iteration(make_trainer: Make, factor: int) -> None:
    first, second = (make_trainer(f"replay.factor={factor}", "train.minibatch=32") for _ in range(2))
    at_once, later = [], []
    for iteration in range(4):
        first.inspected = second.inspected = iteration == 1
        at_once.append(first.iterate().view())
        later.append(second.iterate())
    assert [len(view.table) > 0 for view in at_once] == [False, True, False, False]
    assert [report.view() for report in later] == at_once
