"""The benchmark's figures agree with one another, and what it is compared with is the same but for one switch."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from engine import bench, run_bench
from engine.device_graph import GraphedCall
from engine.errors import BenchError
from engine.profile import Profile
from engine.trainer import Trainer
from tests.engine.conftest import TINY, tiny_profile
from tests.engine.device.fake_cuda import FakeCuda

CUDA = torch.device("cuda", 0)


def test_the_figures_of_a_benchmark_agree_with_one_another() -> None:
    heard: list[str] = []
    report = run_bench(tiny_profile("train.update_epochs=2"), repeats=3, tell=heard.append)
    assert len(heard) == 3
    assert report.sps_low <= report.sps <= report.sps_high
    assert report.limit_sps == pytest.approx(report.gemm_gflops * 1e9 / report.flop_per_step)
    assert report.share == pytest.approx(report.sps / report.limit_sps)
    weights = 118 * 16 + 2 * 16 * 64 + 16 * 4
    assert report.flop_per_step == 2 * weights + 2 * (6 * weights - 2 * 118 * 16)
    assert sum(report.phases.values()) + report.unaccounted_seconds == pytest.approx(report.iteration_seconds, rel=0.05)
    assert report.rollout_sps > report.sps
    assert report.environment_sps > report.rollout_sps
    # Observations, seven numbers and the flags of a step, and a share of the state; gathered twice, read and written.
    assert 2 * 2 * 118 * 4 < report.gathered_bytes_per_step < 2 * 2 * 118 * 4 * 1.2
    assert (report.crossing_bytes_per_step, report.copied_bytes_per_step) == (0, report.gathered_bytes_per_step)
    assert (report.graphs, report.launches, report.launches_per_iteration) == (None, None, None)
    assert report.compare is None


def test_beside_a_comparison_the_pairs_are_measured_by_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Iterations of a made-up clock: the ratio is the median of the pairs, not the quotient of two medians."""
    turns: list[bool] = []
    seconds = {True: iter([2.0, 1.0, 4.0, 1.0, 1.0]), False: iter([4.0, 3.0, 4.0, 8.0, 2.5])}
    real = bench._Side.iterate

    def iterate(side: Any) -> None:
        real(side)
        fused = side.trainer.profile.train.fused
        turns.append(fused)
        side.seconds[-1] = next(seconds[fused])

    monkeypatch.setattr(bench._Side, "iterate", iterate)
    report = run_bench(tiny_profile(), repeats=5, compare="plain")
    assert turns == [True, False, False, True, True, False, False, True, True, False]
    beside = report.compare
    assert beside is not None
    assert (beside.other, beside.key, beside.pairs) == ("plain", "train.fused", 5)
    assert (beside.ratio, beside.ratio_low, beside.ratio_high) == (2.5, 1.0, 8.0)
    assert (report.sps, beside.sps) == (128 / 1.0, 128 / 4.0)
    assert (report.iteration_seconds, beside.iteration_seconds) == (9 / 5, 21.5 / 5)
    assert set(report.phases) >= {"collect/policy", "train/backward"} <= set(beside.phases)
    assert (beside.graphs, beside.launches) == (None, None)


def test_the_rate_is_that_of_the_products_that_training_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU bfloat16 has another limit than float32. A trainer in float32 stands in: its products do not matter."""
    asked: list[torch.dtype] = []

    def rate(device: torch.device, threads: int, dtype: torch.dtype) -> float:
        asked.append(dtype)
        return 1e9

    on_cpu = tiny_profile().for_device("cpu")
    in_half = tiny_profile("train.device=cuda", "train.precision=bfloat16").for_device("cuda")
    monkeypatch.setattr(bench, "gemm_rate", rate)
    assert run_bench(on_cpu, repeats=1).precision == "float32"
    assert asked == [torch.float32] * 2
    real = Trainer
    monkeypatch.setattr(bench, "resolve_device", lambda wanted: torch.device("cpu"))
    monkeypatch.setattr(Profile, "for_device", lambda profile, device: profile)
    monkeypatch.setattr(bench, "Trainer", lambda profile, device, warn: real(on_cpu, device, warn=warn))
    run_bench(in_half, repeats=1)
    assert asked[2:] == [torch.bfloat16] * 2


def test_launches_are_counted_when_all_times_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The profiler slows down what comes after it."""
    order: list[str] = []
    timed = bench._timed
    monkeypatch.setattr(bench, "_timed", lambda *given: order.append("timed") or timed(*given))
    monkeypatch.setattr(bench, "count_launches", lambda *given: order.append("counted") or {"kernels": 3, "copies": 2})
    report = run_bench(tiny_profile(), repeats=2, compare="plain")
    assert order.count("counted") == 2
    assert order[-2:] == ["counted"] * 2
    assert (report.launches, report.launches_per_iteration) == ({"kernels": 3, "copies": 2}, 5)


