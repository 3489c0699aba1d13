"""Muon for the matrices inside the network, Adam for everything else.

Biases and the heads go to Adam; encoder and core weights to Muon. With `optimizer = "adam"` Adam takes them all.
Learning rates are 0-D tensors, so that a captured graph or a compiled step reads their present value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from engine.scalars import Scalar, switched_on

NS_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Quintic whose iteration drives singular values towards 1 fastest (Jordan et al. 2024, "Muon")."""
NS_ROUNDS = 5
"""Iterations of it."""

Each = Callable[[Callable[[int], None], list[int]], None]
"""Calls work(item) for every item, in several threads perhaps."""


@dataclass(frozen=True, slots=True)
class OptimizerSettings:
    """What stays fixed during a run; `Rates` may change with every step."""

    muon: bool
    muon_momentum: float
    adam_beta1: float
    adam_beta2: float
    adam_eps: float


@dataclass(frozen=True, slots=True)
class Rates:
    """The numbers of one step: learning rates, weight decay, and the shares of Adam's two means that its first steps
    have filled (1 - beta^step), by which its bias is corrected."""

    learning_rate: Scalar
    adam_learning_rate: Scalar
    weight_decay: Scalar
    first_filled: Scalar
    second_filled: Scalar


@dataclass(frozen=True, slots=True)
class Group:
    """Parameters that a step takes as one: matrices of one shape for Muon [K, R, C], or any for Adam, end to end [N].

    `members` are their indices, `first` and `second` the moments of `parameter`, `decayed` what decays of Adam's. One
    alone keeps its own shape.
    """

    members: list[int]
    muon: bool
    parameter: Tensor
    first: Tensor
    second: Tensor
    decayed: Tensor

    def together(self, gradients: list[Tensor]) -> Tensor:
        """The members' gradients, as `parameter` is."""
        if len(self.members) == 1:
            return gradients[self.members[0]]
        return torch.cat([gradients[index].reshape(-1) for index in self.members]).view(self.parameter.shape)


