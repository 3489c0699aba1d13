"""What only a GPU can show: the recorded rollout is the one that runs step by step, and training on the card learns."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest
import torch

from engine.collector import Collector
from engine.device_collector import DeviceCollector
from engine.device_environments import DeviceBatch
from engine.device_telemetry import CardProbe
from engine.profile import Profile
from engine.trainer import Trainer
from tests.engine.conftest import TINY

pytestmark = pytest.mark.gpu

Make = Callable[..., Trainer]
ON_GPU = [each for each in TINY if not each.startswith("train.device")] + ["train.device=cuda"]


@pytest.fixture
def make() -> Iterator[Make]:
    """Trainers on the GPU, of tiny profiles unless told otherwise; a warning fails the test."""
    made: list[Trainer] = []

    def one(*sets: str, name: str = "breakout.toml", tiny: bool = True) -> Trainer:
        profile = Profile.load(name, [*(ON_GPU if tiny else ["train.device=cuda"]), *sets]).for_device("cuda")
        made.append(Trainer(profile, torch.device("cuda", 0), warn=pytest.fail))
        return made[-1]

    yield one
    for trainer in made:
        trainer.close()


GAMES = {
    "breakout": ("breakout.toml", "env.agents=4096", "train.horizon=64", "train.minibatch=32768"),
    "cut breakout": ("breakout.toml", "env.agents=65", "train.minibatch=64", "env.config.max_steps=5"),
    "maze": ("maze.toml", "env.agents=65", "train.minibatch=64", "env.config.map_size=5"),
    "multiagent": ("multiagent.toml", "env.agents=64", "train.minibatch=64"),
}


def fields(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: value for name, value in vars(trainer.buffer).items() if isinstance(value, torch.Tensor)}


@pytest.mark.parametrize("core", ["lstm", "mingru", "none"])
@pytest.mark.parametrize("game", GAMES)
def test_the_recorded_rollout_is_the_rollout_step_by_step(make: Make, game: str, core: str) -> None:
    """Also beside a thread that asks the driver all the time."""
    name, *sets = GAMES[game]
    recorded, stepped = (
        make(*sets, f"policy.core={core}", f"train.graphs={graphs}", name=name) for graphs in ("true", "false")
    )
    assert isinstance(stepped.collector, DeviceCollector)
    probe = CardProbe(torch.device("cuda", 0), seconds=0.01)
    probe.start()
    for _ in range(5):
        recorded.collect()
        stepped.collect()
        for field, tensor in fields(stepped).items():
            torch.testing.assert_close(
                fields(recorded)[field], tensor, msg=lambda text, field=field: f"{field}: {text}"
            )
        assert recorded.batch.states() == stepped.batch.states()
        assert recorded.batch.statistics() == stepped.batch.statistics()
    probe.close()
    assert not stepped.collector.graph.recorded
    assert isinstance(recorded.collector, DeviceCollector)
    assert recorded.collector.graph.recorded
    assert recorded.collector.graph.bytes > 0


@pytest.mark.parametrize("game", GAMES)
def test_environments_on_the_gpu_and_on_the_cpu_make_the_same_rollout(make: Make, game: str) -> None:
    """One horizon from the same policy: the bytes of the environments are the same, and so are the actions."""
    name, *sets = GAMES[game]
    on_gpu, on_cpu = make(*sets, name=name), make(*sets, "env.device=cpu", "env.groups=1", name=name)
    assert isinstance(on_gpu.batch, DeviceBatch)
    assert type(on_cpu.collector) is Collector
    on_gpu.collect()
    on_cpu.collect()
    for field in ("observations", "actions", "rewards", "terminals", "truncations", "live"):
        assert torch.equal(fields(on_gpu)[field], fields(on_cpu)[field]), field
    torch.testing.assert_close(on_gpu.buffer.final_values, on_cpu.buffer.final_values)
    assert on_gpu.batch.states() == on_cpu.batch.states()


def test_a_run_on_the_gpu_learns_the_bandit(make: Make) -> None:
    trainer = make(name="bandit.toml", tiny=False)
    scores = []
    while trainer.progress < 1:
        scores.append(trainer.iterate().metrics.get("episode/score", 0.0))
    assert sum(scores[-5:]) / 5 > 0.9, scores


def test_what_is_saved_on_the_gpu_goes_on_there_alike(make: Make) -> None:
    sets = ("env.agents=64", "train.minibatch=128")
    first, second = make(*sets), make(*sets)
    for _ in range(3):
        first.collect()
    second.batch.load(first.batch.save())
    second.collector.set_state(first.collector.state())
    second.collector.resume_observations()
    second.action_generator.set_state(first.action_generator.get_state())
    first.collect()
    second.collect()
    assert torch.equal(first.buffer.observations, second.buffer.observations)
    assert torch.equal(first.buffer.actions, second.buffer.actions)


def test_the_phases_of_an_iteration_add_up_to_its_time(make: Make) -> None:
    trainer = make("env.agents=4096", "train.horizon=64", "train.minibatch=32768")
    reports = [trainer.iterate() for _ in range(8)][3:]
    for before, report in itertools.pairwise(reports):
        times = {key: value for key, value in report.metrics.items() if key.startswith("time/")}
        phases = sum(times.values()) - times["time/iteration"] - times["time/unaccounted"]
        # Phases are told an iteration late.
        assert phases == pytest.approx(before.seconds, rel=0.05)


def test_the_watched_environment_is_played_again_on_the_cpu(make: Make) -> None:
    trainer = make("env.agents=64")
    trainer.collector.watch.environment = 40
    for _ in range(3):
        trainer.collect()
        states = trainer.collector.watch.states
        assert len(states) == trainer.buffer.horizon
        assert states[0] == trainer.buffer.environments[40].numpy().tobytes()
    before = trainer.batch.state(40)
    trainer.collect()
    assert trainer.collector.watch.states[0] == before