@pytest.mark.parametrize("factor", [1.0, 2.5])
def test_older_segments_are_trained_on_and_gathered_as_often_as_fresh_ones(
    monkeypatch: pytest.MonkeyPatch, factor: float
) -> None:
    """By the minibatches that the iterations which count have trained on, and by the profile without replay."""
    sides: list[Any] = []
    minibatches: list[int] = []
    real = bench._Side.iterate

    def iterate(side: Any) -> None:
        real(side)
        sides.append(side)
        minibatches.append(side.trainer.learner.updates)

    monkeypatch.setattr(bench._Side, "iterate", iterate)
    without, report = (
        run_bench(tiny_profile("train.update_epochs=2", f"replay.factor={each}"), repeats=1) for each in (0.0, factor)
    )
    uses = [count * 64 / 128 for count in minibatches]
    assert uses == [2.0, 2.0 * (1 + factor)]
    policy = sides[0].trainer.policy
    found = [(each.flop_per_step - policy.forward_flops()) / policy.sample_flops() for each in (without, report)]
    assert found == pytest.approx(uses)
    assert report.gathered_bytes_per_step / without.gathered_bytes_per_step == pytest.approx(1 + factor)


@pytest.mark.parametrize(("epochs", "minibatches"), [(0.25, [1, 1, 1]), (1.5, [1, 2, 1])])
def test_updates_alone_are_all_their_samples_by_all_their_seconds(
    make_trainer: Callable[..., Trainer], monkeypatch: pytest.MonkeyPatch, epochs: float, minibatches: list[int]
) -> None:
    """Where a horizon is less than a minibatch, or no multiple of one, turns differ; none goes without."""
    trainer = make_trainer(f"train.update_epochs={epochs}", "train.minibatch=128")
    trainer.iterate()
    trainer.owed_segments = 0.0
    trained: list[int] = []
    real = bench._update

    def update(one: Trainer) -> int:
        trained.append(real(one))
        return trained[-1]

    def timed(work: Callable[[], object], device: torch.device) -> float:
        before = sum(trained)
        work()
        return 1.0 + 2.0 * (sum(trained) - before)

    monkeypatch.setattr(bench, "_update", update)
    monkeypatch.setattr(bench, "_timed", timed)
    rate = bench._alone(trainer, torch.device("cpu"), pytest.fail)[2]
    assert trained == minibatches
    assert rate == 128 * sum(minibatches) / (3 + 2 * sum(minibatches))


@pytest.mark.parametrize("fused", [True, False])
def test_environments_alone_are_stepped_by_the_threads_that_step_them_in_training(
    make_trainer: Callable[..., Trainer], monkeypatch: pytest.MonkeyPatch, fused: bool
) -> None:
    """A batch with threads of its own serves one caller at a time; one without is shared among the workers."""
    sets = ("env.agents=256", "train.minibatch=1024", "train.threads=2", "env.threads=2")
    trainer = make_trainer(*sets, f"train.fused={str(fused).lower()}")
    assert (trainer.workers.count, trainer.batch.threads) == (2, 1 if fused else 2)
    calls: set[tuple[int, int, int, int]] = set()
    real = trainer.batch.step

    def step(t: int, first: int = 0, count: int = 256) -> None:
        calls.add((threading.get_ident() == threading.main_thread().ident, t, first, count))
        real(t, first, count)

    monkeypatch.setattr(trainer.batch, "step", step)
    bench._play(trainer)
    if fused:
        assert calls == {(first == 0, t, first, 128) for t in range(16) for first in (0, 128)}
    else:
        assert calls == {(True, t, 0, 256) for t in range(16)}


