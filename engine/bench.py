"""How fast training is on this machine, and how near to what the machine can do.

    share = steps/s * FLOP per step / matrix-multiply rate

The matrix-multiply rate is measured in this process just before and after, with as many threads as training uses, so
that a share holds on a shared and noisy machine where a bare steps/s would not.
"""

from __future__ import annotations

import math
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields

import torch

from engine.collector import FusedCollector
from engine.device_environments import DeviceBatch
from engine.device_graph import GraphedCall, recorded_graphs
from engine.devices import resolve_device
from engine.errors import BenchError
from engine.launches import count_launches
from engine.profile import Profile
from engine.report import Report
from engine.trainer import Trainer

WARM_UP = {"cpu": 2, "cuda": 3}
"""Iterations before those that count, once replay has its older segments together. A GPU tells an iteration's phases in
the next one: hence one more there."""
GEMM_SIZE = 2048
GEMM_RUNS = 5


OTHERS = {"eager": "train.graphs", "plain": "train.fused"}
"""What a profile can be compared with, and the switch that is off there: rollout and updates operation by operation
instead of as CUDA graphs, and torch operations instead of fused kernels."""


@dataclass(frozen=True, slots=True)
class BenchComparison:
    """The profile beside itself with one switch off, iteration by iteration in turn in one process.

    `ratio` is the median over the pairs of how many times as fast the profile is as it is.
    """

    other: str
    key: str
    pairs: int
    ratio: float
    ratio_low: float
    ratio_high: float
    sps: float
    """Of the other; so with all that follows."""
    iteration_seconds: float
    unaccounted_seconds: float
    graphs: int | None
    launches: dict[str, int] | None
    phases: dict[str, float]


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
    precision: str
    """Of training's matrix products, and of those that the rate was measured with."""
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
    """Bytes that are copied for one environment step: the sum of the two below."""
    gathered_bytes_per_step: float
    """Experience read and written to gather minibatches."""
    crossing_bytes_per_step: float
    """What the rollout copies between host and device."""
    buffer_bytes: int
    peak_bytes: int
    graphs: int | None = None
    """CUDA graphs in use; None on a CPU."""
    launches: dict[str, int] | None = None
    """What the host queues on the GPU in an iteration, by kind (see engine/launches.py); None where it is not known."""
    launches_per_iteration: int | None = None
    """Their sum."""
    phases: dict[str, float] = field(default_factory=dict)
    compare: BenchComparison | None = None


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
    return policy.forward_flops() + uses_per_step(trainer) * policy.sample_flops()


def uses_per_step(trainer: Trainer) -> float:
    """Samples trained on per environment step: update_epochs is the mean use of older segments, too."""
    return trainer.profile.train.update_epochs * len(trainer.experience) / trainer.experience.fresh


def gathered_bytes_per_step(trainer: Trainer) -> float:
    """Bytes read and written per environment step to gather minibatches, from the sizes of what is gathered."""
    batch = trainer.experience.gather(torch.zeros(1, dtype=torch.int64, device=trainer.device))
    gathered = sum(value.nbytes for value in (getattr(batch, each.name) for each in fields(batch)) if value is not None)
    copied: float = 2 * gathered / trainer.buffer.horizon * uses_per_step(trainer)
    return copied


def run_bench(
    profile: Profile,
    repeats: int = 5,
    tell: Callable[[str], None] = lambda text: None,
    compare: str | None = None,
) -> BenchReport:
    """Measures whole iterations after a warm-up, then environments, rollout and update each alone.

    Learning rates are as the profile has them, so the work is that of training. Takes `repeats` + 3 iterations, some
    more for replay to have its older segments, and a little more; with `compare`, a key of OTHERS, those of the other
    as well, in turn with these. `tell` receives a line for each stage. BenchError where there is nothing to compare.
    """
    device = resolve_device(profile.train.device)
    profile = profile.for_device(device.type)
    profiles = [profile] if compare is None else [profile, other_profile(profile, compare, device)]
    sides: list[_Side] = []
    try:
        sides.extend(_Side(each, device, tell) for each in profiles)
        threads, steps = sides[0].trainer.workers.count, sides[0].trainer.steps_per_iteration
        tell("measuring the matrix-multiply rate")
        kind = torch.bfloat16 if profile.train.precision == "bfloat16" else torch.float32  # tf32 is a way to multiply
        rate = gemm_rate(device, threads, kind)
        turns = "" if compare is None else f", by turns with {compare} ones"
        tell(f"{repeats} iterations of {steps:,} steps after {sides[0].warm_ups} to warm up{turns}")
        _measure(sides, repeats)
        rate = max(rate, gemm_rate(device, threads, kind))
        return _report(sides, compare, rate, tell)
    finally:
        for side in sides:
            side.trainer.close()


