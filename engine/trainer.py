"""The learning algorithm: PPO with prioritized replay of trajectory segments.

`Trainer.iterate` is the algorithm. Each noun it uses has a file of its own: the collector, the rollout buffer, the
advantages, the segment sampler, the learner with its losses and its optimizer, the phase timer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

import c_envs
from engine import live_settings
from engine.advantages import explained_variance
from engine.collector import CollectionAbandoned, Gate
from engine.crossing import all_to_host
from engine.device_choice import make_batch, make_collector
from engine.device_collector import DeviceCollector
from engine.device_environments import DeviceBatch, added
from engine.device_learning import LearningKernels, learning_kernels
from engine.device_update import DeviceUpdate
from engine.devices import use_precision, worker_count
from engine.guard import Guard, MinibatchFault
from engine.learner import Learner
from engine.optimizer import Optimizer, OptimizerSettings
from engine.parallel import Workers
from engine.phases import CudaPhaseTimer, PhaseTimer, Timer
from engine.policy import Policy
from engine.profile import Profile
from engine.replay import Draw, SamplingSettings, SegmentSampler
from engine.report import Report
from engine.reuse import Reuse, ReuseColumns, clipped, reuse_columns
from engine.rollout import RolloutBuffer
from engine.schedules import learning_rate_factor
from engine.segments import Experience, Segments


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the host has to know of an iteration that is done: the `sums` of environments that live on the device, the
    figures of the learner and of the weights, the explained variance, and what became of the segments."""

    sums: Tensor
    learned: Tensor
    weights: Tensor
    explained_variance: Tensor
    reuse: ReuseColumns


