"""Numbers that are no longer finite: where the first one stood, and what it costs the run (`run.on_nan`).

A bad observation, reward, loss or gradient is found before the optimizer steps and before anything of it is stored.

    stop      the run ends as failed, with one line that names the source
    skip      the minibatch is left out; of what was collected, the whole segments that hold such a number
    rollback  the run goes back to its newest checkpoint and on from there with other random numbers (engine/run.py)

The common case costs a sum over what was collected, once an iteration, and one look at the loss and the gradient norms
a minibatch. On a GPU that look stays on the device: a bad minibatch is taken back there, and the host reads of it with
the iteration's metrics.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.checkpoint import Checkpoint
from engine.errors import CheckpointError, EngineError
from engine.losses import STATISTICS
from engine.rollout import RolloutBuffer
from engine.segments import Experience

PATIENCE = 10
"""Iterations in a row in which something was left out; then there is a cause that leaving out does not remove."""

_STATISTIC_NAMES = {
    "loss/policy": "policy loss",
    "loss/value": "value loss",
    "loss/entropy": "entropy",
    "loss/approx_kl_k1": "log-ratio of new to old policy",
    "loss/approx_kl": "ratio of new to old policy",
    "loss/clip_fraction": "clip fraction",
}


class NonFiniteError(EngineError):
    """A number that is not finite ends the run, or sends it back to a checkpoint. The message names the source."""


class MinibatchFault(Exception):
    """A minibatch cannot be learned from; nothing of it was stored. The message names the source."""


@dataclass(frozen=True, slots=True)
class CollectionFault:
    """What was collected holds a number that is not finite: where the first one is, and the agents [N] that have any,
    as a bool."""

    source: str
    agents: Tensor


class Guard:
    """Decides by `run.on_nan` whether training goes on, and counts what was left out.

    `weights` are all that an optimizer step changes, by what messages call it; `on_nan` tells the setting in force;
    `warn` is told each source.
    """

    def __init__(
        self, weights: Iterable[tuple[str, Tensor]], on_nan: Callable[[], str], warn: Callable[[str], None]
    ) -> None:
        self._weights = [(name, tensor.detach()) for name, tensor in weights]
        self._on_nan, self._warn = on_nan, warn
        self._iteration = self._minibatch = ""
        self._source = ""
        self._in_a_row = 0
        self.minibatches = 0
        """Minibatches left out in this iteration."""
        self.segments = 0
        """Segments left out in this iteration."""

    def start_iteration(self, iteration: int) -> None:
        """Counts from zero again. What is met from now on is told with this iteration."""
        self.minibatches = self.segments = 0
        self._iteration, self._minibatch = f"iteration {iteration}", ""

    def start_minibatch(self, index: int, count: int) -> None:
        """What is met from now on is told with this minibatch, the `index`-th from 0."""
        self._minibatch = f", minibatch {index + 1} of {count}"

    def end_minibatches(self) -> None:
        """What is met from now on belongs to the iteration as a whole."""
        self._minibatch = ""

    def meet(self, source: str, *, minibatches: int = 0, segments: int = 0) -> None:
        """Something bad was found. NonFiniteError unless it may be left out."""
        source = self._where(source)
        if self._on_nan() != "skip":
            raise NonFiniteError(source)
        self.minibatches += minibatches
        self.segments += segments
        self._source = source
        self._warn(source)

    def meet_minibatch(self, fault: MinibatchFault) -> None:
        """A minibatch was left out. NonFiniteError where that is not allowed, or no help."""
        self.require_sound_weights()
        self.meet(str(fault), minibatches=1)

    def meet_collection(self, fault: CollectionFault, experience: Experience) -> None:
        """Leaves the segments of bad agents out of an experience that is still to be learned from."""
        self.require_sound_weights()  # where they are not, all that was collected came of them
        older = torch.zeros(len(experience) - experience.fresh, dtype=torch.bool, device=fault.agents.device)
        self._leave_out(experience, torch.cat((fault.agents, older)), fault.source)

    def meet_metric(self, metric: Tensor, experience: Experience) -> bool:
        """Leaves the segments out whose advantages overflow, by their priority metric [S]. Whether there were any."""
        if math.isfinite(float(metric.sum())):
            return False
        bad = ~torch.isfinite(metric)
        if not bool(bad.any()):
            return False
        first = int(bad.nonzero()[0])
        agents = experience.agents()
        source = f"the advantages of segment {first} (agent {int(agents[first])}) add up to {float(metric[first])}"
        self._leave_out(experience, bad.to(agents.device), source)
        return True

    def weight_figures(self) -> Tensor:
        """The `soundness` of the weights, on their device."""
        return soundness([tensor for _, tensor in self._weights])

    def require_sound_weights(self, figures: Tensor | None = None) -> None:
        """NonFiniteError when a parameter or a moment of the optimizer is not finite: to leave it out is no way.

        `figures`: what `weight_figures` gave, where the host has it already.
        """
        source = unsound(self._weights, figures)
        if source is not None:
            raise NonFiniteError(self._where(source))

    def end_iteration(self) -> None:
        """NonFiniteError where something had to be left out in too many iterations, one after the other."""
        self._in_a_row = self._in_a_row + 1 if self.minibatches or self.segments else 0
        if self._in_a_row >= PATIENCE:
            raise NonFiniteError(f"{self._source}; something was left out in each of the last {PATIENCE} iterations")

    def _leave_out(self, experience: Experience, bad: Tensor, source: str) -> None:
        self.meet(source, segments=int(bad.sum()))
        experience.exclude(bad)

    def _where(self, source: str) -> str:
        return f"{self._iteration}{self._minibatch}: {source}"


@torch.no_grad()
def soundness(tensors: Sequence[Tensor]) -> Tensor:
    """A figure for each tensor that is not finite wherever one of its numbers is not, float32, on their device.

    Huge finite numbers may do the same: what a figure accuses is to be looked at number by number.
    """
    if tensors[0].is_cuda:
        return torch.stack(torch._foreach_norm(list(tensors), 1))  # a few launches for all; sums would be one each
    return torch.cat([tensor.flatten().sum(0, keepdim=True).float() for tensor in tensors])


def rollout_figures(buffer: RolloutBuffer) -> Tensor:
    """The `soundness` of a collected horizon."""
    quantities = (
        buffer.observations,
        buffer.rewards,
        buffer.values,
        buffer.logprobs,
        buffer.final_values,
        buffer.bootstrap,
        buffer.state,
    )
    return soundness([quantity for quantity in quantities if quantity.numel()])


def inspect_rollout(buffer: RolloutBuffer, figures: float, agents_per_environment: int) -> CollectionFault | None:
    """What is not finite of a collected horizon, whose `rollout_figures` add up to so much.

    Call it before rewards are clamped, which would hide infinity.
    """
    if math.isfinite(figures):
        return None
    horizon = buffer.horizon
    agents = torch.zeros(buffer.agents, dtype=torch.bool, device=buffer.rewards.device)
    found: list[tuple[int, int, int, str]] = []

    def look(order: int, name: str, values: Tensor, first_step: int = 0) -> None:
        """values [steps, N]: remembers who is bad, and the first of them."""
        bad = ~torch.isfinite(values)
        if bool(bad.any()):
            agents.logical_or_(bad.any(0))
            step, agent = (int(index) for index in bad.nonzero()[0])
            found.append((first_step + step, order, agent, f"{name}|{float(values[step, agent])}"))

    def worst(values: Tensor) -> Tensor:
        """values [steps, N, D] -> [steps, N]: a number that is not finite where any of the D is not."""
        bad = ~torch.isfinite(values)
        first = bad.int().argmax(-1, keepdim=True)
        return torch.where(bad.any(-1), values.gather(-1, first).squeeze(-1), 0.0)

    # In the order in which they come about within a step, so that the cause is named and not what followed from it.
    if buffer.state.numel():
        look(0, "recurrent state", worst(buffer.state.permute(2, 0, 1, 3).flatten(1).unsqueeze(0)))
    look(1, "observation", worst(buffer.observations))
    look(2, "value estimate", buffer.values)
    look(3, "log-probability of the action", buffer.logprobs)
    look(4, "reward", buffer.rewards)
    look(5, "value of the last observation", buffer.final_values)
    look(6, "value of the last observation", buffer.bootstrap.unsqueeze(0), horizon)
    if not found:
        return None
    step, _, agent, text = min(found)
    name, _, value = text.partition("|")
    at = f"at step {step + 1} of {horizon}" if step < horizon else f"after step {horizon} of {horizon}"
    source = f"the {name} of agent {agent} (environment {agent // agents_per_environment}) {at} is {value}"
    count = int(agents.sum())
    return CollectionFault(source + (f" ({count} agents have such numbers)" if count > 1 else ""), agents)


@torch.no_grad()
def unsound(named: Iterable[tuple[str, Tensor]], figures: Tensor | None = None) -> str | None:
    """Which of the named tensors holds a number that is not finite; None when all are sound.

    `figures`: their `soundness`, where the host has it already.
    """
    pairs = list(named)
    if figures is None:
        figures = soundness([tensor for _, tensor in pairs])
    if math.isfinite(float(figures.sum())):
        return None
    for name, tensor in pairs:
        bad = ~torch.isfinite(tensor)
        if bool(bad.any()):
            return f"{int(bad.sum())} of {tensor.numel()} numbers of {name} are {float(tensor[bad][0])}"
    return None


def require_finite(checkpoint: Checkpoint) -> None:
    """CheckpointError when the state of a checkpoint is not finite: recurrent states, kept segments.

    Weights and moments the writer itself refuses.
    """
    state = checkpoint.tensors.get("state", {})
    floats = {name: tensor for name, tensor in state.items() if tensor.is_floating_point() and tensor.numel()}
    source = unsound(floats.items()) if floats else None
    if source is not None:
        raise CheckpointError(f"{source}; such a state is not saved")


def minibatch_source(figures: Sequence[float], names: Sequence[str]) -> str:
    """What is not finite of a minibatch's figures: its `STATISTICS`, the norms of the gradients by parameter, and
    their joint norm."""
    for key, value in zip(STATISTICS, figures, strict=False):
        if not math.isfinite(value):
            return f"the {_STATISTIC_NAMES[key]} is {value}"
    norms = figures[len(STATISTICS) : -1]
    for name, value in zip(names, norms, strict=True):
        if not math.isfinite(value):
            return f"the gradient of {name} is {value}"
    largest = max(range(len(norms)), key=norms.__getitem__)
    return f"the gradient norm is {figures[-1]}, its largest part that of {names[largest]} ({norms[largest]:.3g})"


class Undo:
    """Copies of tensors, and the way back to them where a flag on the device says so: the host need not know."""

    def __init__(self, tensors: Iterable[Tensor]) -> None:
        self._tensors = [tensor.detach() for tensor in tensors if tensor.numel()]
        self._copies = [tensor.clone() for tensor in self._tensors]

    def remember(self) -> None:
        """The present values are those to go back to."""
        torch._foreach_copy_(self._copies, self._tensors)

    def take_back(self, unless: Tensor) -> None:
        """Goes back, unless the flag (bool, 0-D) is set."""
        for tensor, copy in zip(self._tensors, self._copies, strict=True):
            torch.where(unless, tensor, copy, out=tensor)


class DeferredFaults:
    """What a device remembers of the minibatches of an iteration: how many there were, how many of them were finite,
    how many were learned from, which was the first that was not finite, counted from 0, and its figures."""

    HEAD = 4

    def __init__(self, figures: int, device: torch.device) -> None:
        self._record = torch.zeros(self.HEAD + figures, device=device)
        self._yes = torch.ones((), dtype=torch.bool, device=device)

    def start_iteration(self) -> None:
        """Forgets the iteration before."""
        self._record.zero_()

    def observe(self, finite: Tensor, learned: Tensor, figures: Tensor) -> None:
        """The next minibatch: are its figures `finite`, and was it `learned` from or taken back (bool, 0-D)?"""
        counts, kept = self._record[:3], self._record[3:]
        first = (counts[0] == counts[1]) > finite  # all before were finite, and this one is not
        torch.where(first, torch.cat((counts[:1], figures)), kept, out=kept)
        counts.add_(torch.stack((self._yes, finite, learned)))

    def tensor(self) -> Tensor:
        """To be read by the host together with other figures: seen, finite, learned, the first bad one, figures."""
        return self._record
