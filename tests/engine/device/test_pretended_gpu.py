"""Training on a GPU that is not there: what a card would refuse is refused, and what is learned is what the CPU learns.

The pretended GPU is strict, which the first tests show; the others train on it by the same code as on a card.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine import Profile, TrainingSession, bench
from engine.crossing import to_host
from engine.device_collector import DeviceCollector
from engine.device_graph import GraphedCall
from engine.device_update import DeviceUpdate
from engine.grouped_collector import GroupedCollector
from engine.guard import NonFiniteError
from engine.memory import memory_parts
from engine.resume import load_state, save_state
from engine.trainer import Trainer
from engine.viewing import ORDERS, replay_states, view_segment
from tests.engine.conftest import TINY, figures, wait_for
from tests.engine.device.pretended_gpu import CUDA, OnDevice, PretendedGpu
from tests.engine.device.pretended_torch import install
from tests.engine.device.update_cases import EDITS, SCHEMES

ON_GPU = [each for each in TINY if not each.startswith("train.device")] + ["train.device=cuda"]
CPU = torch.device("cpu")
Make = Callable[..., Trainer]


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kernels")


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch, kernels: Path) -> Iterator[PretendedGpu]:
    made = PretendedGpu()
    install(made, monkeypatch, kernels)
    with made.here():
        yield made


@pytest.fixture
def make(gpu: PretendedGpu) -> Iterator[Make]:
    """Trainers on the pretended GPU; a warning fails the test."""
    made: list[Trainer] = []

    def one(*sets: str, name: str = "breakout.toml", warn: Any = pytest.fail) -> Trainer:
        made.append(Trainer(Profile.load(name, [*ON_GPU, *sets]).for_device("cuda"), CUDA, warn=warn))
        return made[-1]

    yield one
    for trainer in made:
        trainer.close()


def test_a_tensor_of_the_device_is_no_array(gpu: PretendedGpu) -> None:
    tensor = torch.arange(4.0, device=CUDA)
    assert isinstance(tensor, OnDevice)
    assert tensor.device == CUDA
    with pytest.raises(TypeError, match="cuda"):
        tensor.numpy()
    assert tensor.cpu().numpy().tolist() == [0, 1, 2, 3]


def test_tensors_of_both_sides_do_not_mix(gpu: PretendedGpu) -> None:
    there, here = torch.ones(3, device=CUDA), torch.ones(3)
    for mixture in (lambda: there + here, lambda: torch.cat((there, here)), lambda: there[torch.tensor([1])]):
        with pytest.raises(RuntimeError, match="same device"):
            mixture()
    assert (there + torch.tensor(2.0)).tolist() == [3, 3, 3]  # a number of the host's is an argument


def test_generators_of_both_sides_do_not_mix(gpu: PretendedGpu) -> None:
    with pytest.raises(RuntimeError, match="generator"):
        torch.rand(3, device=CUDA, generator=torch.Generator())
    torch.rand(3, device=CUDA, generator=torch.Generator(CUDA))


def test_what_the_host_waits_for_is_noted(gpu: PretendedGpu) -> None:
    there, pinned, loose = torch.ones(3, device=CUDA), torch.ones(3, pin_memory=True), torch.ones(3)
    for asks in (
        lambda: float(there.sum()),
        lambda: bool(there.all()),
        lambda: there.tolist(),
        lambda: there.nonzero(),
        lambda: there[there > 0],
        lambda: there.cpu(),
        lambda: loose.to(CUDA),
        lambda: loose.copy_(there, non_blocking=True),
        lambda: pinned.copy_(there),
    ):
        before = len(gpu.waits)
        asks()
        assert len(gpu.waits) > before
    gpu.waits.clear()
    pinned[1:].copy_(there[1:], non_blocking=True)
    there.copy_(pinned, non_blocking=True)
    there.add_(1).masked_fill_(there > 1, 2)
    torch.where(there > 1, there, 0.0)
    assert gpu.waits == []


def test_what_is_sent_to_the_host_comes_when_it_was_waited_for(gpu: PretendedGpu) -> None:
    there, here, event = torch.arange(4.0, device=CUDA), torch.zeros(4, pin_memory=True), torch.cuda.Event()

    def send() -> None:
        event.record()
        here.zero_().copy_(there, non_blocking=True)

    send()
    there.add_(1)
    assert here.isnan().all()
    event.synchronize()
    assert here.isnan().all(), "this event was before the copy"
    event.record()
    event.synchronize()
    assert here.tolist() == [0, 1, 2, 3]
    for wait in (
        torch.cuda.synchronize,
        there.tolist,
        there.cpu,
        lambda: torch.ones(1, pin_memory=True).copy_(there[:1]),
    ):
        send()
        assert here.isnan().all()
        wait()
        assert here.tolist() == [1, 2, 3, 4]
    send()
    assert torch.zeros(4, device=CUDA).copy_(here, non_blocking=True).tolist() == [1, 2, 3, 4], "one after the other"


def test_what_is_wanted_at_one_time_crosses_in_one_copy(gpu: PretendedGpu) -> None:
    here = [
        torch.tensor([True, False, True]),
        torch.tensor(2.5),
        torch.arange(6, dtype=torch.int64).view(2, 3),
        torch.zeros(0),
        torch.tensor([7], dtype=torch.uint8),
        torch.arange(6.0).view(2, 3).t(),
        torch.tensor(math.nan, dtype=torch.float64),
    ]
    there = [each.to(CUDA) for each in here]
    gpu.waits.clear()
    stays = torch.ones(2)
    *crossed, stayed = to_host([*there, stays])
    assert len(gpu.waits) == 1
    assert stayed is stays
    for one, other in zip(crossed, here, strict=True):
        assert not isinstance(one, OnDevice)
        assert one.dtype == other.dtype
        torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True)


def test_a_graph_does_the_same_again_and_asks_nothing(gpu: PretendedGpu) -> None:
    values, total = torch.ones(3, device=CUDA), torch.zeros((), device=CUDA)
    reasons: list[str] = []

    def add() -> None:
        total.add_((values * 2).sum())

    call = GraphedCall(add, "sum", CUDA, reasons.append)
    for times in range(1, 5):
        values.fill_(times)
        call()
        assert float(total) == 6 * sum(range(1, times + 1))
    assert call.recorded

    def ask() -> None:
        if float(total) > 0:
            total.zero_()

    asking = GraphedCall(ask, "question", CUDA, reasons.append)
    for _ in range(3):
        asking()
    assert not asking.recorded
    assert "question cannot be recorded" in reasons[0]


CASES = {
    "breakout": ("breakout.toml",),
    "older segments": ("breakout.toml", "replay.factor=0.5"),
    "environments on the CPU": ("breakout.toml", "env.device=cpu", "replay.factor=0.5"),
    "three groups": ("breakout.toml", "env.device=cpu", "env.groups=3", "env.config.max_steps=5"),
    "one group": ("breakout.toml", "env.device=cpu", "env.groups=1", "env.config.max_steps=5"),
    "no graphs": ("breakout.toml", "train.graphs=false", "replay.factor=0.5"),
    "no kernels": ("breakout.toml", "train.fused=false"),
    "time limits": ("breakout.toml", "env.config.max_steps=5", "replay.factor=0.5"),
    "mingru": ("maze.toml", "policy.core=mingru", "policy.layers=2", "env.config.map_size=7"),
    "no core": ("memory.toml", "policy.core=none", "train.optimizer=adam"),
    "two layers": ("password.toml", "policy.layers=2"),
    "several agents": ("multiagent.toml", "replay.factor=0.5"),
}
ROUNDED = {
    "breakout": ("breakout.toml",),
    "groups": ("breakout.toml", "env.device=cpu", "env.groups=3"),
    "groups and time limits": ("breakout.toml", "env.device=cpu", "env.groups=2", "env.config.max_steps=5"),
    "time limits": ("breakout.toml", "env.config.max_steps=5", "replay.factor=0.5"),
    "mingru": ("maze.toml", "policy.core=mingru", "policy.layers=2", "env.config.map_size=7"),
    "no core": ("memory.toml", "policy.core=none", "policy.layers=2"),
    "two layers": ("password.toml", "policy.layers=2"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_learned_is_what_the_cpu_learns(gpu: PretendedGpu, make: Make, case: str) -> None:
    name, *sets = CASES[case]
    there = make(*sets, name=name)
    sound = [each for each in sets if not each.startswith(("env.device", "env.groups", "train.graphs", "train.fused"))]
    here = Trainer(Profile.load(name, [*TINY, *sound, "train.fused=false"]).for_device("cpu"), CPU)
    for _ in range(4):
        gpu.waits.clear()
        one, other = figures(there.iterate().metrics), figures(here.iterate().metrics)
        assert one == pytest.approx(other, rel=1e-3, abs=3e-4)
    here.close()
    for name, value in here.optimizer.weights().items():
        torch.testing.assert_close(there.optimizer.weights()[name].cpu(), value, rtol=1e-3, atol=1e-4)
    if case != "no graphs":
        assert gpu.launches > 5


def test_without_a_minibatch_the_fresh_segments_alone_tell_what_is_explained(make: Make) -> None:
    """As on the CPU, though here the older ones lie in the same store."""
    sets = ("replay.factor=2", "train.update_epochs=0.2", "train.minibatch=128")
    there, here = make(*sets), Trainer(Profile.load("breakout.toml", [*TINY, *sets, "train.fused=false"]), CPU)
    idle = 0
    for _ in range(4):
        one, other = there.iterate().metrics, here.iterate().metrics
        idle += one["train/minibatches"] == 0 and len(there.experience) > there.experience.fresh
        assert one["loss/explained_variance"] == pytest.approx(other["loss/explained_variance"], rel=1e-3, abs=3e-4)
    here.close()
    assert idle == 2


@pytest.mark.parametrize("case", ROUNDED)
def test_with_rounded_products_it_is_nearly_that(gpu: PretendedGpu, make: Make, case: str) -> None:
    """The rollout goes by the kernel for a whole step, an LSTM's segment by that for all steps."""
    name, *sets = ROUNDED[case]
    there = make(*sets, "policy.hidden=32", "train.precision=tf32", name=name)
    assert there.policy.whole_step is not None
    sound = [each for each in sets if not each.startswith(("env.device", "env.groups"))]
    here = Trainer(Profile.load(name, [*TINY, *sound, "policy.hidden=32"]).for_device("cpu"), CPU)
    for _ in range(2):
        one, other = figures(there.iterate().metrics), figures(here.iterate().metrics)
        assert one == pytest.approx(other, rel=0.03, abs=5e-3)
    here.close()


