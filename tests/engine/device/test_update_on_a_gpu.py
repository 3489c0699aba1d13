"""What only a GPU can show of the update: its graph learns what its operations learn singly, and waits for nothing."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from engine.device_graph import recorded_graphs
from engine.device_telemetry import CardProbe
from engine.profile import Profile
from engine.resume import load_state, save_state
from engine.trainer import Trainer
from tests.engine.conftest import TINY
from tests.engine.device.update_cases import EDITS, SCHEMES, Pair, assert_iterate_alike

pytestmark = pytest.mark.gpu

CUDA = torch.device("cuda", 0)
ON_GPU = [each for each in TINY if not each.startswith("train.device")] + ["train.device=cuda"]
SMALL = ("env.agents=64", "train.minibatch=128", "train.update_epochs=1.5")
MakePair = Callable[..., Pair]


@pytest.fixture
def make_pair() -> Iterator[MakePair]:
    """Two equal trainers on the GPU, the first with graphs, the second without; a warning fails the test."""
    made: list[Trainer] = []

    def make(*sets: str, name: str = "breakout.toml") -> Pair:
        for graphs in ("true", "false"):
            chosen = [*ON_GPU, *SMALL, *sets, f"train.graphs={graphs}"]
            made.append(Trainer(Profile.load(name, chosen).for_device("cuda"), CUDA, warn=pytest.fail))
        return made[-2], made[-1]

    yield make
    for trainer in made:
        trainer.close()


@pytest.mark.parametrize("factor", [0.0, 0.5])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_beside_a_thread_that_asks_the_driver(make_pair: MakePair, scheme: str, factor: float) -> None:
    pair = make_pair(f"replay.scheme={scheme}", f"replay.factor={factor}")
    probe = CardProbe(CUDA, seconds=0.01)
    probe.start()
    assert_iterate_alike(pair, 4)
    probe.close()
    assert {call._name for call in recorded_graphs(CUDA)} >= {"rollout", "update"}


@pytest.mark.parametrize("core", ["lstm", "mingru", "none"])
@pytest.mark.parametrize("optimizer", ["muon", "adam"])
@pytest.mark.parametrize("fused", ["true", "false"])
def test_every_core_and_optimizer(make_pair: MakePair, core: str, optimizer: str, fused: str) -> None:
    sets = (f"policy.core={core}", "policy.layers=2", f"train.optimizer={optimizer}", f"train.fused={fused}")
    assert_iterate_alike(make_pair(*sets, "replay.replacement=false"), 4)


@pytest.mark.parametrize("name", ["multiagent.toml", "memory.toml", "maze.toml"])
def test_other_games_and_steps_that_do_not_count(make_pair: MakePair, name: str) -> None:
    assert_iterate_alike(make_pair("replay.factor=0.5", name=name), 4)


def test_environments_on_the_cpu(make_pair: MakePair) -> None:
    assert_iterate_alike(make_pair("env.device=cpu"), 4)


def test_edits_between_minibatches(make_pair: MakePair) -> None:
    pair = make_pair("replay.factor=0.5")
    assert_iterate_alike(pair, 3)
    for key, value in EDITS:
        for trainer in pair:

            def edit(index: int, count: int, trainer: Trainer = trainer, key: str = key, value: object = value) -> None:
                if index == 2:
                    trainer.profile = trainer.profile.with_value(key, value)

            trainer.before_minibatch = edit
        assert_iterate_alike(pair, 2)


def test_a_bad_minibatch_is_taken_back(make_pair: MakePair) -> None:
    """The gradient is multiplied by a tensor, so that a graph holds the fault, too."""
    pair = make_pair("run.on_nan=skip")
    factor = torch.ones((), device=CUDA)
    for trainer in pair:
        trainer.policy.encoder.weight.register_hook(lambda gradient: gradient * factor)
        seen = iter(range(1000))

        def spoil(index: int, count: int, seen: Any = seen) -> None:
            factor.fill_(math.nan if next(seen) in (3, 17) else 1.0)

        trainer.before_minibatch = spoil
    skipped = 0.0
    for _ in range(4):
        assert_iterate_alike(pair)
        skipped += pair[0].guard.minibatches
    assert skipped == 2


@pytest.mark.parametrize("core", ["lstm", "mingru", "none"])
def test_in_bfloat16_a_graph_computes_the_same(make_pair: MakePair, core: str) -> None:
    graph, plain = make_pair("train.precision=bfloat16", f"policy.core={core}")
    for _ in range(3):
        load_state(graph, save_state(plain, {}))
        one, other = graph.iterate().metrics, plain.iterate().metrics
        for key in ("loss/policy", "loss/value", "loss/entropy", "loss/grad_norm"):
            assert one[key] == pytest.approx(other[key], rel=0.05, abs=0.01), key


def test_a_minibatch_makes_the_host_wait_for_nothing(make_pair: MakePair) -> None:
    graph, _ = make_pair("replay.factor=0.5", "replay.scheme=sequential")
    for _ in range(3):
        graph.iterate()
    graph.collect()
    for index, _ in enumerate(graph.minibatches()):
        if index:  # the first one of an iteration brings the older segments into place
            torch.cuda.set_sync_debug_mode("error")
        try:
            graph.learn()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    assert index > 4


def test_memory_stays_as_it_is_over_iterations_and_edits(make_pair: MakePair) -> None:
    graph, _ = make_pair("replay.factor=0.5")
    reserved: list[int] = []
    for turn in range(8):
        for scheme in SCHEMES:
            graph.profile = graph.profile.with_value("replay.scheme", scheme)
            for _ in range(2):
                graph.iterate()
        if turn >= 2:
            reserved.append(torch.cuda.memory_reserved(CUDA))
    assert reserved[-1] <= reserved[0] * 1.1, reserved


def test_the_phases_of_an_iteration_add_up_to_its_time(make_pair: MakePair) -> None:
    graph, _ = make_pair("env.agents=4096", "train.horizon=64", "train.minibatch=32768", "policy.hidden=128")
    reports = [graph.iterate() for _ in range(8)][3:]
    for before, report in itertools.pairwise(reports):
        times = {key: value for key, value in report.metrics.items() if key.startswith("time/")}
        phases = sum(times.values()) - times["time/iteration"] - times["time/unaccounted"]
        assert phases == pytest.approx(before.seconds, rel=0.05)
        assert "time/train/update" in times
        assert "time/train/backward" not in times
