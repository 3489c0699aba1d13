"""A minibatch of learning on a GPU as one launch: advantages, draw, gather, loss, gradients, step and write-back.

`Trainer.learn` is the algorithm and the measure of this; here the same functions run once to be recorded. A recording
holds addresses and sizes, not values, so that

- numbers that change (rates, beta, all that is edited while it trains) are 0-D tensors, written before a launch;
- chance is drawn before a launch, from the same generator and in the same order;
- segments lie where they lay when it was recorded;
- what each minibatch leaves behind goes to a row of a log, read when the iteration is over.

What changes the operations themselves (the scheme, the metric, how many segments there are) leads to another recording.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache, partial
from typing import Any, TypeVar

import torch
from torch import Tensor

from engine.advantages import recordable_explained_variance
from engine.device_graph import GraphedCall
from engine.device_minibatch import MinibatchKernels
from engine.learner import Learner
from engine.live_settings import UpdateSettings
from engine.phases import OnePhase
from engine.replay import Draw, SegmentSampler
from engine.reuse import Reuse, clipped
from engine.scalars import Scalar
from engine.segments import Experience, Segments

Settings = TypeVar("Settings", bound=Any)

SWITCHES = ("value_clip", "weight_decay")
"""Numbers that 0 turns off: what they ask for is then not computed at all."""
NUMBERS = 32
"""Room for the numbers of `UpdateSettings`."""
ROWS = 64
"""Minibatches that a log has room for at first."""
KEPT = 2
"""Recordings that are kept: with agents that sit steps out, iterations with and without such steps take turns."""


class DeviceUpdate:
    """Learns minibatches, each by a launch. What cannot be recorded runs operation by operation, and `warn` hears why.

    The learner has to be a deferred one. A bad minibatch is taken back inside the recording, as without one.
    """

    def __init__(
        self, learner: Learner, sampler: SegmentSampler, device: torch.device, warn: Callable[[str], None]
    ) -> None:
        self._learner, self._sampler, self._device, self._warn = learner, sampler, device, warn
        self._numbers = torch.zeros(NUMBERS, dtype=torch.float64, device=learner.device)
        self._places = Places()
        self._log = Log(0, 0, learner.device)
        self._row = 0
        """The log's row of the next minibatch."""
        self._experience: Experience | None = None
        self._explained_variance: Tensor | None = None
        self._recordings: dict[object, Recording] = {}
        """By what they depend on, the one used last at the end."""

    def prepare(self, experience: Experience) -> None:
        """What can be done for an iteration before its first minibatch. Nothing, where another is learned from then."""
        if experience is not self._experience:
            self._places.settle(experience)
            self._experience, self._explained_variance = experience, None
            self._row = 0
            self._log.row.zero_()

    def learn(self, experience: Experience, settings: UpdateSettings, reuse: Reuse) -> Tensor:
        """One minibatch, of which `reuse` is told. Returns the explained variance before the iteration's first, 0-D."""
        self.prepare(experience)
        self._make_room(settings.segments)
        self._sampler.use_scheme(settings.scheme)
        key, numbers = split_numbers(settings)
        # The host may be far ahead of the device: torch keeps pinned memory until it has been copied.
        given = torch.tensor(numbers, dtype=torch.float64, pin_memory=self._numbers.is_cuda)
        self._numbers[: len(numbers)].copy_(given, non_blocking=True)
        self._recording(key, settings)()
        # A launch runs no Python: what the host counts is counted here.
        self._learner.updates += 1
        self._learner.optimizer.steps += 1
        self._sampler.draws += settings.segments
        self._sampler.drawn_weights.append(self._log.weights[self._row])
        reuse.record(self._log.segments[self._row], self._log.clipped[self._row])
        if self._explained_variance is None:
            self._explained_variance = self._log.explained_variance[self._row]
        self._row += 1
        return self._explained_variance

    def _make_room(self, segments: int) -> None:
        """Sees to a log that has a row free for so many segments."""
        if self._log.segments.shape[1] != segments or self._row == len(self._log.segments):
            self._forget(0)
            self._log = Log(max(ROWS, 2 * self._row), segments, self._learner.device)
            self._row = 0

    def _recording(self, structure: object, settings: UpdateSettings) -> GraphedCall:
        """The recording for settings of this structure, perhaps a new one, with new chance to learn by."""
        key = (structure, self._places.addresses, self._sampler.uses.data_ptr())
        found = self._recordings.pop(key, None)
        if found is None:
            self._forget(KEPT - 1)
            chance = self._chance(settings)
            work = partial(self._minibatch, fill_numbers(settings, self._numbers), chance, self._log)
            found = Recording(GraphedCall(work, "update", self._device, self._warn), chance)
        else:
            self._chance(settings, out=found.chance)
        self._recordings[key] = found
        return found.call

    def _chance(self, settings: UpdateSettings, out: Tensor | None = None) -> Tensor:
        sampler = self._sampler
        return sampler.scheme.chance(
            sampler.segments,
            settings.segments,
            settings.sampling.replacement,
            sampler.generator,
            self._learner.device,
            out,
        )

    def _minibatch(self, settings: UpdateSettings, chance: Tensor, log: Log) -> None:
        """What is recorded: `Trainer.learn`, with numbers that are tensors."""
        experience, sampler = self._experience, self._sampler
        assert experience is not None
        experience.compute_advantages(settings.advantages, self._learner.policy.kernels)
        metric = experience.metric(settings.metric, self._learner.kernels.minibatch)
        drawn = sampler.choose(metric, chance, settings.segments, settings.sampling)
        aims = self._learner.aims(experience, drawn)
        explained = aims.explained
        if explained is None:
            explained = recordable_explained_variance(*experience.fresh_estimates())
        ratios = self._learner.learn(experience, drawn, aims, settings.learning, OnePhase())
        log.write(explained, drawn, ratios, settings.learning.loss.clip, self._learner.kernels.minibatch)

    def _forget(self, left: int) -> None:
        """Frees the recordings that were not used for longest, until so many are left."""
        if len(self._recordings) > left and self._device.type == "cuda":
            torch.cuda.synchronize(self._device)  # A graph that is under way must not lose its memory.
        while len(self._recordings) > left:
            del self._recordings[next(iter(self._recordings))]


