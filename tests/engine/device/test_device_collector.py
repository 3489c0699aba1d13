"""Collecting on the device gives what the plain collector gives; here the kernels run on the CPU, beside torch's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.collector import Collector
from engine.device_collector import DeviceCollector
from engine.device_environments import DeviceBatch
from engine.policy import Policy
from engine.rollout import RolloutBuffer
from engine.trainer import Trainer
from tests.engine.device.host_device import HOST, host_launcher
from tests.engine.device.host_talk import HostTalk

Make = Callable[..., Trainer]


@pytest.fixture
def make_pair(make_trainer: Make, tmp_path: Path) -> Callable[..., tuple[Trainer, Trainer]]:
    """Two equal trainers: the first has the environments and collector of a device, the second the plain ones."""

    def make(*sets: str, name: str = "breakout.toml") -> tuple[Trainer, Trainer]:
        device, plain = make_trainer(*sets, name=name), make_trainer(*sets, name=name)
        env, train = device.profile.env, device.profile.train
        environments = device.batch.environments
        device.batch.close()
        device.batch = DeviceBatch(
            env.name,
            environments,
            launcher=host_launcher(env.name, env.config, tmp_path / "kernels"),
            device=HOST,
            seed=train.seed,
            config=env.config,
            slots=train.horizon,
        )
        device.collector = DeviceCollector(device.batch, device.policy, device.buffer, device.action_generator)
        plain.collector = Collector(plain.batch, plain.policy, plain.buffer, plain.action_generator)
        for trainer in (device, plain):
            trainer.collector.reset()
            trainer.collector.resume_observations()
            with torch.no_grad():
                trainer.policy.heads.bias[-1] = 3.0
        return device, plain

    return make


GAMES = {
    "breakout": ("breakout.toml", "env.agents=65", "train.horizon=64", "train.minibatch=64"),
    "cut breakout": ("breakout.toml", "env.agents=33", "train.minibatch=16", "env.config.max_steps=5"),
    "maze": ("maze.toml", "env.agents=65", "train.horizon=64", "train.minibatch=64", "env.config.map_size=5"),
    "multiagent": ("multiagent.toml", "env.agents=64", "train.minibatch=64"),
}


@pytest.mark.parametrize("core", ["lstm", "mingru", "none"])
@pytest.mark.parametrize("game", GAMES)
def test_the_device_collector_equals_the_plain_one(
    make_pair: Callable[..., tuple[Trainer, Trainer]], game: str, core: str
) -> None:
    """Bit for bit over episode ends, time limits and horizons; only values of cut episodes come out of a product of
    another size and may round otherwise."""
    name, *sets = GAMES[game]
    device, plain = make_pair(*sets, f"policy.core={core}", name=name)
    ended = cut = 0
    for _ in range(6):
        device.collect()
        plain.collect()
        for field, tensor in vars(plain.buffer).items():
            if isinstance(tensor, torch.Tensor) and field != "final_values":
                assert torch.equal(getattr(device.buffer, field), tensor), field
        torch.testing.assert_close(device.buffer.final_values, plain.buffer.final_values)
        assert torch.equal(device.buffer.final_values != 0, plain.buffer.truncations == 1)
        assert torch.equal(device.collector.state(), plain.collector.state())
        assert device.batch.statistics() == plain.batch.statistics()
        ended += int(plain.buffer.done.sum())
        cut += int(plain.buffer.truncations.sum())
    assert ended > 0
    assert cut > 0 or game in ("breakout", "multiagent")


@pytest.mark.parametrize("core", ["lstm", "mingru", "none"])
@pytest.mark.parametrize("game", GAMES)
def test_a_horizon_asks_the_device_nothing(
    make_pair: Callable[..., tuple[Trainer, Trainer]], game: str, core: str
) -> None:
    name, *sets = GAMES[game]
    device, plain = make_pair(*sets, f"policy.core={core}", name=name)
    device.collect()
    assert isinstance(device.collector, DeviceCollector)
    with HostTalk() as talk, torch.no_grad():
        device.collector.graph()
    assert talk.found == []
    assert talk.seen > 20 * device.buffer.horizon
    with HostTalk() as talk:
        plain.collect()
    assert "aten::_local_scalar_dense" in talk.found, "the plain collector asks: the test can tell"


class NoLauncher:
    """Counts launches of kernels that nobody runs."""

    def __init__(self) -> None:
        self.launches = 0

    def launch(self, kernel: str, blocks: int, *arguments: object) -> None:
        self.launches += 1


@pytest.mark.parametrize("core", ["lstm", "mingru", "none"])
@pytest.mark.parametrize("max_steps", [0, 5, 1000])
def test_no_tensor_of_a_horizon_lies_elsewhere(core: str, max_steps: int) -> None:
    """On torch's meta device, where an operation with a tensor of the CPU is an error as on a GPU."""
    meta, launcher = torch.device("meta"), NoLauncher()
    batch = DeviceBatch("breakout", 64, launcher=launcher, device=meta, slots=16, config={"max_steps": max_steps})
    policy = Policy(batch.spec.observation_size, 3, core=core, hidden=16).to(meta)
    buffer = RolloutBuffer(16, 64, batch.spec.observation_size, policy.initial_state(64, meta), meta)
    collector = DeviceCollector(batch, policy, buffer, torch.Generator())
    with torch.no_grad():
        collector.graph()
    assert launcher.launches == 16