@pytest.mark.parametrize("core", ["lstm", "mingru", "none"])
@pytest.mark.parametrize("where", ["cpu", "cuda"])
def test_bfloat16_is_recorded_too(gpu: PretendedGpu, make: Make, where: str, core: str) -> None:
    trainer = make("train.precision=bfloat16", f"policy.core={core}", f"env.device={where}")
    for _ in range(3):
        assert math.isfinite(trainer.iterate().metrics["loss/policy"])
    assert isinstance(trainer.collector, DeviceCollector if where == "cuda" else GroupedCollector)
    assert isinstance(trainer.recorded, DeviceUpdate)
    assert len(gpu.recorded) >= 2


@pytest.mark.parametrize("scheme", SCHEMES)
def test_minibatches_make_the_host_wait_for_nothing(gpu: PretendedGpu, make: Make, scheme: str) -> None:
    trainer = make("replay.factor=0.5", f"replay.scheme={scheme}", "train.update_epochs=2")
    for _ in range(3):
        trainer.iterate()
    trainer.collect()
    operations = []
    for index, _ in enumerate(trainer.minibatches()):
        if index == 1:  # the first one of an iteration brings the older segments into place
            gpu.waits.clear()
        before = gpu.operations
        trainer.learn()
        operations.append(gpu.operations - before)
    assert index > 2
    assert gpu.waits == []
    assert max(operations[1:]) <= 4, "beside the graph: the numbers, and chance"


