"""The optimizer's step on a GPU (engine/kernels/step.h): some twenty launches where torch needs two hundred.

Gradients stay where autograd has put them. What a minibatch that is not finite would change is not written in the first
place, so that nothing has to be copied and taken back. All of Muon's matrices go through Newton-Schulz together, each
on its smaller side: a GPU multiplies several small ones in the time of one.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from c_envs.device import DeviceProgram
from engine.device_environments import Launcher
from engine.device_kernels import Argument, as_double, kernel_program, launch_blocks, layout, load_kernels
from engine.losses import STATISTICS
from engine.optimizer import NS_COEFFICIENTS, NS_ROUNDS, Group, Optimizer, Rates, orthogonalize, shape_factor
from engine.scalars import Scalar, switched_on

CHUNK = 2048
"""Numbers of a parameter that a block works on."""
TILE = 32
"""Rows and columns of a product that a block computes (TILE in step.h)."""
MOST_PARAMETERS = 64
"""Parameters that a launch takes (MOST_PARAMETERS in step.h)."""
MOST_SIDE = 256
"""The smaller side of the largest matrix that is orthogonalized here: beyond, torch's products are the faster ones."""

_Gradients = ctypes.c_void_p * MOST_PARAMETERS


def _numbers(names: str) -> list[tuple[str, type[ctypes.c_double]]]:
    return [(name, ctypes.c_double) for name in names.split()]


class Measure(ctypes.Structure):
    """The struct of this name in step.h; so with those below."""

    _fields_ = [
        ("gradients", _Gradients),
        *layout("chunks statistics ratios sums", "chunk_count rows row_chunks chunk"),
    ]


class Judge(ctypes.Structure):
    _fields_ = layout("sums ends limit live totals record scale learned", "parameters chunk_count row_chunks")


class Advance(ctypes.Structure):
    _fields_ = [
        ("gradients", _Gradients),
        *layout("chunks parameters scale learned rate decay first_filled second_filled squares", "chunk_count"),
        *_numbers("beta1 beta2 eps momentum"),
    ]


class Gram(ctypes.Structure):
    _fields_ = layout("matrices squares grams inverses", "count size")


class Product(ctypes.Structure):
    _fields_ = [*layout("left right right2 out out2", "count size"), *_numbers("constant linear square")]


class Apply(ctypes.Structure):
    _fields_ = layout("matrices factors inverses learned rate decay", "count size tiles")


ARGUMENTS: dict[str, type[ctypes.Structure]] = {
    "measure_gradients": Measure,
    "judge_minibatch": Judge,
    "advance_parameters": Advance,
    "gram_matrices": Gram,
    "multiply_matrices": Product,
    "apply_updates": Apply,
}
"""Each kernel's arguments."""


def step_program() -> DeviceProgram:
    """The kernels as a program for the run-time compiler."""
    sizes = {arguments.__name__: ctypes.sizeof(arguments) for arguments in ARGUMENTS.values()}
    return kernel_program("step.h", ARGUMENTS, sizes)


class StepKernels:
    """The kernels of `step_program`, launched on torch's current stream."""

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher

    def launch(self, kernel: str, blocks: int, **values: Argument) -> None:
        """Queues the kernel with these arguments."""
        launch_blocks(self._launcher, kernel, ARGUMENTS[kernel], blocks, **values)

    def try_all(self) -> None:
        """Launches every kernel on nothing."""
        for kernel in ARGUMENTS:
            self.launch(kernel, 1)


def step_kernels(device: torch.device, warn: Callable[[str], None] = lambda text: None) -> StepKernels | None:
    """The kernels for a CUDA device, or None where they cannot be had, and then `warn` hears why."""
    return load_kernels(step_program(), device, StepKernels, StepKernels.try_all, "the optimizer", warn)