def test_the_other_differs_by_one_switch() -> None:
    profile = tiny_profile("policy.core=mingru").for_device("cpu")
    plain = bench.other_profile(profile, "plain", torch.device("cpu"))
    assert profile.changes(plain) == {"train.fused": (True, False)}
    on_gpu = tiny_profile("train.device=cuda").for_device("cuda")
    assert on_gpu.changes(bench.other_profile(on_gpu, "eager", CUDA)) == {"train.graphs": (True, False)}
    assert on_gpu.changes(bench.other_profile(on_gpu, "plain", CUDA)) == {"train.fused": (True, False)}


@pytest.mark.parametrize(
    ("compare", "sets", "message"),
    [
        (
            "eager",
            (),
            r"^compare eager: only a GPU has CUDA graphs to do without; write --device cuda or compare plain$",
        ),
        (
            "plain",
            ("train.fused=false",),
            r"^compare plain: train.fused is false in the profile already, so both .*same$",
        ),
    ],
)
def test_what_cannot_be_compared_is_one_line_before_anything_is_measured(
    compare: str, sets: tuple[str, ...], message: str
) -> None:
    with pytest.raises(BenchError, match=message):
        run_bench(tiny_profile(*sets), tell=pytest.fail, compare=compare)


def test_the_graphs_of_a_side_are_those_of_its_own_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = FakeCuda()
    cuda.install(monkeypatch)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)

    class FakeTrainer:
        overlaps = True
        meanwhile: Callable[[], None]

        def __init__(self, profile: Profile, device: torch.device, warn: Any) -> None:
            wanted = profile.train.graphs
            self.calls = [
                GraphedCall(lambda: None, name, device, warn, wanted=wanted) for name in ("rollout", "update")
            ]

        def iterate(self) -> SimpleNamespace:
            self.meanwhile()
            for call in self.calls:
                call()
            return SimpleNamespace(
                metrics={"time/iteration": 2.0, "time/collect": 1.5, "time/unaccounted": 0.5, "step": 8}
            )

    monkeypatch.setattr(bench, "Trainer", FakeTrainer)
    profile = tiny_profile("train.device=cuda").for_device("cuda")
    sides = [bench._Side(each, CUDA, pytest.fail) for each in (profile, profile.with_value("train.graphs", False))]
    bench._measure(sides, 2)
    assert [side.graphs for side in sides] == [2, 0]
    assert cuda.replays == 2 * (2 + 2), "two of three iterations to warm up, and both that count"
    assert [len(side.seconds) for side in sides] == [2, 2]
    assert [(side.phases(), side.unaccounted()) for side in sides] == [({"collect": 1.5}, 0.5)] * 2


def test_what_crosses_is_told_apart_from_what_is_gathered(monkeypatch: pytest.MonkeyPatch) -> None:
    real = bench._Side.warm_up

    def warm_up(side: Any) -> None:
        real(side)
        monkeypatch.setattr(side.trainer.collector, "crossing_bytes", lambda: 128 * 50)

    monkeypatch.setattr(bench._Side, "warm_up", warm_up)
    report = run_bench(tiny_profile(), repeats=1)
    assert report.crossing_bytes_per_step == 50
    assert report.copied_bytes_per_step == report.gathered_bytes_per_step + 50


@pytest.mark.gpu(driver=True)
def test_on_a_gpu_graphs_spare_the_host_launches() -> None:
    sets = [each for each in TINY if not each.startswith("train.device")]
    profile = Profile.load("breakout.toml", [*sets, "train.device=cuda", "env.agents=1024", "train.minibatch=4096"])
    heard: list[str] = []
    report = run_bench(profile, repeats=5, tell=heard.append, compare="eager")
    assert len(heard) == 3, heard
    beside = report.compare
    assert beside is not None
    assert report.graphs is not None
    assert (report.graphs > 0, beside.graphs) == (True, 0)
    assert report.launches is not None
    assert beside.launches is not None
    assert report.launches["graphs"] >= 1
    assert "graphs" not in beside.launches
    assert report.launches_per_iteration == sum(report.launches.values()) < sum(beside.launches.values()) / 2
    assert report.crossing_bytes_per_step > 0
    assert sum(report.phases.values()) + report.unaccounted_seconds == pytest.approx(report.iteration_seconds, rel=0.1)
    assert dataclasses.asdict(report)["compare"]["ratio"] == beside.ratio