@pytest.mark.parametrize(("core", "each_step"), [("lstm", 4), ("mingru", 0), ("none", 0)])
def test_a_recorded_minibatch_is_of_few_launches(gpu: PretendedGpu, make: Make, core: str, each_step: int) -> None:
    """Each takes some two microseconds, however little it does, and most of these do little. An LSTM's step takes a
    product and a kernel, forward and back."""
    trainer = make(f"policy.core={core}", "train.weight_decay=0.01", "train.value_clip=0.2")
    trainer.collect()
    for _ in trainer.minibatches():
        trainer.learn()
    (update,) = gpu.recorded
    names = update.launched()
    assert sum(names.values()) - each_step * trainer.buffer.horizon <= 65, names


@pytest.mark.parametrize(("sets", "waits", "operations"), [([], 3, 34), (["replay.factor=0.5"], 4, 68)])
def test_an_iteration_makes_the_host_wait_seldom(
    gpu: PretendedGpu, make: Make, sets: list[str], waits: int, operations: int
) -> None:
    """For last iteration's clock, for what was collected, for what was learned, and for which segments stay.

    Each wait leaves the device without work for a while, and each operation outside graphs is a launch of its own.
    """
    trainer = make(*sets)
    for _ in range(3):
        trainer.iterate()
    for _ in range(2):
        gpu.waits.clear()
        before = gpu.operations
        trainer.iterate()
        assert len(gpu.waits) <= waits, gpu.waits
        assert gpu.operations - before <= operations


