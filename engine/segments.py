"""Segments to learn from, fresh and older ones, under one numbering.

The fresh ones lie in the rollout buffer; what replay keeps over iterations are copies. Both are a `Segments`, and an
`Experience` is all of them together: indices 0 to N-1 are the fresh ones, by agent, those behind are older.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from engine.advantages import AdvantageSettings, compute_advantages
from engine.device_experience import ExperienceKernels
from engine.device_minibatch import MinibatchKernels
from engine.replay import priority_metric


@dataclass(frozen=True, slots=True)
class Minibatch:
    """M segments out of the experience: each field [T, M], observations [T, M, D], state [layers, parts, M, hidden]."""

    observations: Tensor
    actions: Tensor
    logprobs: Tensor
    values: Tensor
    advantages: Tensor
    resets: Tensor
    state: Tensor
    masks: Tensor | None


@dataclass(frozen=True, slots=True)
class Segments:
    """S segments of T steps. Time-major fields [T, S]; `observations` [T, S, D]; `bootstrap`, `agent`, `iteration` [S].

    `state` [layers, parts, S, hidden] is the recurrent state at the segment's start, `environments` the environments'
    states there, each uint8 [E, bytes], of which `environment` [S] names each segment's row, counted through all of
    them. `iteration` is the one that collected the segment. `logprobs` stay those of the policy that acted, whatever
    was learned since: `ratios` tell the difference.

    All is on one device, but `environments` and `environment` on the host. What the fresh segments have there may still
    be on its way from a GPU until their horizon is known: before that it is handed on, never read.
    """

    observations: Tensor
    actions: Tensor
    logprobs: Tensor
    values: Tensor
    rewards: Tensor
    ratios: Tensor
    advantages: Tensor
    final_values: Tensor
    done: Tensor
    resets: Tensor
    masks: Tensor | None
    bootstrap: Tensor
    state: Tensor
    environments: tuple[Tensor, ...]
    environment: Tensor
    agent: Tensor
    iteration: Tensor

    def __len__(self) -> int:
        return len(self.bootstrap)

    def select(self, index: Tensor) -> Segments:
        """Copies of the segments with the given indices [M], once their horizon is known."""
        chosen: dict[str, Tensor | None] = {}
        for item in fields(self):
            if item.name not in _ON_HOST:
                value: Tensor | None = getattr(self, item.name)
                chosen[item.name] = None if value is None else value.index_select(_DIMENSION.get(item.name, 1), index)
        environments = (self.environment_states(index.cpu()),)
        return Segments(**chosen, environments=environments, environment=torch.arange(len(index)))  # type: ignore[arg-type]

    def environment_states(self, index: Tensor) -> Tensor:
        """States [M, bytes] of the environments where the segments with the given indices [M] begin, copied; on the
        host. Only when the segments' horizon is known."""
        rows = self.environment.index_select(0, index)
        found = torch.empty(len(rows), self.environments[0].shape[1], dtype=torch.uint8)
        first = 0
        for states in self.environments:
            inside = (rows >= first) & (rows < first + len(states))
            found[inside] = states.index_select(0, rows[inside] - first)
            first += len(states)
        return found

    def compute_advantages(self, settings: AdvantageSettings, kernels: ExperienceKernels | None = None) -> None:
        """Brings `advantages` up to date with `values` and `ratios`; `kernels` are those of the GPU they are on."""
        compute_advantages(
            self.rewards,
            self.values,
            self.ratios,
            self.done,
            self.final_values,
            self.bootstrap,
            settings,
            out=self.advantages,
            kernels=kernels,
        )

    def gather(self, index: Tensor, kernels: MinibatchKernels | None = None) -> Minibatch:
        """Copies of what training needs of the segments with the given indices [M]; `kernels` are those of the GPU they
        are on."""
        if kernels is not None:
            chosen = {each.name: getattr(self, each.name) for each in fields(Minibatch)}
            there = {name: source for name, source in chosen.items() if source is not None}
            copies = kernels.gather(index, [(source, 2 if name == "state" else 1) for name, source in there.items()])
            return Minibatch(**{**chosen, **dict(zip(there, copies, strict=True))})

        def take(source: Tensor) -> Tensor:
            return source.index_select(1, index)

        return Minibatch(
            observations=take(self.observations),
            actions=take(self.actions),
            logprobs=take(self.logprobs),
            values=take(self.values),
            advantages=take(self.advantages),
            resets=take(self.resets),
            state=self.state.index_select(2, index),
            masks=None if self.masks is None else take(self.masks),
        )


