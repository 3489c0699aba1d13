"""What only a GPU can show of groups: streams and graphs beside the host give what the plain collector gives."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from engine.collector import CollectionAbandoned, Collector
from engine.device_graph import GraphedCall
from engine.device_telemetry import CardProbe
from engine.grouped_collector import GroupedCollector
from engine.phases import Timer
from engine.profile import Profile
from engine.trainer import Trainer
from tests.engine.conftest import TINY

pytestmark = pytest.mark.gpu

Make = Callable[..., Trainer]
CUDA = torch.device("cuda", 0)
ON_GPU = ["train.device=cuda", "env.device=cpu"]


@pytest.fixture
def make() -> Iterator[Make]:
    """Trainers with the network on the GPU and the environments on the CPU, of tiny profiles unless told otherwise; a
    warning fails the test."""
    made: list[Trainer] = []

    def one(*sets: str, name: str = "breakout.toml", tiny: bool = True) -> Trainer:
        profile = Profile.load(name, [*(TINY if tiny else []), *ON_GPU, *sets]).for_device("cuda")
        made.append(Trainer(profile, CUDA, warn=pytest.fail))
        return made[-1]

    yield one
    for trainer in made:
        trainer.close()


GAMES = {
    "breakout": ("breakout.toml", "env.agents=63"),
    "cut breakout": ("breakout.toml", "env.agents=63", "env.config.max_steps=5"),
    "maze": ("maze.toml", "env.agents=63", "env.config.map_size=5"),
    "multiagent": ("multiagent.toml", "env.agents=64"),
}
LARGE = ("env.agents=4096", "train.horizon=64", "train.minibatch=32768")


def fields(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: value for name, value in vars(trainer.buffer).items() if isinstance(value, torch.Tensor)}


def compare(one: Trainer, other: Trainer) -> None:
    """What was collected is the same up to how products of other sizes round, and the environments to the bit."""
    for name, tensor in fields(other).items():
        torch.testing.assert_close(fields(one)[name], tensor, msg=lambda text, name=name: f"{name}: {text}")
    assert one.batch.states() == other.batch.states()
    assert one.batch.statistics() == other.batch.statistics()
    assert one.collector.watch.states == other.collector.watch.states


@pytest.mark.parametrize(("groups", "graphs"), [(0, "true"), (3, "true"), (3, "false")])
@pytest.mark.parametrize(
    ("game", "core"), [*((game, "lstm") for game in GAMES), ("cut breakout", "mingru"), ("cut breakout", "none")]
)
def test_groups_change_nothing(make: Make, game: str, core: str, groups: int, graphs: str) -> None:
    name, *sets = GAMES[game]
    sets += [f"policy.core={core}", f"train.graphs={graphs}"]
    grouped, plain = (make(*sets, f"env.groups={count}", name=name) for count in (groups, 1))
    assert type(grouped.collector) is GroupedCollector
    assert type(plain.collector) is Collector
    for trainer in (grouped, plain):
        trainer.collector.watch.environment = 3
    for _ in range(5):
        grouped.collect()
        plain.collect()
        compare(grouped, plain)


def test_recorded_steps_are_the_steps_one_by_one(make: Make) -> None:
    """Many agents, so that the streams really overlap, and beside a thread that asks the driver all the time."""
    recorded, stepped = (make(*LARGE, f"train.graphs={graphs}") for graphs in ("true", "false"))
    probe = CardProbe(CUDA, seconds=0.01)
    probe.start()
    for _ in range(5):
        recorded.collect()
        stepped.collect()
        compare(recorded, stepped)
    probe.close()
    for trainer in (recorded, stepped):
        assert isinstance(trainer.collector, GroupedCollector)
        for group in trainer.collector.groups:
            for call in (group.act, group.finish, group.value_cuts):
                assert isinstance(call, GraphedCall)
                assert call.recorded == (trainer is recorded)


def test_the_loop_never_waits_for_the_whole_device(make: Make) -> None:
    """Nothing in it is an operation that synchronizes behind the scenes, such as a copy from memory not pinned."""
    trainer = make("env.agents=256", "env.config.max_steps=5")
    for _ in range(3):
        trainer.collect()
    collect = trainer.collector._collect

    def watched(*given: Any) -> None:
        torch.cuda.set_sync_debug_mode("error")
        try:
            collect(*given)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    trainer.collector._collect = watched  # type: ignore[method-assign]
    trainer.collect()
    assert trainer.collector.fault is None


def test_a_horizon_that_was_given_up_leaves_no_trace(make: Make) -> None:
    abandoned, through = make("env.agents=63"), make("env.agents=63")
    for _ in range(3):
        gates = itertools.count()

        def give_up(timer: Timer, gates: Iterator[int] = gates) -> None:
            if next(gates) == 11:
                raise CollectionAbandoned

        ordinary, abandoned.gate = abandoned.gate, give_up
        with pytest.raises(CollectionAbandoned):
            abandoned.collect()
        abandoned.gate = ordinary
        abandoned.collect()
        through.collect()
        compare(abandoned, through)


def test_the_phases_of_an_iteration_add_up_to_its_time(make: Make) -> None:
    trainer = make(*LARGE)
    reports = [trainer.iterate() for _ in range(8)][3:]
    for before, report in itertools.pairwise(reports):
        times = {key: value for key, value in report.metrics.items() if key.startswith("time/")}
        phases = sum(times.values()) - times["time/iteration"] - times["time/unaccounted"]
        # Phases are told an iteration late.
        assert phases == pytest.approx(before.seconds, rel=0.05)
    assert {f"time/collect/{name}" for name in ("env", "policy", "copy", "wait", "store")} <= set(times)


def test_a_run_learns_the_bandit(make: Make) -> None:
    trainer = make(name="bandit.toml", tiny=False)
    scores = []
    while trainer.progress < 1:
        scores.append(trainer.iterate().metrics.get("episode/score", 0.0))
    assert sum(scores[-5:]) / 5 > 0.9, scores