def test_when_the_host_has_waited_the_device_waits_for_two_launches(
    monkeypatch: pytest.MonkeyPatch, gpu: PretendedGpu, make: Make
) -> None:
    """The numbers and the chance of a minibatch, or the chance of a horizon; then comes a graph."""
    trainer = make()
    for _ in range(3):
        trainer.iterate()
    waited: list[int] = []
    launched: list[int] = []
    wait, replay = gpu.wait, torch.cuda.CUDAGraph.replay

    def waiting(operation: str, sent: int | None = None) -> None:
        wait(operation, sent)
        waited.append(gpu.operations)

    def replaying(graph: Any) -> None:
        if waited:
            launched.append(gpu.operations - waited[-1])
            waited.clear()
        replay(graph)

    monkeypatch.setattr(gpu, "wait", waiting)
    monkeypatch.setattr(torch.cuda.CUDAGraph, "replay", replaying)
    for _ in range(3):
        trainer.iterate()
    assert launched[0] == 2
    assert len(launched) == 5
    assert max(launched) <= 2


@pytest.mark.parametrize(("core", "most"), [("lstm", 9), ("mingru", 8), ("none", 8)])
def test_a_step_of_the_rollout_is_few_launches(gpu: PretendedGpu, make: Make, core: str, most: int) -> None:
    """Encoder 2, core, heads, action, environment, end of episode: each costs a GPU microseconds."""
    sets = (f"policy.core={core}", "env.config.max_steps=1000")
    counts = []
    for horizon in (16, 32):
        trainer = make(*sets, f"train.horizon={horizon}")
        gpu.recorded.clear()
        for _ in range(2):
            trainer.collect()
        (tape,) = gpu.recorded
        counts.append(sum(tape.launched().values()))
    assert (counts[1] - counts[0]) / 16 <= most
    assert counts[0] <= 16 * most + 60


def test_edits_while_it_learns(make: Make) -> None:
    trainer = make("replay.factor=0.5")
    trainer.iterate()
    for key, value in EDITS:
        trainer.profile = trainer.profile.with_value(key, value)
        trainer.iterate()


@pytest.mark.parametrize("where", ["cpu", "cuda"])
def test_a_state_goes_from_the_gpu_to_the_cpu_and_back(make: Make, where: str) -> None:
    sets = ("replay.factor=0.5", f"env.device={where}")
    there, again = make(*sets), make(*sets)
    here = Trainer(Profile.load("breakout.toml", [*TINY, "replay.factor=0.5", "train.fused=false"]), CPU)
    for _ in range(2):
        there.iterate()
    load_state(here, save_state(there, {}))
    load_state(again, save_state(there, {}))
    for _ in range(2):
        one, other, third = (figures(each.iterate().metrics) for each in (there, again, here))
        assert one == other
        assert third.keys() == one.keys()
    # Their random numbers differ from here on.
    load_state(there, save_state(here, {}))
    for name, value in here.optimizer.weights().items():
        assert torch.equal(there.optimizer.weights()[name].cpu(), value)
    there.iterate()
    here.close()


@pytest.mark.parametrize("where", ["cpu", "cuda"])
def test_what_is_not_finite_is_left_out(make: Make, where: str) -> None:
    trainer = make("run.on_nan=skip", "replay.factor=0.5", f"env.device={where}")
    for _ in range(3):
        trainer.iterate()
    trainer.collector.set_state(trainer.collector.state().index_fill(2, torch.tensor([3], device=CUDA), math.nan))
    metrics = trainer.iterate().metrics
    assert metrics["train/skipped_segments"] == 1
    assert math.isfinite(metrics["loss/policy"])
    assert trainer.iterate().metrics["train/skipped_segments"] == 0