def test_training_on_the_device_is_training(make_pair: Callable[..., tuple[Trainer, Trainer]]) -> None:
    """Whole iterations; the segments that replay keeps bring their environments' states along."""
    device, plain = make_pair("env.agents=64", "replay.factor=1")
    for _ in range(4):
        one, other = device.iterate().metrics, plain.iterate().metrics
        assert {key: value for key, value in one.items() if not key.startswith("time/")} == {
            key: value for key, value in other.items() if not key.startswith("time/")
        }
        assert device.archive is not None
        assert plain.archive is not None
        kept = torch.arange(len(plain.archive))
        assert torch.equal(device.archive.environment_states(kept), plain.archive.environment_states(kept))
    assert "time/collect/rollout" in one
    assert device.collector.crossing_bytes() == 64 * device.batch.spec.state_bytes
    assert plain.collector.crossing_bytes() == 0


class Rewards:
    """A batch whose agents find rewards of 3, 0 and -3, and one of them an infinite one in some horizons."""

    def __init__(self, trainer: Trainer) -> None:
        self._batch, self._rewards = trainer.batch, trainer.buffer.rewards
        self.infinite = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def step(self, t: int, *environments: int) -> None:
        self._batch.step(t, *environments)
        self._rewards[t] = 3.0 * (t % 3 - 1)
        if t == 4 and self.infinite:
            self._rewards[t, 3] = -torch.inf


def test_rewards_are_cut_after_they_were_looked_at(make_pair: Callable[..., tuple[Trainer, Trainer]]) -> None:
    """An infinite one would be hidden by the cut; the limit may change while it trains."""
    pair = make_pair("env.agents=8", "run.on_nan=skip")
    batches = [Rewards(trainer) for trainer in pair]
    for trainer, batch in zip(pair, batches, strict=True):
        trainer.collector.batch = batch
    for limit, infinite in ((2.0, False), (0.5, False), (0.5, True), (0.0, False), (0.0, True), (0.25, False)):
        for trainer, batch in zip(pair, batches, strict=True):
            batch.infinite = infinite
            trainer.collector.collect(trainer.timer, trainer.gate, limit)
        device, plain = (trainer.collector.fault for trainer in pair)
        assert (device is not None) == (plain is not None) == infinite
        if device is not None and plain is not None:
            assert "the reward of agent 3 (environment 3) at step 5 of 16 is -inf" in device.source == plain.source
            assert device.agents.nonzero().tolist() == plain.agents.nonzero().tolist() == [[3]]
        rewards = pair[0].buffer.rewards
        assert torch.equal(rewards, pair[1].buffer.rewards)
        assert rewards[rewards.isfinite()].abs().max() == (limit or 3.0)


def test_an_infinite_last_observation_is_found(make_pair: Callable[..., tuple[Trainer, Trainer]]) -> None:
    device, _ = make_pair("env.agents=8", "train.minibatch=16", "env.config.max_steps=5")
    assert isinstance(device.collector, DeviceCollector)
    device.collector.collect(device.timer, device.gate, 0.0)
    assert device.collector.fault is None
    device.collector.final_observations[3, 0] = torch.inf
    device.collector._cut_at[3] = 7
    with torch.no_grad():
        device.collector._value_cuts()
    assert device.buffer.final_values[7, 3].isnan()
    assert device.buffer.final_values.isnan().sum() == 1


def test_a_watched_environment_is_played_again(make_pair: Callable[..., tuple[Trainer, Trainer]]) -> None:
    device, plain = make_pair("env.agents=64", "train.horizon=64")
    for watched in (3, 40, None):
        for trainer in (device, plain):
            trainer.collector.watch.environment = watched
            trainer.collect()
        assert device.collector.watch.states == plain.collector.watch.states
        assert len(device.collector.watch.states) == (0 if watched is None else 64)


def test_the_state_is_kept_and_emptied_agent_by_agent(make_pair: Callable[..., tuple[Trainer, Trainer]]) -> None:
    device, _ = make_pair("env.agents=8")
    device.collect()
    before = device.collector.state()
    agents = torch.arange(8) == 5
    device.collector.forget(agents)
    after = device.collector.state()
    assert not after[:, :, agents].any()
    assert torch.equal(after[:, :, ~agents], before[:, :, ~agents])
    device.collect()
    assert torch.equal(device.buffer.state, after), "what was handed out stays as it was"
