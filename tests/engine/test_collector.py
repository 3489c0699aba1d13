"""The fused collector does what the plain one does, and both keep the books of an episode right."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
import torch

import c_envs
from engine.collector import Collector
from engine.devices import worker_count
from engine.errors import ProfileError
from engine.parallel import LEAST_ROWS
from engine.trainer import Trainer

Make = Callable[..., Trainer]


def with_plain_collector(trainer: Trainer) -> Trainer:
    trainer.collector = Collector(trainer.batch, trainer.policy, trainer.buffer, trainer.action_generator)
    trainer.collector.reset()
    trainer.collector.resume_observations()
    return trainer


@pytest.mark.parametrize("core", ["lstm", "mingru", "none"])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("threads", [1, 2])
def test_the_fused_collector_equals_the_plain_one(make_trainer: Make, core: str, layers: int, threads: int) -> None:
    """Same random numbers, same actions, same everything, over episode ends and several horizons."""
    common = (f"policy.core={core}", f"policy.layers={layers}", "env.agents=256", "train.minibatch=1024")
    fused = make_trainer(*common, f"train.threads={threads}")
    plain = with_plain_collector(make_trainer(*common))
    ended = 0
    for _ in range(10):
        fused.collect()
        plain.collect()
        for name in ("actions", "rewards", "terminals", "truncations", "done", "resets", "observations"):
            assert torch.equal(getattr(fused.buffer, name), getattr(plain.buffer, name)), name
        for name in ("logprobs", "values", "bootstrap", "state"):
            torch.testing.assert_close(getattr(fused.buffer, name), getattr(plain.buffer, name), atol=1e-5, rtol=1e-4)
        ended += int(fused.buffer.done.sum())
    assert ended > 50


def test_a_profile_may_ask_for_as_many_threads_as_a_batch_can_have(make_trainer: Make) -> None:
    """And for no more."""
    high = {key: int(make_trainer().profile.info(key).high or 0) for key in ("env.threads", "train.threads")}
    assert high == {"env.threads": c_envs.MOST_THREADS, "train.threads": c_envs.MOST_THREADS}
    trainer = make_trainer("train.fused=false", f"env.threads={high['env.threads']}")
    trainer.collect()
    assert trainer.batch.threads == high["env.threads"]
    with pytest.raises(ProfileError, match=r"env.threads=257 must be a whole number in \[0, 256\]"):
        make_trainer("env.threads=257")


def test_more_cores_than_a_batch_serves_threads_make_no_more_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(1000)), raising=False)
    assert worker_count(0, 1_000_000) == c_envs.MOST_THREADS
    assert worker_count(0, 3 * LEAST_ROWS) == 3


def test_a_time_limit_is_bootstrapped_from_the_last_observation(make_trainer: Make) -> None:
    """Mazes end by truncation after 2*w*h steps: there, and only there, the value of the last observation is kept."""
    sets = (
        "env.agents=32",
        "train.horizon=64",
        "train.minibatch=1024",
        "env.config.map_size=5",
        "env.config.num_maps=1",
        "policy.core=lstm",
    )
    trainer = make_trainer(*sets, name="maze.toml")
    plain = with_plain_collector(make_trainer(*sets, name="maze.toml"))
    with torch.no_grad():
        for one in (trainer, plain):
            one.policy.heads.bias[-1] = 3.0
    cut = 0
    for _ in range(4):
        trainer.collect()
        plain.collect()
        buffer = trainer.buffer
        assert torch.equal(buffer.final_values != 0, buffer.truncations == 1)
        torch.testing.assert_close(buffer.final_values, plain.buffer.final_values, atol=1e-5, rtol=1e-4)
        cut += int(buffer.truncations.sum())
    assert cut > 0, "no episode was cut: the test proves nothing"


def test_the_recurrent_state_is_carried_over_iterations_and_emptied_at_episode_ends(make_trainer: Make) -> None:
    trainer = make_trainer("env.agents=256", "train.minibatch=1024", "train.horizon=64")
    trainer.collect()
    trainer.collect()
    ended = trainer.buffer.done[-1].bool()
    state = trainer.collector.state()
    assert not ended.all()
    assert torch.equal(state[:, :, ended], torch.zeros_like(state[:, :, ended]))
    assert (state[:, :, ~ended].abs().amax(dim=(0, 1, 3)) > 0).all()
    trainer.collect()
    assert torch.equal(trainer.buffer.state, state)


def test_the_watched_environment_is_recorded_step_by_step(make_trainer: Make) -> None:
    trainer = make_trainer()
    trainer.collector.watch.environment = 3
    trainer.collect()
    states = trainer.collector.watch.states
    assert len(states) == 16
    assert len(set(states)) == 16
    trainer.collector.watch.environment = None
    trainer.collect()
    assert trainer.collector.watch.states == []