def _report(sides: Sequence[_Side], compare: str | None, rate: float, tell: Callable[[str], None]) -> BenchReport:
    """The figures, after what is left to measure: environments, rollout and update, and launches."""
    side, trainer, device = sides[0], sides[0].trainer, sides[0].device
    tell("environments, rollout and update each alone")
    environments, rollout, update = _alone(trainer, device, tell)
    launches = [count_launches(each.trainer.iterate, device, tell) for each in sides]
    profile, steps, median = trainer.profile, trainer.steps_per_iteration, statistics.median(side.seconds)
    train, policy, work = profile.train, profile.policy, flop_per_step(trainer)
    gathered, crossing = gathered_bytes_per_step(trainer), trainer.collector.crossing_bytes() / steps
    return BenchReport(
        profile=profile.name,
        device=str(device),
        threads=trainer.workers.count,
        agents=profile.env.agents,
        horizon=train.horizon,
        minibatch=train.minibatch,
        update_epochs=train.update_epochs,
        policy=f"{policy.core} {policy.layers}x{policy.hidden}",
        parameters=trainer.policy.parameter_count(),
        precision=train.precision,
        repeats=len(side.seconds),
        sps=steps / median,
        sps_low=steps / max(side.seconds),
        sps_high=steps / min(side.seconds),
        share=steps / median * work / rate,
        gemm_gflops=rate / 1e9,
        flop_per_step=work,
        limit_sps=rate / work,
        environment_sps=steps / environments,
        rollout_sps=steps / rollout,
        update_sps=update,
        iteration_seconds=statistics.mean(side.seconds),
        unaccounted_seconds=side.unaccounted(),
        copied_bytes_per_step=gathered + crossing,
        gathered_bytes_per_step=gathered,
        crossing_bytes_per_step=crossing,
        buffer_bytes=trainer.buffer.bytes(),
        peak_bytes=_peak_bytes(device),
        graphs=side.graphs,
        launches=launches[0],
        launches_per_iteration=None if launches[0] is None else sum(launches[0].values()),
        phases=side.phases(),
        compare=None if compare is None else _comparison(compare, side, sides[1], launches[1]),
    )


def other_profile(profile: Profile, compare: str, device: torch.device) -> Profile:
    """The profile with the switch off that `compare` names. BenchError where it is off, or has nothing to switch."""
    key = OTHERS[compare]
    if compare == "eager" and device.type != "cuda":
        raise BenchError(
            "compare eager: only a GPU has CUDA graphs to do without; write --device cuda or compare plain"
        )
    if not profile.info(key).value:
        raise BenchError(f"compare {compare}: {key} is false in the profile already, so both would be the same")
    return profile.with_value(key, False)