class Trainer:
    """Everything that learns. One instance lives in one thread; `profile` may be exchanged between minibatches."""

    def __init__(
        self,
        profile: Profile,
        device: torch.device,
        gate: Gate = lambda timer: None,
        before_minibatch: Callable[[int, int], None] = lambda index, count: None,
        left_out: Callable[[str], None] = lambda source: None,
        warn: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.profile, self.device = profile, device
        self.gate, self.before_minibatch = gate, before_minibatch
        env, policy, train = profile.env, profile.policy, profile.train
        spec = c_envs.spec(env.name, env.config)
        on_cpu = device.type == "cpu"
        threads = worker_count(train.threads, env.agents) if on_cpu else 1
        if not on_cpu:
            torch.cuda.set_device(device)  # streams, events and graphs are those of the thread's current device
            use_precision(train.precision)
        self.workers = Workers(threads)
        self.batch = make_batch(profile, device, warn)
        seeds = torch.Generator().manual_seed(train.seed)
        self.policy = Policy(
            spec.observation_size, spec.actions, core=policy.core, hidden=policy.hidden, layers=policy.layers
        )
        self.policy.initialize(seeds)
        self.policy.to(device)
        self.action_generator = torch.Generator(device).manual_seed(train.seed)
        self.draw_generator = torch.Generator(device).manual_seed(train.seed + 1)
        state = self.policy.initial_state(env.agents, device)
        self.buffer = RolloutBuffer(train.horizon, env.agents, spec.observation_size, state, device)
        half = train.precision == "bfloat16"
        self.policy.use_fused(train.fused, warn, torch.bfloat16 if half else torch.float32)
        self.collector = make_collector(
            profile, self.batch, self.policy, self.buffer, self.action_generator, self.workers, warn
        )
        self.collector.reset()
        self.collector.resume_observations()
        self.optimizer = Optimizer(
            self.policy,
            OptimizerSettings(
                muon=train.optimizer == "muon",
                muon_momentum=train.muon_momentum,
                adam_beta1=train.adam_beta1,
                adam_beta2=train.adam_beta2,
                adam_eps=train.adam_eps,
            ),
        )
        self.guard = Guard(self.optimizer.weights().items(), lambda: self.profile.run.on_nan, left_out)
        kernels = learning_kernels(device, warn) if train.fused and not on_cpu else LearningKernels()
        self.learner = Learner(self.policy, self.optimizer, self.workers, autocast=half, kernels=kernels)
        self.sampler = SegmentSampler(env.agents, self.draw_generator, device, kernels.minibatch)
        self.recorded = None if on_cpu or not train.graphs else DeviceUpdate(self.learner, self.sampler, device, warn)
        """Learns minibatches as CUDA graphs."""
        self.archive: Segments | None = None
        """Segments of earlier iterations that replay keeps; they join the fresh ones in the next iteration."""
        self.experience = Experience(self.buffer.segments(0), None)
        """What the last iteration learned from, until the next one overwrites it."""
        self.reuse = Reuse()
        self.view_generator = torch.Generator().manual_seed(train.seed)
        self.inspected = False
        """Whether reports list every segment."""
        self.timer: PhaseTimer = PhaseTimer() if on_cpu else CudaPhaseTimer()
        self.steps_per_iteration = env.agents * train.horizon
        self.segments_per_minibatch = train.minibatch // train.horizon
        self.step = 0
        self.iteration = 0
        self.explained_variance: Tensor | None = None
        self.owed_segments = 0.0
        """Uses that update_epochs promises and no minibatch has made yet: less than one minibatch, or the rest of an
        iteration that was cut short."""
        self.meanwhile: Callable[[], None] = lambda: None
        """Called once an iteration, with what can wait until a GPU is at work on the next horizon."""
        self.hurried: Callable[[], bool] = lambda: False
        """Whether the iteration under way shall end as soon as a checkpoint can hold where it stands."""

    @property
    def overlaps(self) -> bool:
        """`meanwhile` costs next to nothing: a GPU has a whole horizon to do by then, and to finish."""
        return isinstance(self.collector, DeviceCollector)

    @property
    def progress(self) -> float:
        """Share of the run's total steps that is done, in [0, 1]."""
        return min(1.0, self.step / self.profile.train.total_steps)

    def iterate(self) -> Report:
        """One iteration: collect a horizon of every agent, then update on minibatches of these and older segments."""
        self.timer.start()
        self.collect()
        for _ in self.minibatches():
            self.learn()
        outcome = self.outcome()
        self.keep_segments()
        self.guard.require_sound_weights(outcome.weights)
        return self.report(outcome)

    def collect(self) -> None:
        """Steps every agent through one horizon and sets all that counts per iteration to zero."""
        generator = self.action_generator.get_state()
        try:
            self.collector.collect(
                self.timer, self._collecting, self.profile.train.reward_clamp, self._before_it_is_known
            )
        except CollectionAbandoned:
            self.collector.rewind()
            self.action_generator.set_state(generator)
            raise
        if self.buffer.masks is not None or self.collector.fault is not None:
            self.experience = Experience(self.buffer.segments(self.iteration), self.archive)
        if self.collector.fault is not None:
            self.guard.meet_collection(self.collector.fault, self.experience)
            self.collector.forget(self.collector.fault.agents)

    def _before_it_is_known(self) -> None:
        """What a horizon brings with it whatever it holds: a GPU is still at work on it."""
        self.step += self.steps_per_iteration
        self.iteration += 1
        masked = self.buffer.masks is not None
        self.buffer.masks = None
        self.experience = Experience(self.buffer.segments(self.iteration), self.archive)
        # Where others collect, the horizon is not finished yet; and agents that have sat steps out will do so again.
        if self.recorded is not None and self.overlaps and not masked:
            self.recorded.prepare(self.experience)
        self.sampler.use_scheme(self.profile.replay.scheme)
        self.sampler.start_iteration(len(self.experience))
        self.learner.start_iteration()
        self.guard.start_iteration(self.iteration)
        self.reuse = Reuse()
        self.explained_variance = None
        self.timer.read()
        self.meanwhile()

    def _collecting(self, timer: Timer) -> None:
        """The gate of the collector. What is not collected yet is lost without loss: the same steps come again."""
        self.gate(timer)
        if self.collector.rewinds and self.hurried():
            raise CollectionAbandoned

    def minibatches(self) -> Iterator[int]:
        """As many turns as make the mean use of a segment equal to update_epochs.

        What does not fill a minibatch is owed to the next iteration, so that any positive number holds in the long run.
        """
        self.owed_segments += self.profile.train.update_epochs * len(self.experience)
        # The tolerance keeps sums such as 10 * 0.1 from losing a minibatch to rounding.
        count = int(self.owed_segments / self.segments_per_minibatch + 1e-9)
        self.owed_segments -= count * self.segments_per_minibatch
        for index in range(count):
            self.gate(self.timer)
            if self.hurried():
                self.owed_segments += (count - index) * self.segments_per_minibatch
                return
            self.before_minibatch(index, count)
            self.guard.start_minibatch(index, count)
            yield index

    def learn(self) -> None:
        """One minibatch: what the policy now thinks of every segment, and a step on those chosen by it.

        Where it is recorded, the same in one launch.
        """
        if self.recorded is None:
            self.compute_advantages()
            self.update(self.draw())
        else:
            rates = self.optimizer.next_rates(*self.learning_rates(), self.profile.train.weight_decay)
            settings = live_settings.update(self.profile, self.progress, rates)
            self.explained_variance = self.recorded.learn(self.experience, settings, self.reuse)
            self.timer.lap("train/update")

    def compute_advantages(self) -> None:
        """Advantages of every segment from the values and ratios as the last minibatch left them."""
        self.experience.compute_advantages(live_settings.advantages(self.profile), self.policy.kernels)
        if self.explained_variance is None:
            self.explained_variance = explained_variance(*self.experience.fresh_estimates())
        self.timer.lap("train/advantage")

    def sampling_settings(self) -> SamplingSettings:
        """The sampler's settings as they stand at this step."""
        return live_settings.sampling(self.profile, self.progress)

    def metric(self) -> Tensor:
        """Priority metric [S] of every segment by its present advantages."""
        return self.experience.metric(self.profile.replay.metric, self.learner.kernels.minibatch)

    def sound_metric(self) -> Tensor:
        """`metric`, after segments whose advantages overflow were left out. Waits for the device."""
        metric = self.metric()
        return self.metric() if self.guard.meet_metric(metric, self.experience) else metric

    def distribution(self, metric: Tensor) -> Tensor:
        """The probabilities [S] that the scheme gives segments of this metric [S] now."""
        return self.sampler.scheme.distribution(metric, self.sampling_settings())

    def draw(self) -> Draw:
        """Chooses the next minibatch's segments by their present advantages."""
        self.sampler.use_scheme(self.profile.replay.scheme)
        metric = self.metric() if self.learner.deferred else self.sound_metric()
        drawn = self.sampler.draw(metric, self.segments_per_minibatch, self.sampling_settings())
        self.timer.lap("train/draw")
        return drawn

    def update(self, drawn: Draw) -> None:
        """One optimizer step on the drawn segments; their values and ratios are written back."""
        self.optimizer.set_rates(*self.learning_rates(), self.profile.train.weight_decay)
        try:
            ratios = self.learner.update(self.experience, drawn, live_settings.learning(self.profile), self.timer)
        except MinibatchFault as fault:
            self.guard.meet_minibatch(fault)
        else:
            self.reuse.record(drawn.segments, clipped(ratios, self.profile.train.clip))

    def outcome(self) -> Outcome:
        """What the minibatches came to, on the host, after segments whose advantages overflow were left out.

        Where there are none, the host waits for the device once.
        """
        if self.explained_variance is None:  # No minibatch was due: these would be the last iteration's advantages.
            self.compute_advantages()
        self.guard.end_minibatches()
        outcome = all_to_host(self._outcome())
        if self.guard.meet_metric(outcome.reuse.metric, self.experience):
            outcome = replace(all_to_host(self._outcome()), sums=outcome.sums)
        self.timer.lap("report")
        return outcome

    def _outcome(self) -> Outcome:
        """The same on the device, as it stands."""
        metric = self.metric()
        assert self.explained_variance is not None
        return Outcome(
            sums=self.batch.take_sums() if isinstance(self.batch, DeviceBatch) else torch.zeros(0),
            learned=self.learner.figures(),
            weights=self.guard.weight_figures(),
            explained_variance=self.explained_variance,
            reuse=reuse_columns(self.sampler, self.experience, metric, self.distribution(metric), self.reuse),
        )

    def keep_segments(self) -> None:
        """Chooses the segments that stay for the next iteration, besides the fresh ones it will bring."""
        replay = self.profile.replay
        count = int(replay.factor * self.profile.env.agents)
        self.archive = self.experience.keep(count, replay.refill, self.metric(), self.draw_generator) if count else None
        if count:
            self.timer.lap("train/keep")

    def reseed(self, number: int) -> None:
        """Goes on with other random numbers than this seed gave at this iteration; `number` tells one turn from the
        next."""
        words = np.random.SeedSequence([self.profile.train.seed, self.iteration, number]).generate_state(2, np.uint64)
        self.action_generator.manual_seed(int(words[0]) >> 1)
        self.draw_generator.manual_seed(int(words[1]) >> 1)

    def learning_rates(self) -> tuple[float, float]:
        """Muon's and Adam's learning rate, by the step at which the iteration began."""
        train = self.profile.train
        begun = max(0, self.step - self.steps_per_iteration)
        factor = learning_rate_factor(train.schedule, begun, train.total_steps, train.warmup, train.min_lr_ratio)
        return train.learning_rate * factor, train.adam_learning_rate * factor

    def report(self, outcome: Outcome) -> Report:
        """The iteration in numbers. Phase times of a GPU are those of the iteration before."""
        learned = self.learned(outcome.learned)
        if isinstance(self.batch, DeviceBatch):
            ended = partial(added, outcome.sums)
        else:
            ended = partial(_given, self.batch.statistics())
        report = Report(
            step=self.step,
            iteration=self.iteration,
            ended=ended,
            learned=learned,
            explained_variance=outcome.explained_variance,
            # On the CPU the counts are those that the next iteration sets to zero.
            reuse=replace(outcome.reuse, uses=outcome.reuse.uses.clone()),
            fresh=self.experience.fresh,
            scheme=self.sampler.scheme.name,
            draws=self.sampler.draws,
            table=self.inspected,
            sampling=self.sampling_settings(),
            rates=self.learning_rates(),
            minibatches=self.learner.updates,
            skipped=self.guard.minibatches,
            skipped_segments=self.guard.segments,
        )
        if not self.overlaps:
            report.figures  # noqa: B018 (made now: there is nothing that they could be made beside)
        self.timer.lap("report")
        report.take_times(self.timer)
        return report

    def learned(self, figures: Tensor) -> dict[str, float]:
        """The learner's metrics. NonFiniteError when too much was left out, or anything where that is not allowed."""
        metrics = self.learner.metrics(figures)
        if self.learner.fault is not None:
            self.guard.meet(self.learner.fault, minibatches=self.learner.taken_back)
        self.guard.end_iteration()
        return metrics

    def close(self) -> None:
        """Ends the worker threads and frees the environments."""
        self.workers.close()
        self.batch.close()


def _given(statistics: c_envs.Statistics) -> c_envs.Statistics:
    return statistics