@dataclass(frozen=True, slots=True)
class Recording:
    """A recorded minibatch, and the random numbers it learns by."""

    call: GraphedCall
    chance: Tensor


class Places:
    """Puts segments where those of the iteration before were, as long as there are equally many.

    The fresh ones are in the rollout buffer, which stays; where replay keeps older ones, all are copied into one store.
    """

    def __init__(self) -> None:
        self._joined: Segments | None = None
        self._masks: Tensor | None = None
        self.addresses: tuple[int, ...] = ()
        """Where all that is learned from lies; the same addresses mean the same sizes."""

    def settle(self, experience: Experience) -> None:
        """Moves the experience's segments into one store, and notes its addresses."""
        if len(experience.stores) > 1:
            fitting = self._joined is not None and len(self._joined) == len(experience)
            experience.join(self._joined if fitting else None)
            self._joined = experience.stores[0]
        else:
            self._joined = None
        (store,) = experience.stores
        if store.masks is not None:
            if self._masks is None or self._masks.shape != store.masks.shape:
                self._masks = torch.empty_like(store.masks)
            store = experience.stores[0] = replace(store, masks=self._masks.copy_(store.masks))
        values = [getattr(store, each.name) for each in fields(store) if each.name not in _NOT_LEARNED_FROM]
        self.addresses = (len(experience), *(0 if value is None else value.data_ptr() for value in values))


_NOT_LEARNED_FROM = ("environments", "environment", "agent", "iteration")


class Log:
    """Rows for what minibatches of M segments leave behind; `row` says on the device which is next."""

    def __init__(self, rows: int, segments: int, device: torch.device) -> None:
        self.row = torch.zeros(1, dtype=torch.int64, device=device)
        self.explained_variance = torch.zeros(rows, device=device)
        self.segments = torch.zeros(rows, segments, dtype=torch.int64, device=device)
        self.weights, self.clipped = (torch.zeros(rows, segments, device=device) for _ in range(2))

    def write(
        self,
        explained_variance: Tensor,
        drawn: Draw,
        ratios: Tensor,
        clip: Scalar,
        kernels: MinibatchKernels | None = None,
    ) -> None:
        """Fills the next row; `kernels` are those of the GPU that it is on."""
        if kernels is not None:
            columns = (self.segments, self.weights, self.clipped, self.explained_variance)
            kernels.log(self.row, drawn.segments, drawn.weights, ratios, clip, explained_variance, columns)
            return
        for column, value in (
            (self.explained_variance, explained_variance),
            (self.segments, drawn.segments),
            (self.weights, drawn.weights),
            (self.clipped, clipped(ratios, clip)),
        ):
            column.index_copy_(0, self.row, value.unsqueeze(0))
        self.row.add_(1)


def split_numbers(settings: object) -> tuple[tuple[object, ...], list[float]]:
    """What tells which operations settings need, and the numbers of theirs that may change, in order.

    A number that may change is None in the former; a switch that is off stays 0.
    """
    structure: list[object] = []
    numbers: list[float] = []
    _split(settings, structure, numbers)
    return tuple(structure), numbers


def _split(settings: object, structure: list[object], numbers: list[float]) -> None:
    kind: Any = type(settings)
    for name in _names(kind):
        value = getattr(settings, name)
        if _changes(name, value):
            numbers.append(value)
            structure.append(None)
        elif is_dataclass(value):
            _split(value, structure, numbers)
        else:
            structure.append(value)


def fill_numbers(settings: Settings, numbers: Tensor) -> Settings:
    """The settings with 0-D tensors in the place of the numbers that may change, in the same order."""
    return _filled(settings, iter(numbers.unbind()))


def _filled(settings: Settings, places: Iterator[Tensor]) -> Settings:
    filled: dict[str, object] = {}
    kind: Any = type(settings)
    for name in _names(kind):
        value = getattr(settings, name)
        if _changes(name, value):
            filled[name] = next(places)
        elif is_dataclass(value):
            filled[name] = _filled(value, places)
    return replace(settings, **filled)


def _changes(name: str, value: object) -> bool:
    return isinstance(value, float) and not (value == 0 and name in SWITCHES)


@cache
def _names(kind: type) -> tuple[str, ...]:
    """The fields of a dataclass: it is asked for them at every minibatch."""
    return tuple(each.name for each in fields(kind))