_ON_HOST = ("environments", "environment")
"""Fields that lie on the host."""
_DIMENSION = {"bootstrap": 0, "agent": 0, "iteration": 0, "state": 2}
"""The dimension of a field along which the segments lie, where it is not 1."""


def join_segments(parts: Sequence[Segments], into: Segments | None = None) -> Segments:
    """One `Segments` from several, in order; the environments' states are those of the parts and not copied.

    `into`, of the same shapes, gives its tensors to be overwritten, except for masks and what lies on the host.
    """
    if len(parts) == 1 and into is None:
        return parts[0]
    if any(part.masks is not None for part in parts):
        parts = [replace(part, masks=_masks(part)) for part in parts]
    joined: dict[str, Tensor | None] = {}
    for item in fields(Segments):
        if item.name in _ON_HOST:
            continue
        values = [getattr(part, item.name) for part in parts]
        if values[0] is None:
            joined[item.name] = None
        else:
            place = None if into is None or item.name == "masks" else getattr(into, item.name)
            joined[item.name] = torch.cat(values, dim=_DIMENSION.get(item.name, 1), out=place)
    environments = tuple(states for part in parts for states in part.environments)
    offsets = itertools.accumulate((sum(map(len, part.environments)) for part in parts), initial=0)
    environment = torch.cat([part.environment + at for part, at in zip(parts, offsets, strict=False)])
    return Segments(**joined, environments=environments, environment=environment)  # type: ignore[arg-type]