class DeviceStep:
    """Steps of one optimizer, whose parameters and moments stay where they are.

    `judge` finds out whether the gradients of a minibatch are learned from; `apply` does so, or changes nothing.
    """

    def __init__(self, kernels: StepKernels, optimizer: Optimizer) -> None:
        self._kernels, self._settings = kernels, optimizer.settings
        parameters = optimizer.parameters
        device = parameters[0].device
        rows: list[tuple[int, int, int]] = []
        ends: list[int] = []
        for index, parameter in enumerate(parameters):
            count = parameter.numel()
            rows += [(index, first, min(CHUNK, count - first)) for first in range(0, count, CHUNK)]
            ends.append(len(rows))
        self._chunk_count, self._count = len(rows), len(parameters)
        self._chunks = torch.tensor(rows, dtype=torch.int32, device=device)
        self._ends = torch.tensor(ends, dtype=torch.int32, device=device)
        self._squares = torch.zeros(len(rows), device=device)
        self._scale = torch.ones((), device=device)
        self._learned = torch.zeros((), dtype=torch.bool, device=device)
        updates = {index: torch.zeros_like(parameters[index]) for index in self._muon(optimizer)}
        self._large = [group for group in optimizer.groups if group.muon and _side(group.parameter) > MOST_SIDE]
        self._large_updates: list[Tensor] = []
        for group in self._large:
            joint = torch.zeros_like(group.parameter)
            self._large_updates.append(joint)
            parts = joint.unbind() if len(group.members) > 1 else (joint,)
            updates |= dict(zip(group.members, parts, strict=True))
        self._parameters = torch.tensor(
            [
                (
                    parameter.data_ptr(),
                    optimizer.first[index].data_ptr(),
                    0 if index in updates else optimizer.second[index].data_ptr(),
                    updates[index].data_ptr() if index in updates else 0,
                    parameter.ndim > 1,
                )
                for index, parameter in enumerate(parameters)
            ],
            dtype=torch.int64,
            device=device,
        )
        self._updates = list(updates.values())
        self._take_matrices(
            [
                (parameters[index], updates[index], ends[index - 1] if index else 0, ends[index])
                for index in updates
                if _side(parameters[index]) <= MOST_SIDE
            ],
            device,
        )

    @staticmethod
    def fits(optimizer: Optimizer) -> bool:
        """Whether a launch takes as many parameters."""
        return len(optimizer.parameters) <= MOST_PARAMETERS

    @staticmethod
    def _muon(optimizer: Optimizer) -> list[int]:
        return [index for index, muon in enumerate(optimizer.uses_muon) if muon]

    def _take_matrices(self, matrices: list[tuple[Tensor, Tensor, int, int]], device: torch.device) -> None:
        """Those that are orthogonalized here: parameter, update, its first chunk and the one behind its last."""
        rows, tiles = [], 0
        for parameter, update, first, end in matrices:
            height, width = parameter.shape
            rows.append((parameter.data_ptr(), update.data_ptr(), height, width, first, end, tiles))
            tiles += -(-height // TILE) * -(-width // TILE)
        self._matrix_count, self._tiles = len(rows), tiles
        self._size = -(-max((_side(parameter) for parameter, *_ in matrices), default=0) // TILE) * TILE
        self._matrices = torch.tensor(rows, dtype=torch.int64, device=device)
        self._room = torch.zeros(5, len(rows), self._size, self._size, device=device)
        self._inverses = torch.zeros(len(rows), device=device)

    def judge(
        self,
        gradients: Sequence[Tensor],
        statistics: Tensor,
        ratios: Tensor,
        live: Tensor | None,
        limit: Scalar,
        totals: Tensor,
        record: Tensor,
    ) -> Tensor:
        """Whether a minibatch is learned from (bool, 0-D): its figures are finite, and samples of it are live.

        statistics [6, samples] is what each sample adds to `STATISTICS`, `ratios` are the samples'. `totals` and
        `record`, which are the learner's and `DeferredFaults`', are brought up to date; `limit` is the largest joint
        norm that `apply` shall take gradients for.
        """
        rows = ratios.numel()
        row_chunks = -(-rows // CHUNK)
        lines = (len(STATISTICS) + 1) * row_chunks
        sums = torch.empty(self._chunk_count + lines, device=ratios.device)
        gradients = [gradient.contiguous() for gradient in gradients]
        self._kernels.launch(
            "measure_gradients",
            self._chunk_count + lines,
            gradients=_addresses(gradients),
            chunks=self._chunks,
            statistics=statistics,
            ratios=ratios,
            sums=sums,
            chunk_count=self._chunk_count,
            rows=rows,
            row_chunks=row_chunks,
            chunk=CHUNK,
        )
        self._kernels.launch(
            "judge_minibatch",
            1,
            sums=sums,
            ends=self._ends,
            limit=as_double(limit, ratios.device),
            live=live,
            totals=totals,
            record=record,
            scale=self._scale,
            learned=self._learned,
            parameters=self._count,
            chunk_count=self._chunk_count,
            row_chunks=row_chunks,
        )
        return self._learned

    @torch.no_grad()
    def apply(self, gradients: Sequence[Tensor], rates: Rates) -> None:
        """What `Optimizer.apply` does, on what `judge` was asked of last; nothing where it is not learned from."""
        device, settings = self._chunks.device, self._settings
        gradients = [gradient.contiguous() for gradient in gradients]
        decays = switched_on(rates.weight_decay)
        decay = as_double(rates.weight_decay, device) if decays else None
        self._kernels.launch(
            "advance_parameters",
            self._chunk_count,
            gradients=_addresses(gradients),
            chunks=self._chunks,
            parameters=self._parameters,
            scale=self._scale,
            learned=self._learned,
            rate=as_double(rates.adam_learning_rate, device),
            decay=decay,
            first_filled=as_double(rates.first_filled, device),
            second_filled=as_double(rates.second_filled, device),
            squares=self._squares,
            chunk_count=self._chunk_count,
            beta1=settings.adam_beta1,
            beta2=settings.adam_beta2,
            eps=settings.adam_eps,
            momentum=settings.muon_momentum,
        )
        if self._matrix_count:
            self._kernels.launch(
                "apply_updates",
                self._tiles,
                matrices=self._matrices,
                factors=self._factors(),
                inverses=self._inverses,
                learned=self._learned,
                rate=as_double(rates.learning_rate, device),
                decay=decay,
                count=self._matrix_count,
                size=self._size,
                tiles=self._tiles,
            )
        for group, update in zip(self._large, self._large_updates, strict=True):
            self._apply_large(group, update, rates)

    def _factors(self) -> Tensor:
        """What orthogonalizes each normalized update, multiplied on its smaller side [count, size, size].

        See `orthogonalize`: X <- P X with P = aI + bG + cG^2, five times. Here the P are multiplied up, G <- (P G) P,
        and P's two products with other matrices are one launch.
        """
        gram, moved, factor, product, following = self._room.unbind()
        self._kernels.launch(
            "gram_matrices",
            self._matrix_count * (self._size // TILE) ** 2,
            matrices=self._matrices,
            squares=self._squares,
            grams=gram,
            inverses=self._inverses,
            count=self._matrix_count,
            size=self._size,
        )
        self._product(gram, (gram, product), *NS_COEFFICIENTS)
        self._product(product, (gram, moved))
        self._product(moved, (product, gram))
        for done in range(2, NS_ROUNDS + 1):
            self._product(gram, (gram, factor), *NS_COEFFICIENTS)
            pair = (product, following)
            if done < NS_ROUNDS:
                self._product(factor, (gram, moved), other=pair)
                self._product(moved, (factor, gram))
            else:
                self._product(factor, pair)
            product, following = following, product
        return product

    def _product(
        self,
        left: Tensor,
        pair: tuple[Tensor, Tensor],
        constant: float = 0.0,
        linear: float = 0.0,
        square: float = 1.0,
        other: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        """With (right, out): out = constant * I + linear * left + square * left @ right; `other` is another such pair
        of the same left side."""
        right2, out2 = other or (None, None)
        self._kernels.launch(
            "multiply_matrices",
            self._matrix_count * (self._size // TILE) ** 2 * (1 if other is None else 2),
            left=left,
            right=pair[0],
            right2=right2,
            out=pair[1],
            out2=out2,
            count=self._matrix_count,
            size=self._size,
            constant=constant,
            linear=linear,
            square=square,
        )

    def _apply_large(self, group: Group, update: Tensor, rates: Rates) -> None:
        """The step of matrices that are too large for the kernels."""
        rate = rates.learning_rate
        kept = group.parameter
        if switched_on(rates.weight_decay):
            kept = kept * (1 - rate * rates.weight_decay)
        moved = kept - orthogonalize(update) * (rate * shape_factor(group.parameter))
        torch.where(self._learned, moved, group.parameter, out=group.parameter)


def _side(matrix: Tensor) -> int:
    """The smaller side of a matrix, or of several of one shape."""
    return min(matrix.shape[-2:])


def _addresses(gradients: Sequence[Tensor]) -> ctypes.Array[ctypes.c_void_p]:
    return _Gradients(*(gradient.data_ptr() for gradient in gradients))