class _Side:
    """A trainer and what its iterations took."""

    def __init__(self, profile: Profile, device: torch.device, tell: Callable[[str], None]) -> None:
        self.trainer, self.device = Trainer(profile, device, warn=tell), device
        self.warm_ups = WARM_UP[device.type] + math.ceil(profile.replay.factor)
        self.graphs: int | None = None
        """CUDA graphs that it has recorded."""
        self.seconds: list[float] = []
        self._totals: dict[str, float] = {}
        self._untold: Report | None = None
        # As in a run: what can wait until a GPU is at work on the next horizon waits.
        self.trainer.meanwhile = self._tell

    def warm_up(self) -> None:
        """Iterations that do not count; in these graphs are recorded."""
        before = recorded_graphs(self.device)
        for _ in range(self.warm_ups):
            self.trainer.iterate()
        if self.device.type == "cuda":
            # Not a difference of two counts: what others held may be gone by now.
            self.graphs = sum(graph not in before for graph in recorded_graphs(self.device))

    def iterate(self) -> None:
        """One iteration that counts."""
        self.seconds.append(_timed(self._iterate, self.device))

    def _iterate(self) -> None:
        self._untold = self.trainer.iterate()
        if not self.trainer.overlaps:
            self._tell()

    def _tell(self) -> None:
        """Adds up the phases of the last iteration, where that was put off."""
        report, self._untold = self._untold, None
        for key, value in (report.metrics if report is not None else {}).items():
            if key.startswith("time/") and key != "time/iteration":
                name = key.removeprefix("time/")
                self._totals[name] = self._totals.get(name, 0.0) + value

    def phases(self) -> dict[str, float]:
        """Seconds by phase, of the mean iteration."""
        self._tell()
        return {name: total / len(self.seconds) for name, total in self._totals.items() if name != "unaccounted"}

    def unaccounted(self) -> float:
        """Seconds of the mean iteration that no phase accounts for."""
        self._tell()
        return self._totals.get("unaccounted", 0.0) / len(self.seconds)


def _measure(sides: Sequence[_Side], repeats: int) -> None:
    """Warms up, then takes the sides by turns, and the first turn by turns, too: what drifts meets both alike."""
    for side in sides:
        side.warm_up()
    for pair in range(repeats):
        for side in sides if pair % 2 == 0 else reversed(sides):
            side.iterate()


def _comparison(compare: str, side: _Side, other: _Side, launches: dict[str, int] | None) -> BenchComparison:
    ratios = [two / one for one, two in zip(side.seconds, other.seconds, strict=True)]
    return BenchComparison(
        other=compare,
        key=OTHERS[compare],
        pairs=len(ratios),
        ratio=statistics.median(ratios),
        ratio_low=min(ratios),
        ratio_high=max(ratios),
        sps=other.trainer.steps_per_iteration / statistics.median(other.seconds),
        iteration_seconds=statistics.mean(other.seconds),
        unaccounted_seconds=other.unaccounted(),
        graphs=other.graphs,
        launches=launches,
        phases=other.phases(),
    )


def _alone(trainer: Trainer, device: torch.device, tell: Callable[[str], None]) -> tuple[float, float, float]:
    """Seconds of a horizon of the environments, of a rollout, and samples a second of the updates, each alone."""
    # Of environments on a GPU the first call warms up, the second records; what counts is one launch for all steps.
    where = device if isinstance(trainer.batch, DeviceBatch) else torch.device("cpu")
    play = GraphedCall(lambda: _play(trainer), "environments' horizon", where, tell)
    environments = min(_timed(play, device) for _ in range(4))
    rollout = statistics.median(_timed(trainer.collect, device) for _ in range(3))
    updates: list[int] = []
    # One turn may have more minibatches than the next: only the sums belong together.
    seconds = sum(_timed(lambda: updates.append(_update(trainer)), device) for _ in range(3))
    return environments, rollout, trainer.profile.train.minibatch * sum(updates) / seconds


def _play(trainer: Trainer) -> None:
    """A horizon of every environment with the actions that lie in the buffer, stepped by the threads that do so in
    training: each worker its own environments, or all of them from here, by the threads that the batch has."""
    batch, horizon = trainer.batch, trainer.buffer.horizon
    if not isinstance(trainer.collector, FusedCollector):
        for t in range(horizon):
            batch.step(t)
        return
    parts = [part.environments for part in trainer.collector.parts]

    def part(index: int) -> None:
        first, count = parts[index].start, parts[index].stop - parts[index].start
        for t in range(horizon):
            batch.step(t, first, count)

    trainer.workers.run(part)


def _update(trainer: Trainer) -> int:
    """The updates of one iteration on the experience that lies in the buffer, but a minibatch at least; returns the
    number of minibatches."""
    due = trainer.profile.train.update_epochs * len(trainer.experience)
    trainer.owed_segments = max(trainer.owed_segments, trainer.segments_per_minibatch - due)
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
