"""Environments on a device have the bytes of those on the CPU. Without a GPU the kernels are compiled for the host."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import c_envs
from engine.device_environments import DeviceBatch
from engine.device_program import cuda_launcher
from tests.engine.device.host_device import HOST, device_buffers, host_launcher

ENVIRONMENTS = 65
"""Two full blocks of threads and one thread more."""
STEPS = 4096
SLOTS = 64

Config = Mapping[str, object]
Make = Callable[..., DeviceBatch]

GAMES: list[tuple[str, Config]] = [
    ("breakout", {}),
    ("breakout", {"max_steps": 90}),
    ("breakout", {"continuous": True, "frame_skip": 2}),
    ("maze", {"map_size": 0, "max_size": 21, "num_maps": 9}),
    ("maze", {"map_size": 5}),
    ("bandit", {}),
    ("memory", {}),
    ("password", {}),
    ("stochastic", {}),
    ("squared", {}),
    ("spaces", {}),
    ("multiagent", {"agents": 3}),
]
DEVICES = [pytest.param("host"), pytest.param("cuda", marks=pytest.mark.gpu)]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Make]:
    """Makes a bound DeviceBatch on "host" or "cuda"; what was compiled once is used again."""
    launchers: dict[tuple[str, str, str], Any] = {}
    made: list[DeviceBatch] = []

    def one(where: str, name: str, config: Config, environments: int = ENVIRONMENTS, **options: Any) -> DeviceBatch:
        device = HOST if where == "host" else torch.device("cuda", 0)
        key = (where, name, repr(config))
        if key not in launchers:
            folder: Path = tmp_path_factory.mktemp(name)
            launchers[key] = (
                host_launcher(name, config, folder) if where == "host" else cuda_launcher(name, config, device)
            )
        batch = DeviceBatch(name, environments, launcher=launchers[key], device=device, config=config, **options)
        batch.bind(**device_buffers(batch))
        made.append(batch)
        return batch

    yield one
    for batch in made:
        batch.close()


class Pair:
    """The same environments on the device and on the CPU, fed the same actions."""

    def __init__(self, device: DeviceBatch) -> None:
        self.device = device
        self.cpu = c_envs.Batch(
            device.name, device.environments, seed=device.seed, config=device.config, slots=device.slots
        )
        self.there: dict[str, torch.Tensor] = device._buffers
        self.here = {name: tensor.cpu().numpy().copy() for name, tensor in self.there.items()}
        self.cpu.bind(**self.here)

    def act(self, random: np.random.Generator) -> None:
        """A horizon of random actions, some of them outside the range."""
        actions = self.here["actions"]
        if self.cpu.spec.continuous:
            actions[:] = random.uniform(-1.5, 1.5, actions.shape)
            actions[random.random(actions.shape) < 0.01] = np.nan
        else:
            actions[:] = random.integers(-1, self.cpu.spec.actions + 1, actions.shape)
        self.there["actions"].copy_(torch.from_numpy(actions))

    def play(self) -> None:
        """A horizon that goes on from where the last one ended."""
        self.here["observations"][0] = self.here["observations"][-1]
        self.there["observations"][0].copy_(self.there["observations"][-1])
        for t in range(self.cpu.slots):
            self.cpu.step(t)
            self.device.step(t)

    def check(self) -> None:
        """Every byte of every buffer and state, and the statistics."""
        for name, mine in self.here.items():
            assert self.there[name].cpu().numpy().tobytes() == mine.tobytes(), name
        assert self.device.states() == self.cpu.states()
        assert self.device.save() == self.cpu.save()


@pytest.mark.parametrize("where", DEVICES)
@pytest.mark.parametrize(("name", "config"), GAMES)
def test_65_environments_have_the_same_bytes_for_4096_steps(make: Make, where: str, name: str, config: Config) -> None:
    pair = Pair(make(where, name, config, seed=7, slots=SLOTS))
    random = np.random.default_rng(3)
    pair.device.reset()
    pair.cpu.reset()
    pair.check()
    episodes = 0
    for _ in range(STEPS // SLOTS):
        pair.act(random)
        pair.play()
        pair.check()
        ended = pair.cpu.statistics()
        assert pair.device.statistics() == ended
        episodes += ended.episodes
    assert episodes > 0, "no episode ended: the test proves little"
    assert pair.device.statistics() == c_envs.Statistics(0, 0.0, 0.0, 0.0)


@settings(max_examples=25, deadline=None)
@given(
    game=st.sampled_from(GAMES),
    seed=st.integers(0, 2**64 - 1),
    episode_seed=st.integers(0, 2**64 - 1),
    environments=st.integers(1, 70),
    actions=st.integers(0, 2**32),
)
def test_any_seed_and_number_of_environments_has_the_same_bytes(
    make: Make, game: tuple[str, Config], seed: int, episode_seed: int, environments: int, actions: int
) -> None:
    pair = Pair(make("host", *game, environments, seed=seed, slots=8))
    pair.device.reset(episode_seed)
    pair.cpu.reset(episode_seed)
    random = np.random.default_rng(actions)
    for _ in range(3):
        pair.act(random)
        pair.play()
        pair.check()


@pytest.mark.parametrize("where", DEVICES)
def test_a_range_of_environments_is_stepped_and_counted_alone(make: Make, where: str) -> None:
    pair = Pair(make(where, "maze", {"map_size": 5}, seed=1, slots=SLOTS))
    random = np.random.default_rng(0)
    pair.device.reset()
    pair.cpu.reset()
    pair.act(random)
    for t in range(SLOTS):
        for first, count in ((3, 40), (43, 22)):
            pair.cpu.step(t, first, count)
            pair.device.step(t, first, count)
        pair.device.step(t, 5, 0)
    pair.check()
    assert pair.device.statistics(10, 30) == pair.cpu.statistics(10, 30)
    assert pair.device.statistics(0, 10) == pair.cpu.statistics(0, 10)
    assert pair.device.statistics() == pair.cpu.statistics()


@pytest.mark.parametrize("where", DEVICES)
def test_what_is_saved_on_either_side_is_loaded_on_the_other(make: Make, where: str) -> None:
    first = Pair(make(where, "breakout", {"max_steps": 90}, seed=5, slots=SLOTS))
    first.device.reset()
    first.cpu.reset()
    first.act(np.random.default_rng(1))
    first.play()
    second = Pair(make(where, "breakout", {"max_steps": 90}, seed=5, slots=SLOTS))
    second.device.load(first.cpu.save())
    second.cpu.load(first.device.save())
    for one in (first, second):
        one.device.observe(0)
        one.cpu.observe(0)
        one.act(np.random.default_rng(2))
        for t in range(SLOTS):
            one.cpu.step(t)
            one.device.step(t)
    assert second.device.save() == first.cpu.save() == second.cpu.save()
    assert second.cpu.statistics() == first.device.statistics()


@pytest.mark.parametrize("where", DEVICES)
def test_one_state_is_read_and_put_elsewhere(make: Make, where: str) -> None:
    batch = make(where, "breakout", {}, seed=5, slots=SLOTS)
    batch.reset()
    assert batch.state(3) == batch.states()[3 * batch.spec.state_bytes : 4 * batch.spec.state_bytes]
    batch.set_state(0, batch.state(3))
    assert batch.state(0) == batch.state(3) != batch.state(4)
    with pytest.raises(ValueError, match="not a state that breakout can be in"):
        batch.set_state(0, b"\xff" * batch.spec.state_bytes)
    with pytest.raises(ValueError, match="a state has"):
        batch.set_state(0, b"")
    assert batch.state(0) == batch.state(3)


def test_a_saved_batch_of_another_seed_changes_nothing(make: Make) -> None:
    batch, other = (make("host", "maze", {"map_size": 5}, seed=seed, slots=1) for seed in (1, 2))
    batch.reset()
    other.reset()
    before = batch.save()
    with pytest.raises(ValueError, match="seed 2, this one 1"):
        batch.load(other.save())
    assert batch.save() == before


def test_tensors_that_will_not_do_are_refused_by_name(make: Make) -> None:
    batch = make("host", "breakout", {}, environments=2, slots=4)
    good = device_buffers(batch)
    bad = {
        "observations": torch.zeros(4, 2, 118),
        "actions": torch.zeros(4, 2, dtype=torch.int64),
        "rewards": torch.zeros(2, 4).t(),
        "masks": torch.zeros(4, 2, dtype=torch.uint8, device="meta"),
    }
    for name, tensor in bad.items():
        with pytest.raises(ValueError, match=f"^{name} is"):
            batch.bind(**{**good, name: tensor})
    with pytest.raises(ValueError, match="bind takes observations, "):
        batch.bind(**{name: tensor for name, tensor in good.items() if name != "masks"})
    batch.reset()
    assert batch._buffers["rewards"] is not good["rewards"], "what was bound before stays bound"


def test_calls_outside_the_range_are_refused(make: Make) -> None:
    batch = make("host", "breakout", {}, environments=3, slots=4)
    for call, text in (
        (lambda: batch.step(4), "slot is 4; it must be from 0 to 3"),
        (lambda: batch.step(-1), "slot is -1"),
        (lambda: batch.observe(5), "slot is 5; it must be from 0 to 4"),
        (lambda: batch.step(0, 2, 2), "environments 2 to 3 are not all among the 3"),
    ):
        with pytest.raises(ValueError, match=text):
            call()
    batch.close()
    batch.close()
    with pytest.raises(RuntimeError, match="call bind first"):
        batch.step(0)
