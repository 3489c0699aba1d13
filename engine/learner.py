"""Trains the policy on one minibatch of segments: gather, forward, loss, backward, clip, optimizer step."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.device_learning import LearningKernels
from engine.device_step import DeviceStep
from engine.guard import DeferredFaults, MinibatchFault, Undo, minibatch_source
from engine.losses import STATISTICS, LossSettings, Targets, normalize, ppo_loss
from engine.optimizer import Optimizer, Rates, gradient_norms, scale_to_norm
from engine.parallel import Workers, split
from engine.phases import PhaseTimer
from engine.policy import Policy
from engine.replay import Draw
from engine.scalars import Scalar
from engine.segments import Experience, concatenated

CHUNK = 64
"""Segments that a CPU worker takes through the network at a time: more would need more memory and be no faster."""


@dataclass(frozen=True, slots=True)
class LearnerSettings:
    """Live settings of an update. `rates` None: those that the optimizer was set to."""

    loss: LossSettings
    max_grad_norm: Scalar
    rates: Rates | None = None


@dataclass(frozen=True, slots=True)
class Aims:
    """What the segments [M] of a minibatch are trained towards: advantages [T, M], normalized over its live steps and
    weighted by segment, and how many of its steps are live (0-D; None: all).

    Kernels find the returns [T, M] on the way, and the explained variance of the fresh segments (0-D).
    """

    advantages: Tensor
    live: Tensor | None
    returns: Tensor | None = None
    explained: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """What one pass through the network gave: for its segments [M] their values and ratios [T, M], the sums of the
    statistics and the gradients. Where the step is fused, the statistics are each sample's [6, T * M]."""

    segments: Tensor
    values: Tensor
    ratios: Tensor
    statistics: Tensor
    gradients: tuple[Tensor, ...]