def concatenated(parts: Sequence[Tensor], dim: int = 0) -> Tensor:
    """One tensor of several; of one that tensor itself."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts), dim=dim)


def _masks(segments: Segments) -> Tensor:
    return torch.ones_like(segments.rewards) if segments.masks is None else segments.masks


class Experience:
    """The fresh segments and, where replay keeps some, the older ones: in two stores, or joined in one."""

    def __init__(self, fresh: Segments, older: Segments | None) -> None:
        self.stores = [fresh] if older is None or not len(older) else [fresh, older]
        self.fresh = len(fresh)
        self._excluded: Tensor | None = None

    def __len__(self) -> int:
        return sum(len(store) for store in self.stores)

    @property
    def horizon(self) -> int:
        """Steps of a segment."""
        return self.stores[0].rewards.shape[0]

    def join(self, into: Segments | None) -> None:
        """Moves all segments into one store, over the tensors of `into` where it is given."""
        self.stores = [join_segments(self.stores, into)]

    def compute_advantages(self, settings: AdvantageSettings, kernels: ExperienceKernels | None = None) -> None:
        """Advantages of every segment from its present values and ratios."""
        for store in self.stores:
            store.compute_advantages(settings, kernels)

    def metric(self, name: str, kernels: MinibatchKernels | None = None) -> Tensor:
        """Priority metric [S]; `kernels` are those of the GPU that the segments are on."""
        return concatenated([priority_metric(store.advantages, store.masks, name, kernels) for store in self.stores])

    def iterations(self) -> Tensor:
        """The iteration that collected each segment, int64 [S]."""
        return concatenated([store.iteration for store in self.stores])

    def agents(self) -> Tensor:
        """The agent that each segment is of, int64 [S]."""
        return concatenated([store.agent for store in self.stores])

    def scores(self) -> Tensor:
        """Sum of the rewards of each segment [S]."""
        return concatenated([store.rewards.sum(0) for store in self.stores])

    def locate(self, index: int) -> tuple[Segments, int]:
        """The store that holds a segment, and its place there."""
        first = len(self.stores[0])
        return (self.stores[0], index) if index < first else (self.stores[1], index - first)

    def fresh_estimates(self) -> tuple[Tensor, Tensor, Tensor | None]:
        """Advantages, values and masks (None: every step counts) of the fresh segments, each [T, N]."""
        store, fresh = self.stores[0], slice(0, self.fresh)
        masks = None if store.masks is None else store.masks[:, fresh]
        return store.advantages[:, fresh], store.values[:, fresh], masks

    def advantages_of(self, segments: Tensor) -> tuple[Tensor, Tensor | None]:
        """Advantages [T, M] and masks [T, M] (None: every step counts) of sorted segments."""
        parts = self._parts(segments)
        advantages = concatenated([store.advantages.index_select(1, index) for store, index in parts], dim=1)
        if all(store.masks is None for store, _ in parts):
            return advantages, None
        return advantages, concatenated([_masks(store).index_select(1, index) for store, index in parts], dim=1)

    def gather(self, segments: Tensor, kernels: MinibatchKernels | None = None) -> Minibatch:
        """Copies of sorted segments [M]; `kernels` are those of the GPU they are on."""
        batches = [store.gather(index, kernels) for store, index in self._parts(segments)]
        if len(batches) == 1:
            return batches[0]
        masked = any(batch.masks is not None for batch in batches)
        joined: dict[str, Tensor | None] = {}
        for item in fields(Minibatch):
            values = [getattr(batch, item.name) for batch in batches]
            if item.name == "masks":
                filled = [torch.ones_like(b.values) if b.masks is None else b.masks for b in batches]
                joined[item.name] = torch.cat(filled, dim=1) if masked else None
            else:
                joined[item.name] = torch.cat(values, dim=2 if item.name == "state" else 1)
        return Minibatch(**joined)  # type: ignore[arg-type]

    def write_back(self, segments: Tensor, values: Tensor, ratios: Tensor) -> None:
        """Stores what the newest policy said of the sorted segments just trained on, both [T, M]."""
        at = 0
        for store, index in self._parts(segments):
            columns = slice(at, at + len(index))
            store.values.index_copy_(1, index, values[:, columns])
            store.ratios.index_copy_(1, index, ratios[:, columns])
            at += len(index)

    def write_back_if(
        self, segments: Tensor, values: Tensor, ratios: Tensor, learned: Tensor, kernels: MinibatchKernels | None
    ) -> None:
        """The same where the flag `learned` (bool, 0-D) is set; `kernels` are those of the GPU they are on."""
        if kernels is not None and len(self.stores) == 1:
            (store,) = self.stores
            kernels.write_back(segments, values, ratios, learned, store.values, store.ratios)
            return
        before, ratios_before = self.present(segments)
        self.write_back(segments, torch.where(learned, values, before), torch.where(learned, ratios, ratios_before))

    def present(self, segments: Tensor) -> tuple[Tensor, Tensor]:
        """Values and ratios of sorted segments as they stand, each [T, M]."""
        parts = self._parts(segments)
        values = concatenated([store.values.index_select(1, index) for store, index in parts], dim=1)
        return values, concatenated([store.ratios.index_select(1, index) for store, index in parts], dim=1)

    def exclude(self, bad: Tensor) -> None:
        """Leaves segments out, `bad` [S] as a bool: none of their steps counts any more, and their numbers become 0.

        The whole segment goes: the advantages of its sound steps reach over the others. Priorities become 0, so that
        schemes that go by them no longer draw it; the rest draw it without learning from it.
        """
        self._excluded = bad if self._excluded is None else self._excluded | bad
        at = 0
        for place, store in enumerate(self.stores):
            gone = bad[at : at + len(store)]
            at += len(store)
            if not bool(gone.any()):
                continue
            for name in ("observations", "logprobs", "values", "rewards", "advantages", "final_values"):
                getattr(store, name)[:, gone] = 0
            store.ratios[:, gone] = 1
            store.bootstrap[gone] = 0
            store.state[:, :, gone] = 0
            self.stores[place] = replace(store, masks=_masks(store) * (~gone).float())

    def keep(self, count: int, refill: str, metric: Tensor, generator: torch.Generator) -> Segments | None:
        """Copies of the `count` segments (or all there are) that stay for the next iteration; None for none.

        `refill`: "topk", the highest metric; "recent", the newest, of one iteration the highest metric first; "random".
        Segments that were excluded do not stay.
        """
        sound = None if self._excluded is None else (~self._excluded).nonzero().squeeze(1)
        count = min(count, len(self) if sound is None else len(sound))
        if count == 0:
            return None
        if sound is not None:
            metric = metric[sound]
        if refill == "random":
            chosen = torch.randperm(len(metric), generator=generator, device=metric.device)[:count]
        elif refill == "topk":
            chosen = metric.topk(count).indices
        else:
            order = metric.argsort(descending=True, stable=True)
            iterations = self.iterations() if sound is None else self.iterations()[sound]
            newest = iterations[order].argsort(descending=True, stable=True)
            chosen = order[newest][:count]
        if sound is not None:
            chosen = sound[chosen]
        chosen = chosen.sort().values
        return join_segments([store.select(index) for store, index in self._parts(chosen)])

    def _parts(self, segments: Tensor) -> list[tuple[Segments, Tensor]]:
        """The sorted segments by store, as indices within it."""
        if len(self.stores) == 1:
            return [(self.stores[0], segments)]
        border = int((segments < self.fresh).sum())
        parts = [(self.stores[0], segments[:border]), (self.stores[1], segments[border:] - self.fresh)]
        return [(store, index) for store, index in parts if len(index)]
