"""What an iteration did, in numbers: taken down when it ends, and made into metrics when somebody asks for them.

By then the trainer may be at work on the next iteration: nothing here changes with it. On a GPU that is the time in
which a report costs nothing, because the host waits for the next horizon.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from torch import Tensor

import c_envs
from engine.phases import PhaseTimer
from engine.replay import SamplingSettings
from engine.reuse import ReuseColumns, reuse_metrics, reuse_view
from engine.snapshot import ReplayView


@dataclass
class Report:
    """An iteration that has ended. Tensors are on the host, and nobody else writes to them.

    `ended` counts the episodes that ended. `rates` are the learning rates, of Muon and of Adam. `seconds` is the
    iteration's wall time without pauses; `phases`, which add up to `wall`, are on a GPU those of the iteration before.
    """

    step: int
    iteration: int
    ended: Callable[[], c_envs.Statistics]
    learned: Mapping[str, float]
    explained_variance: Tensor
    reuse: ReuseColumns
    fresh: int
    scheme: str
    draws: int
    table: bool
    sampling: SamplingSettings
    rates: tuple[float, float]
    minibatches: int
    skipped: int
    skipped_segments: int
    seconds: float = 0.0
    phases: Mapping[str, float] = field(default_factory=dict)
    wall: float = 0.0

    def take_times(self, timer: PhaseTimer) -> None:
        """The iteration ends here."""
        self.seconds, self.phases, self.wall = timer.elapsed(), timer.totals(), timer.wall()

    @cached_property
    def figures(self) -> dict[str, float]:
        """The metrics that are no times."""
        metrics: dict[str, float] = {"step": self.step, "iteration": self.iteration}
        ended = self.ended()
        metrics["episode/count"] = ended.episodes
        if ended.episodes:
            metrics["episode/return"] = ended.episode_return / ended.episodes
            metrics["episode/score"] = ended.score / ended.episodes
            metrics["episode/length"] = ended.length / ended.episodes
        metrics |= self.learned
        if math.isfinite(explained := float(self.explained_variance)):
            metrics["loss/explained_variance"] = explained
        metrics |= reuse_metrics(self.reuse, self.fresh, self.iteration)
        metrics["replay/alpha"], metrics["replay/beta"] = float(self.sampling.alpha), float(self.sampling.beta)
        metrics["train/learning_rate"], metrics["train/adam_learning_rate"] = self.rates
        metrics["train/minibatches"] = self.minibatches
        metrics["train/skipped"], metrics["train/skipped_segments"] = self.skipped, self.skipped_segments
        return metrics

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Flat metrics, as metrics.jsonl holds them."""
        phases = {name: seconds for name, seconds in self.phases.items() if name != "unaccounted"}
        metrics = self.figures | {f"time/{name}": seconds for name, seconds in phases.items()}
        metrics["time/iteration"] = self.wall
        metrics["time/unaccounted"] = max(0.0, self.wall - sum(phases.values()))
        return metrics

    def view(self) -> ReplayView:
        """The prioritization panel's view, made anew each time: most iterations are never looked at."""
        return reuse_view(self.scheme, self.draws, self.reuse, self.fresh, self.iteration, self.table)
