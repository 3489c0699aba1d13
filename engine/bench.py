"""How fast training is on this machine, and how near to what the machine can do.

    share = steps/s * FLOP per step / matrix-multiply rate

The matrix-multiply rate is measured in this process just before and after, with as many threads as training uses, so
that a share holds on a shared and noisy machine where a bare steps/s would not.
"""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields

import torch

from engine.device_environments import DeviceBatch
from engine.device_graph import GraphedCall
from engine.devices import resolve_device
from engine.parallel import split
from engine.profile import Profile
from engine.trainer import Trainer

WARM_UP = 2
GEMM_SIZE = 2048
GEMM_RUNS = 5


@dataclass(frozen=True, slots=True)
class BenchReport:
    """Figures of one benchmark; rates are medians over the repeats. `phases` are seconds per iteration."""

    profile: str
    device: str
    threads: int
    agents: int
    horizon: int
    minibatch: int
    update_epochs: float
    policy: str
    parameters: int
    repeats: int
    sps: float
    sps_low: float
    sps_high: float
    share: float
    gemm_gflops: float
    flop_per_step: float
    limit_sps: float
    """Steps/s at which the matrix products alone would take all the time."""
    environment_sps: float
    rollout_sps: float
    update_sps: float
    iteration_seconds: float
    unaccounted_seconds: float
    copied_bytes_per_step: float
    """Experience copied from buffer to buffer for one environment step, read and written: gathering minibatches, and
    on a GPU what crosses between host and device."""
    buffer_bytes: int
    peak_bytes: int
    phases: dict[str, float] = field(default_factory=dict)


def gemm_rate(device: torch.device, threads: int, dtype: torch.dtype = torch.float32) -> float:
    """FLOP/s of the best of five products of two 2048 x 2048 matrices."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        left, right = (torch.randn(GEMM_SIZE, GEMM_SIZE, device=device, dtype=dtype) for _ in range(2))
        torch.mm(left, right)
        best = min(_timed(lambda: torch.mm(left, right), device) for _ in range(GEMM_RUNS))
    finally:
        torch.set_num_threads(before)
    return 2 * GEMM_SIZE**3 / best


def _timed(work: Callable[[], object], device: torch.device) -> float:
    """Seconds of wall time, the device's queue drained."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    began = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


def flop_per_step(trainer: Trainer) -> float:
    """Matrix-product FLOP of one environment step: its rollout forward, and forward and backward per use of it."""
    policy = trainer.policy
    return policy.forward_flops() + trainer.profile.train.update_epochs * policy.sample_flops()


def copied_bytes_per_step(trainer: Trainer) -> float:
    """Bytes read and written per environment step by copies of experience, from the sizes of what is copied."""
    batch = trainer.experience.gather(torch.zeros(1, dtype=torch.int64, device=trainer.device))
    gathered = sum(value.nbytes for value in (getattr(batch, each.name) for each in fields(batch)) if value is not None)
    copied: float = 2 * gathered / trainer.buffer.horizon * trainer.profile.train.update_epochs
    return copied + trainer.collector.crossing_bytes() / trainer.steps_per_iteration


def run_bench(profile: Profile, repeats: int = 5, tell: Callable[[str], None] = lambda text: None) -> BenchReport:
    """Measures whole iterations after a warm-up, then environments, rollout and update each alone.

    Learning rates are as the profile has them, so the work is that of training. Takes `repeats` + 2 iterations and a
    little more; `tell` receives a line for each stage.
    """
    device = resolve_device(profile.train.device)
    profile = profile.for_device(device.type)
    trainer = Trainer(profile, device, warn=tell)
    threads = trainer.workers.count
    try:
        tell("measuring the matrix-multiply rate")
        rate = gemm_rate(device, threads)
        tell(f"{repeats} iterations of {trainer.steps_per_iteration:,} steps after {WARM_UP} to warm up")
        for _ in range(WARM_UP):
            trainer.iterate()
        totals: dict[str, float] = {}
        seconds = [_timed(lambda: _add(totals, trainer.iterate().metrics), device) for _ in range(repeats)]
        rate = max(rate, gemm_rate(device, threads))
        tell("environments, rollout and update each alone")
        # Of environments on a GPU the first call warms up, the second records; what counts is one launch for all steps.
        on_device = isinstance(trainer.batch, DeviceBatch)
        where = device if on_device else torch.device("cpu")
        play = GraphedCall(lambda: _play(trainer), "environments' horizon", where, tell)
        environments = min(_timed(play, device) for _ in range(4))
        rollout = statistics.median(_timed(trainer.collect, device) for _ in range(3))
        updates: list[int] = []
        update = statistics.median(_timed(lambda: updates.append(_update(trainer)), device) for _ in range(3))
        steps = trainer.steps_per_iteration
        work = flop_per_step(trainer)
        median = statistics.median(seconds)
        train, policy = profile.train, profile.policy
        return BenchReport(
            profile=profile.name,
            device=str(device),
            threads=threads,
            agents=profile.env.agents,
            horizon=train.horizon,
            minibatch=train.minibatch,
            update_epochs=train.update_epochs,
            policy=f"{policy.core} {policy.layers}x{policy.hidden}",
            parameters=trainer.policy.parameter_count(),
            repeats=repeats,
            sps=steps / median,
            sps_low=steps / max(seconds),
            sps_high=steps / min(seconds),
            share=steps / median * work / rate,
            gemm_gflops=rate / 1e9,
            flop_per_step=work,
            limit_sps=rate / work,
            environment_sps=steps / environments,
            rollout_sps=steps / rollout,
            update_sps=train.minibatch * statistics.mean(updates) / update,
            iteration_seconds=statistics.mean(seconds),
            unaccounted_seconds=totals.pop("unaccounted", 0.0) / repeats,
            copied_bytes_per_step=copied_bytes_per_step(trainer),
            buffer_bytes=trainer.buffer.bytes(),
            peak_bytes=_peak_bytes(device),
            phases={name: total / repeats for name, total in totals.items()},
        )
    finally:
        trainer.close()


def _add(totals: dict[str, float], metrics: dict[str, float]) -> None:
    for key, value in metrics.items():
        if key.startswith("time/") and key != "time/iteration":
            name = key.removeprefix("time/")
            totals[name] = totals.get(name, 0.0) + value


def _play(trainer: Trainer) -> None:
    """A horizon of every environment with the actions that lie in the buffer, split over the workers as in training."""
    parts = split(trainer.batch.environments, trainer.workers.count)

    def part(index: int) -> None:
        first, count = parts[index].start, parts[index].stop - parts[index].start
        for t in range(trainer.buffer.horizon):
            trainer.batch.step(t, first, count)

    trainer.workers.run(part)


def _update(trainer: Trainer) -> int:
    """The updates of one iteration on the experience that lies in the buffer; returns the number of minibatches."""
    count = 0
    for _ in trainer.minibatches():
        trainer.learn()
        count += 1
    return count


def _peak_bytes(device: torch.device) -> int:
    """Largest memory so far: the GPU's on a GPU, else the process's."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