@pytest.mark.parametrize("refill", ["topk", "recent", "random"])
def test_advantages_that_overflow_are_left_out(gpu: PretendedGpu, make: Make, refill: str) -> None:
    told: list[str] = []
    trainer = make("run.on_nan=skip", "train.reward_clamp=0", "replay.factor=4", f"replay.refill={refill}")
    trainer.guard._warn = told.append
    trainer.iterate()
    collect = trainer.collector._collect

    def collect_badly(*arguments: Any) -> None:
        collect(*arguments)
        if trainer.iteration == 1:
            trainer.buffer.rewards[:, 6] = 3e38

    trainer.collector._collect = collect_badly  # type: ignore[method-assign]
    before = {name: value.cpu() for name, value in trainer.optimizer.weights().items()}
    metrics = trainer.iterate().metrics
    assert metrics["train/skipped_segments"] == 1
    assert told[0] == "iteration 2: the advantages of segment 6 (agent 6) add up to inf"
    assert all(math.isfinite(value) for value in metrics.values())
    for name, value in trainer.optimizer.weights().items():
        assert torch.equal(value.cpu(), before[name]), "no minibatch had a sound priority to go by"
    assert trainer.archive is not None
    kept = set(zip(trainer.archive.iteration.tolist(), trainer.archive.agent.tolist(), strict=True))
    assert kept == {(turn, agent) for turn in (1, 2) for agent in range(8)} - {(2, 6)}
    assert trainer.iterate().metrics["train/skipped_segments"] == 0


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_weights_that_are_not_finite_end_the_iteration(gpu: PretendedGpu, make: Make, bad: float) -> None:
    trainer = make("train.optimizer=adam", "run.on_nan=skip")
    trainer.iterate()
    trainer.optimizer.second[0].view(-1)[3].fill_(bad)
    with pytest.raises(NonFiniteError, match=r"1 of \d+ numbers of the .* are (nan|inf|-inf)"):
        trainer.iterate()


@pytest.mark.parametrize("where", ["cpu", "cuda"])
def test_segments_can_be_looked_at(make: Make, where: str) -> None:
    trainer = make("replay.factor=0.5", f"env.device={where}")
    trainer.inspected = True
    trainer.collector.watch.environment = 5
    for _ in range(3):
        trainer.iterate()
    assert len(trainer.collector.watch.states) == trainer.buffer.horizon
    for order in ORDERS:
        view = view_segment(trainer, order, 3)
        assert len(view.steps) == trainer.buffer.horizon
        assert all(step.ratio == pytest.approx(1, abs=0.5) for step in view.steps)


@pytest.mark.parametrize("where", ["cpu", "cuda"])
@pytest.mark.parametrize("name", ["breakout.toml", "maze.toml"])
def test_a_replayed_segment_shows_what_was_recorded(make: Make, name: str, where: str) -> None:
    """The states that the fresh ones begin in may come to the host when they have long been joined to the older ones;
    they are those of the right horizon all the same, of kept segments and after a resume, too."""
    sets = ("replay.factor=1", "replay.refill=random", f"env.device={where}")
    trainer, resumed = (make(*sets, name=name) for _ in range(2))
    for _ in range(3):
        trainer.iterate()
    load_state(resumed, save_state(trainer, {}))
    for each in (trainer, resumed):
        each.iterate()
        assert each.archive is not None
        assert 0 < int((each.archive.iteration < each.iteration).sum()) < len(each.archive)
        for store in (*each.experience.stores, each.archive):
            for place in range(len(store)):
                observations = replay_states(each, store, place)[1]
                assert np.allclose(observations, store.observations[:, place].cpu().numpy(), atol=1e-5)


def test_the_breakdown_of_the_memory_counts_what_is_there(gpu: PretendedGpu, make: Make) -> None:
    trainer = make("replay.factor=0.5")
    for _ in range(3):
        trainer.iterate()
    parts = memory_parts(trainer, 1 << 29, 1 << 30)
    assert parts["rollout"] >= trainer.buffer.observations.nbytes
    assert parts["replay"] > 0
    assert parts["optimizer"] > 0


def test_a_benchmark_runs(gpu: PretendedGpu, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(bench, "GEMM_SIZE", 64)
    gc.collect()  # graphs of other tests' trainers would be counted
    report = bench.run_bench(Profile.load("breakout.toml", ON_GPU), repeats=1, tell=told.append, compare="eager")
    assert report.device == "cuda:0"
    assert report.graphs == 2
    assert report.sps > 0


def test_a_whole_run_with_a_checkpoint_and_its_resume(
    gpu: PretendedGpu, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    main = TrainingSession._main

    def on_the_gpu(session: TrainingSession) -> None:
        with gpu.here():
            main(session)

    monkeypatch.setattr(TrainingSession, "_main", on_the_gpu)
    profile = Profile.load("breakout.toml", [*ON_GPU, "replay.factor=0.5"])
    first = TrainingSession(profile, runs=tmp_path)
    first.start()
    wait_for(first, lambda snapshot: snapshot.iteration >= 3)
    first.stop()
    first.join(60)
    second = TrainingSession(profile, runs=tmp_path, resume=first.folder)
    second.start()
    snapshot = wait_for(second, lambda snapshot: snapshot.iteration >= 6)
    assert snapshot.device == "cuda:0"
    second.stop()
    second.join(60)