class Learner:
    """Owns the gradients. Each worker takes a share of the minibatch's segments through the network and back.

    A minibatch whose loss or gradient is not finite changes nothing. `deferred`: the device finds out and takes the
    step back, and `metrics` tells of it; otherwise `update` raises before the step. Only then, at the iteration's end,
    does Adam's count of steps learn of a step taken back.
    """

    def __init__(
        self,
        policy: Policy,
        optimizer: Optimizer,
        workers: Workers,
        autocast: bool = False,
        deferred: bool | None = None,
        kernels: LearningKernels | None = None,
    ) -> None:
        self.kernels = kernels = kernels or LearningKernels()
        self.policy, self.optimizer, self.workers, self.autocast = policy, optimizer, workers, autocast
        self.parameters = list(policy.parameters())
        self.timers = [PhaseTimer() for _ in range(workers.count)]
        self.device = self.parameters[0].device
        self.deferred = self.device.type != "cpu" if deferred is None else deferred
        self.fused: DeviceStep | None = None
        """Takes the steps on a GPU, where there are kernels for it."""
        if self.deferred:
            if kernels.step is not None and kernels.loss is not None and DeviceStep.fits(optimizer):
                self.fused = DeviceStep(kernels.step, optimizer)
            # Kernels change nothing that would have to be taken back.
            self.undo = Undo(optimizer.held() if self.fused is None else ())
            self.faults = DeferredFaults(len(STATISTICS) + len(self.parameters) + 1, self.device)
        self.totals = torch.zeros(len(STATISTICS) + 2, device=self.device)
        """Over the iteration's minibatches: sums of the statistics, sum of the gradient norms, the largest ratio."""
        self.updates = 0
        self.taken_back = 0
        """Minibatches that `metrics` found to have been taken back; they do not count as updates."""
        self.fault: str | None = None
        """The source of the first of them."""

    def start_iteration(self) -> None:
        """Statistics count from zero again."""
        self.totals.zero_()
        self.updates = self.taken_back = 0
        self.fault = None
        if self.deferred:
            self.faults.start_iteration()

    def update(self, experience: Experience, draw: Draw, settings: LearnerSettings, timer: PhaseTimer) -> Tensor:
        """One optimizer step on the drawn segments, then writes their new values and ratios back.

        Returns the ratios [T, M]. Advantages are normalized over the whole minibatch, then weighted by each segment's
        importance weight. MinibatchFault when something is not finite; then nothing has changed.
        """
        aims = self.aims(experience, draw)
        if aims.live is not None and not self.deferred and float(aims.live) == 0:
            return torch.ones_like(aims.advantages)  # every segment of it is left out: there is nothing to learn
        ratios = self.learn(experience, draw, aims, settings, timer)
        self.updates += 1
        return ratios

    def aims(self, experience: Experience, draw: Draw) -> Aims:
        """What the drawn segments are trained towards."""
        kernels = self.kernels.minibatch
        if kernels is not None and len(experience.stores) == 1:
            (store,) = experience.stores
            advantages, returns, live, explained = kernels.aims(
                store.advantages, store.values, store.masks, experience.fresh, draw.segments, draw.weights
            )
            return Aims(advantages, None if store.masks is None else live, returns, explained)
        raw, masks = experience.advantages_of(draw.segments)
        return Aims(normalize(raw, masks) * draw.weights, None if masks is None else masks.sum())

    def learn(
        self, experience: Experience, draw: Draw, aims: Aims, settings: LearnerSettings, timer: PhaseTimer
    ) -> Tensor:
        """What `update` does once it has the aims of the drawn segments; not counted.

        Deferred, it asks the device nothing, so that a CUDA graph can hold it.
        """
        live = aims.live
        count: Scalar = aims.advantages.numel()
        if live is not None:
            count = live.clamp(min=1.0) if self.deferred else max(float(live), 1.0)
        timer.lap("train/gather")

        def piece(index: int, share: slice, clock: PhaseTimer) -> Piece:
            batch = experience.gather(draw.segments[share], self.kernels.minibatch)
            clock.lap("train/gather")
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast):
                logits, values = self.policy.unroll(batch.observations, batch.state, batch.resets, index)
            targets = Targets(
                actions=batch.actions,
                logprobs=batch.logprobs,
                advantages=aims.advantages[:, share],
                values=batch.values,
                returns=batch.advantages + batch.values if aims.returns is None else aims.returns[:, share],
                masks=batch.masks,
            )
            logits, values = logits.float(), values.float()
            ends, slopes, ratios, statistics = self._objective(logits, values, targets, settings.loss, count)
            clock.lap("train/forward")
            gradients = torch.autograd.grad(ends, self.parameters, slopes)
            clock.lap("train/backward")
            return Piece(draw.segments[share], values.detach(), ratios, statistics, gradients)

        results = self._spread(len(draw.segments), piece, timer)
        gradients = [
            sum(parts[1:], start=parts[0]) for parts in zip(*(done.gradients for done in results), strict=True)
        ]
        take = self._step if self.fused is None else self._step_fused
        take(experience, results, gradients, live, settings, timer)
        return concatenated([done.ratios for done in results], dim=1)

    def _step(
        self,
        experience: Experience,
        results: list[Piece],
        gradients: list[Tensor],
        live: Tensor | None,
        settings: LearnerSettings,
        timer: PhaseTimer,
    ) -> None:
        """Keeps the books of a minibatch, writes its values and ratios back, and steps; of `live` samples (None: all
        are)."""
        norms, norm = gradient_norms(gradients)
        totals = self._added(results, norm)
        figures = torch.cat((totals[: len(STATISTICS)], norms, norm.unsqueeze(0)))
        finite = figures.abs().max() < math.inf  # nan is the largest of all, and not less
        learned = finite if live is None else finite & (live > 0)
        if self.deferred:
            self.faults.observe(finite, learned, figures)
            self.undo.remember()
            torch.where(learned, totals, self.totals, out=self.totals)
        elif not bool(finite):
            raise MinibatchFault(minibatch_source(figures.tolist(), self.optimizer.names))
        else:
            self.totals = totals
        timer.lap("train/optimizer")
        for done in results:
            if self.deferred:
                experience.write_back_if(done.segments, done.values, done.ratios, learned, self.kernels.minibatch)
            else:
                experience.write_back(done.segments, done.values, done.ratios)
        timer.lap("train/gather")
        scale_to_norm(gradients, norm, settings.max_grad_norm)
        each = None if self.workers.count == 1 else self.workers.map
        if settings.rates is None:
            self.optimizer.step(gradients, each)
        else:
            self.optimizer.apply(gradients, settings.rates, each)
        if self.deferred:
            self.undo.take_back(unless=learned)
        timer.lap("train/optimizer")

    def _step_fused(
        self,
        experience: Experience,
        results: list[Piece],
        gradients: list[Tensor],
        live: Tensor | None,
        settings: LearnerSettings,
        timer: PhaseTimer,
    ) -> None:
        """The same by kernels, which leave alone what a minibatch that is not learned from would change."""
        assert self.fused is not None
        (done,) = results
        learned = self.fused.judge(
            gradients, done.statistics, done.ratios, live, settings.max_grad_norm, self.totals, self.faults.tensor()
        )
        timer.lap("train/optimizer")
        experience.write_back_if(done.segments, done.values, done.ratios, learned, self.kernels.minibatch)
        timer.lap("train/gather")
        self.fused.apply(gradients, self.optimizer.present_rates() if settings.rates is None else settings.rates)
        if settings.rates is None:
            self.optimizer.steps += 1
        timer.lap("train/optimizer")

    def _objective(
        self, logits: Tensor, values: Tensor, targets: Targets, settings: LossSettings, count: Scalar
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...] | None, Tensor, Tensor]:
        """What autograd goes back from and with which gradients (None: with 1), the ratios and the statistics."""
        kernels = self.kernels.loss
        if kernels is None:
            loss, ratios, statistics = ppo_loss(logits, values, targets, settings, count)
            return (loss,), None, ratios, statistics
        found = kernels.ppo_loss(logits, values, targets, settings, count)
        statistics = found.statistics if self.fused is not None else found.statistics.sum(1)
        return (logits, values), (found.logits, found.values), found.ratios, statistics

    def _spread(
        self, segments: int, piece: Callable[[int, slice, PhaseTimer], Piece], timer: PhaseTimer
    ) -> list[Piece]:
        """`piece(worker, share, clock)` for all shares of the segments, in order."""
        shares = split(segments, self.workers.count)
        single = self.workers.count == 1
        on_cpu = self.device.type == "cpu"

        def work(index: int) -> list[Piece]:
            clock = timer if single else self.timers[index]
            if not single:
                clock.start()
            share = shares[index]
            size = CHUNK if on_cpu else max(1, share.stop - share.start)
            return [
                piece(index, slice(first, min(first + size, share.stop)), clock)
                for first in range(share.start, share.stop, size)
            ]

        results = [piece for pieces in self.workers.run(work) for piece in pieces]
        if not single:
            timer.absorb(self.timers)
        return results

    def _added(self, results: list[Piece], norm: Tensor) -> Tensor:
        """The totals with a minibatch more."""
        statistics, grad_norm, largest_ratio = torch.split(self.totals, [len(STATISTICS), 1, 1])
        for done in results:
            statistics = statistics + done.statistics
            largest_ratio = torch.maximum(largest_ratio, done.ratios.max())
        return torch.cat((statistics, grad_norm + norm, largest_ratio))

    def figures(self) -> Tensor:
        """What `metrics` are made of, on the device."""
        return torch.cat((self.totals, self.faults.tensor())) if self.deferred else self.totals

    def metrics(self, figures: Tensor) -> dict[str, float]:
        """Means over the iteration's minibatches, by its `figures` on the host; empty when there was none."""
        if not self.updates:
            return {}
        values = figures.tolist()
        if self.deferred:
            seen, finite, learned, first, *faulty = values[len(self.totals) :]
            if finite < seen:
                self.taken_back = int(seen - finite)
                self.fault = f"minibatch {int(first) + 1}: {minibatch_source(faulty, self.optimizer.names)}"
            self.updates -= int(seen - learned)
            self.optimizer.steps -= int(seen - learned)
            if not self.updates:
                return {}
        means = dict(zip(STATISTICS, (value / self.updates for value in values), strict=False))
        norm, largest_ratio = values[len(STATISTICS) : len(STATISTICS) + 2]
        return means | {"loss/grad_norm": norm / self.updates, "loss/ratio_max": largest_ratio}