def orthogonalize(matrix: Tensor, rounds: int = NS_ROUNDS) -> Tensor:
    """Nearest semi-orthogonal matrix, approximately: `rounds` Newton-Schulz iterations from the normalized matrix.

    Takes several [K, R, C] at once, too. Singular values end between about 0.7 and 1.2. Works in the matrix's own
    precision: float32 on a CPU, where bfloat16 products are many times slower. A round is X <- P X with
    P = aI + bG + cG^2 and G = X X^T. All P commute, so where one side is at least twice the other they are multiplied
    up on the small side, with G <- P G P, and X at the end.
    """
    a, b, c = NS_COEFFICIENTS
    rows, columns = matrix.shape[-2:]
    add_product = torch.addmm if matrix.ndim == 2 else torch.baddbmm
    x = matrix.mT if rows > columns else matrix
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) + 1e-7)
    if max(rows, columns) >= 2 * min(rows, columns):
        gram = x @ x.mT
        product = None
        for done in range(1, rounds + 1):
            factor = add_product(gram, gram, gram, beta=b, alpha=c)
            factor.diagonal(dim1=-2, dim2=-1).add_(a)
            product = factor if product is None else factor @ product
            if done < rounds:
                gram = factor @ (gram @ factor)
        x = x if product is None else product @ x
    else:
        for _ in range(rounds):
            gram = x @ x.mT
            x = add_product(x, add_product(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if rows > columns else x


def shape_factor(matrix: Tensor) -> float:
    """What Muon's steps of a matrix are multiplied by, so that tall ones move as far: sqrt(max(1, rows/columns))."""
    rows, columns = matrix.shape[-2:]
    return float(max(1.0, rows / columns) ** 0.5)


class Optimizer:
    """Applies gradients to a policy's parameters in place.

    What is `joined` lies end to end and is stepped by as many operations as one parameter would be: a GPU needs for a
    small tensor about as long as for a large one. On the CPU every parameter is on its own, for a thread to take.
    """

    def __init__(self, policy: nn.Module, settings: OptimizerSettings, joined: bool | None = None) -> None:
        self.settings = settings
        named = dict(policy.named_parameters())
        device = next(iter(named.values())).device
        self.names = list(named)
        self.parameters = list(named.values())
        self.uses_muon = [
            settings.muon and parameter.ndim == 2 and not name.startswith("heads") for name, parameter in named.items()
        ]
        self.first = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.second = [
            torch.zeros(0, device=device) if muon else torch.zeros_like(parameter)
            for parameter, muon in zip(self.parameters, self.uses_muon, strict=True)
        ]
        self.groups = self._groups(device.type != "cpu" if joined is None else joined)
        self.steps = 0
        self.learning_rate = torch.zeros((), device=device)
        self.adam_learning_rate = torch.zeros((), device=device)
        self.weight_decay = 0.0

    def _groups(self, joined: bool) -> list[Group]:
        """Where `joined`, one for each shape of Muon's matrices and one for all that is Adam's; the decayed ahead."""
        found: dict[object, list[int]] = {}
        for index, (parameter, muon) in enumerate(zip(self.parameters, self.uses_muon, strict=True)):
            found.setdefault((parameter.shape if muon else None) if joined else index, []).append(index)
        groups = []
        for members in found.values():
            members.sort(key=lambda index: self.parameters[index].ndim, reverse=True)
            muon = self.uses_muon[members[0]]
            shape = self.parameters[members[0]].shape if muon else ()
            joint, first, second = (
                join([tensors[index] for index in members], shape)
                for tensors in (self.parameters, self.first, self.second)
            )
            matrices = [self.parameters[index] for index in members if self.parameters[index].ndim > 1]
            decayed = joint.view(-1)[: sum(matrix.numel() for matrix in matrices)]
            groups.append(Group(members, muon, joint, first, second, decayed))
        return groups

    def held(self) -> list[Tensor]:
        """All that a step changes, in as few tensors as hold it."""
        return [tensor for group in self.groups for tensor in (group.parameter, group.first, group.second)]

    def set_rates(self, learning_rate: float, adam_learning_rate: float, weight_decay: float) -> None:
        """Rates of the steps that follow. `learning_rate` is Muon's, or everybody's where Adam takes all parameters."""
        self.learning_rate.fill_(learning_rate)
        self.adam_learning_rate.fill_(adam_learning_rate if self.settings.muon else learning_rate)
        self.weight_decay = weight_decay

    def next_rates(self, learning_rate: float, adam_learning_rate: float, weight_decay: float) -> Rates:
        """The numbers of the step that follows, for `apply`."""
        settings, steps = self.settings, self.steps + 1
        return Rates(
            learning_rate,
            adam_learning_rate if settings.muon else learning_rate,
            weight_decay,
            1 - settings.adam_beta1**steps,
            1 - settings.adam_beta2**steps,
        )

    def present_rates(self) -> Rates:
        """The numbers of the step that follows, with the rates that were set."""
        rates = self.next_rates(0.0, 0.0, self.weight_decay)
        return replace(rates, learning_rate=self.learning_rate, adam_learning_rate=self.adam_learning_rate)

    def step(self, gradients: list[Tensor], each: Each | None = None) -> None:
        """One update with the rates that were set."""
        self.apply(gradients, self.present_rates(), each)
        self.steps += 1

    @torch.no_grad()
    def apply(self, gradients: list[Tensor], rates: Rates, each: Each | None = None) -> None:
        """One update, not counted in `steps`.

        `each(work, items)` may spread the matrices over threads; without it they go one by one.
        """
        matrices = [group for group in self.groups if group.muon]
        # The largest first, so that the threads end together.
        matrices.sort(key=lambda group: -group.parameter.numel())
        if each is None:
            for group in matrices:
                self._muon(group, gradients, rates)
        else:
            each(lambda place: self._muon(matrices[place], gradients, rates), list(range(len(matrices))))
        for group in self.groups:
            if not group.muon:
                self._adam(group, gradients, rates)

    def _muon(self, group: Group, gradients: list[Tensor], rates: Rates) -> None:
        """Nesterov momentum, orthogonalized, and scaled by `shape_factor`."""
        # Grad mode belongs to a thread, and this runs in any of them.
        with torch.no_grad():
            parameter, momentum = group.parameter, group.first
            gradient, beta = group.together(gradients), self.settings.muon_momentum
            momentum.lerp_(gradient, 1 - beta)
            update = orthogonalize(gradient.lerp(momentum, beta))
            if switched_on(rates.weight_decay):
                parameter.mul_(1 - rates.learning_rate * rates.weight_decay)
            parameter.sub_(update * (rates.learning_rate * shape_factor(parameter)))

    def _adam(self, group: Group, gradients: list[Tensor], rates: Rates) -> None:
        """Adam with bias correction and decoupled weight decay (Kingma and Ba 2015; Loshchilov and Hutter 2019)."""
        settings, first, second = self.settings, group.first, group.second
        gradient = group.together(gradients)
        first.lerp_(gradient, 1 - settings.adam_beta1)
        second.lerp_(gradient.square(), 1 - settings.adam_beta2)
        corrected = first / rates.first_filled
        scale = (second / rates.second_filled).sqrt_().add_(settings.adam_eps)
        if switched_on(rates.weight_decay):
            group.decayed.mul_(1 - rates.adam_learning_rate * rates.weight_decay)
        group.parameter.sub_(corrected.div_(scale).mul_(rates.adam_learning_rate))

    def moments(self) -> dict[str, Tensor]:
        """What the optimizer remembers of past gradients, by the parameter's name."""
        kinds = (("first moment", self.first), ("second moment", self.second))
        return {
            f"the {kind} of {name}": tensor
            for kind, tensors in kinds
            for name, tensor in zip(self.names, tensors, strict=True)
            if tensor.numel()
        }

    def weights(self) -> dict[str, Tensor]:
        """All that a step changes, by what messages call it."""
        parameters = zip(self.names, self.parameters, strict=True)
        return {f"the parameter {name}": parameter for name, parameter in parameters} | self.moments()

    def state_tensors(self) -> dict[str, Tensor]:
        """Moments by parameter name, for a checkpoint."""
        tensors = {f"first.{name}": tensor for name, tensor in zip(self.names, self.first, strict=True)}
        tensors |= {
            f"second.{name}": tensor
            for name, tensor, muon in zip(self.names, self.second, self.uses_muon, strict=True)
            if not muon
        }
        return tensors | {"steps": torch.tensor(self.steps)}

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Takes back what `state_tensors` gave; KeyError names what is missing."""
        for name, first, second, muon in zip(self.names, self.first, self.second, self.uses_muon, strict=True):
            first.copy_(tensors[f"first.{name}"])
            if not muon:
                second.copy_(tensors[f"second.{name}"])
        self.steps = int(tensors["steps"])


def join(tensors: Sequence[Tensor], shape: Sequence[int] = ()) -> Tensor:
    """The numbers of all tensors [K, *shape], of which each is a view from now on. One alone stays as it is."""
    if len(tensors) == 1:
        return tensors[0].detach()
    joined = torch.cat([tensor.detach().reshape(-1) for tensor in tensors])
    for tensor, part in zip(tensors, torch.split(joined, [tensor.numel() for tensor in tensors]), strict=True):
        tensor.data = part.view(tensor.shape)
    return joined.view(-1, *shape)


@torch.no_grad()
def gradient_norms(gradients: list[Tensor]) -> tuple[Tensor, Tensor]:
    """The norm of each gradient [P] and of all of them together, 0-D."""
    norms = torch.stack(torch._foreach_norm(gradients))
    return norms, torch.linalg.vector_norm(norms)


@torch.no_grad()
def scale_to_norm(gradients: list[Tensor], norm: Tensor, limit: Scalar) -> None:
    """Scales gradients whose joint norm is `norm` in place, so that it is at most `limit`."""
    # One launch for all, which a GPU makes for a factor of the gradients' own type.
    torch._foreach_mul_(gradients, (limit / (norm + 1e-6)).clamp(max=1.0).to(norm.dtype))


def clip_by_global_norm(gradients: list[Tensor], limit: float) -> Tensor:
    """Scales the gradients in place so that their joint norm is at most `limit`; returns the norm before, 0-D."""
    _, norm = gradient_norms(gradients)
    scale_to_norm(gradients, norm, limit)
    return norm
