"""Minibatches on a GPU (engine/kernels/minibatch.h): drawn by priority, gathered, written back and logged.

Each takes a launch or two; torch needs some forty, of which one sorts and seven copy a few numbers a segment.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from c_envs.device import DeviceProgram
from engine.device_environments import Launcher
from engine.device_kernels import as_double, kernel_program, launch, launch_blocks, layout, load_kernels
from engine.scalars import Scalar

MOST_SEGMENTS = 1 << 16
"""Segments that one block draws from: with more torch's launches are the faster way."""
MOST_COLUMNS = 12
"""Arrays that a launch gathers from (MOST_COLUMNS in gather.h)."""
MOMENTS_CHUNK = 2048
"""Numbers whose mean and deviation a block finds (MOMENTS_CHUNK in advantages.h)."""
METRIC_SEGMENTS = 32
"""Segments whose metric a block finds (METRIC_SEGMENTS in draw.h)."""
METRICS = ("sum", "max", "mean", "eta")
"""Their numbers there."""
UNITS = 1024
"""Units that a block copies (UNITS_A_BLOCK in gather.h)."""


class Metric(ctypes.Structure):
    """The struct of this name in draw.h, gather.h or advantages.h; so with those below."""

    _fields_ = [*layout("advantages masks metric", "steps segments kind"), ("eta", ctypes.c_double)]


class Prioritize(ctypes.Structure):
    _fields_ = [*layout("metric alpha beta powered inverse", "segments"), ("eps", ctypes.c_double)]


class DrawSegments(ctypes.Structure):
    _fields_ = layout(
        "powered inverse chance beta cumulative counts ends uses drawn weights", "segments count stratified normalized"
    )


class Measurement(ctypes.Structure):
    _fields_ = layout(
        "advantages values masks drawn weights parts normalized returns live explained",
        "steps segments count fresh drawn_chunks fresh_chunks",
    )


class Column(ctypes.Structure):
    _fields_ = layout("source target", "unit width stride units first_block")


class Gather(ctypes.Structure):
    _fields_ = [*layout("drawn", ""), ("columns", Column * MOST_COLUMNS), *layout("", "column_count count")]


class WriteBack(ctypes.Structure):
    _fields_ = layout("drawn values ratios learned to_values to_ratios", "steps count segments stride")


class LogRow(ctypes.Structure):
    _fields_ = layout(
        "drawn weights ratios clip explained row to_drawn to_weights to_clipped to_explained", "steps count"
    )


ARGUMENTS: dict[str, type[ctypes.Structure]] = {
    "priority_metric": Metric,
    "prioritize": Prioritize,
    "draw_segments": DrawSegments,
    "measure_advantages": Measurement,
    "normalize_advantages": Measurement,
    "gather_segments": Gather,
    "write_back": WriteBack,
    "log_row": LogRow,
}
"""Each kernel's arguments."""


def minibatch_program() -> DeviceProgram:
    """The kernels as a program for the run-time compiler."""
    structs: list[type[ctypes.Structure]] = [*ARGUMENTS.values(), Column]
    sizes = {arguments.__name__: ctypes.sizeof(arguments) for arguments in structs}
    return kernel_program("minibatch.h", ARGUMENTS, sizes, "draw.h", "gather.h", "advantages.h")


class MinibatchKernels:
    """The kernels of `minibatch_program`, launched on torch's current stream. Tensors are on the device and of the
    types and shapes that its headers give them."""

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher

    def metric(self, advantages: Tensor, masks: Tensor | None, name: str, eta: float) -> Tensor:
        """`engine.replay.priority_metric` of segments [T, S]: [S]."""
        steps, segments = advantages.shape
        metric = torch.empty(segments, device=advantages.device)
        launch_blocks(
            self._launcher,
            "priority_metric",
            Metric,
            max(1, -(-segments // METRIC_SEGMENTS)),
            advantages=advantages,
            masks=masks,
            metric=metric,
            steps=steps,
            segments=segments,
            kind=METRICS.index(name),
            eta=eta,
        )
        return metric

    def draw(
        self,
        metric: Tensor,
        chance: Tensor,
        count: int,
        alpha: Scalar,
        beta: Scalar,
        eps: float,
        uses: Tensor,
        *,
        stratified: bool,
        normalized: bool,
    ) -> tuple[Tensor, Tensor]:
        """`count` segments drawn with replacement in proportion to (metric + eps)^alpha, in the order of their indices,
        and their importance weights, `normalized` by the largest. `uses` grows by them."""
        segments, device = len(metric), metric.device
        powered, inverse, cumulative = torch.empty(3, segments, dtype=torch.float64, device=device).unbind()
        counts, ends = torch.empty(2, segments, dtype=torch.int32, device=device).unbind()
        drawn = torch.empty(count, dtype=torch.int64, device=device)
        weights = torch.empty(count, device=device)
        beta = as_double(beta, device)
        launch(
            self._launcher,
            "prioritize",
            Prioritize,
            segments,
            metric=metric,
            alpha=as_double(alpha, device),
            beta=beta,
            powered=powered,
            inverse=inverse,
            segments=segments,
            eps=eps,
        )
        launch_blocks(
            self._launcher,
            "draw_segments",
            DrawSegments,
            1,
            powered=powered,
            inverse=inverse,
            chance=chance,
            beta=beta,
            cumulative=cumulative,
            counts=counts,
            ends=ends,
            uses=uses,
            drawn=drawn,
            weights=weights,
            segments=segments,
            count=count,
            stratified=stratified,
            normalized=normalized,
        )
        return drawn, weights

    def aims(
        self, advantages: Tensor, values: Tensor, masks: Tensor | None, fresh: int, drawn: Tensor, weights: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What the drawn segments [M] are trained towards, of segments [T, S]: their advantages, with mean 0 and
        deviation 1 over the live steps and weighted, and their returns, each [T, M]; how many of their steps are live,
        and the explained variance of the `fresh` first segments, both 0-D."""
        (steps, segments), count = advantages.shape, len(drawn)
        drawn_chunks, fresh_chunks = (-(-steps * width // MOMENTS_CHUNK) for width in (count, fresh))
        parts = torch.empty(drawn_chunks + 2 * fresh_chunks, 3, device=advantages.device)
        normalized, returns = torch.empty(2, steps, count, device=advantages.device).unbind()
        live, explained = torch.empty(2, device=advantages.device).unbind()
        for kernel, blocks in (("measure_advantages", len(parts)), ("normalize_advantages", drawn_chunks + 1)):
            launch_blocks(
                self._launcher,
                kernel,
                Measurement,
                blocks,
                advantages=advantages,
                values=values,
                masks=masks,
                drawn=drawn,
                weights=weights,
                parts=parts,
                normalized=normalized,
                returns=returns,
                live=live,
                explained=explained,
                steps=steps,
                segments=segments,
                count=count,
                fresh=fresh,
                drawn_chunks=drawn_chunks,
                fresh_chunks=fresh_chunks,
            )
        return normalized, returns, live, explained

    def gather(self, drawn: Tensor, sources: Sequence[tuple[Tensor, int]]) -> list[Tensor]:
        """Copies of the drawn segments [M] out of each source, whose segments lie in the given dimension."""
        columns = (Column * MOST_COLUMNS)()
        copies: list[Tensor] = []
        blocks, count = 0, len(drawn)
        for column, (source, dimension) in zip(columns, sources, strict=False):
            source = source.contiguous()
            shape = [*source.shape]
            shape[dimension] = count
            copies.append(torch.empty(shape, dtype=source.dtype, device=source.device))
            span = math.prod(shape[dimension + 1 :]) * source.element_size()
            places = source.data_ptr() | copies[-1].data_ptr() | span
            unit = next(size for size in (16, 8, 4, 1) if places % size == 0)
            column.source, column.target = source.data_ptr(), copies[-1].data_ptr()
            column.unit, column.width = unit, span // unit
            column.stride = source.shape[dimension] * column.width
            column.units, column.first_block = copies[-1].nbytes // unit, blocks
            blocks += -(-column.units // UNITS)
        launch_blocks(
            self._launcher,
            "gather_segments",
            Gather,
            max(1, blocks),
            drawn=drawn,
            columns=columns,
            column_count=len(copies),
            count=count,
        )
        return copies

    def write_back(
        self, drawn: Tensor, values: Tensor, ratios: Tensor, learned: Tensor, to_values: Tensor, to_ratios: Tensor
    ) -> None:
        """Puts values and ratios [T, M] of the drawn segments in their places in [T, S], unless the flag `learned` is
        not set."""
        steps, count = ratios.shape
        flat = values.reshape(-1)
        launch(
            self._launcher,
            "write_back",
            WriteBack,
            steps * count,
            drawn=drawn,
            values=flat,
            ratios=ratios,
            learned=learned,
            to_values=to_values,
            to_ratios=to_ratios,
            steps=steps,
            count=count,
            segments=to_values.shape[1],
            stride=flat.stride(0),
        )

    def log(
        self,
        row: Tensor,
        drawn: Tensor,
        weights: Tensor,
        ratios: Tensor,
        clip: Scalar,
        explained: Tensor,
        columns: tuple[Tensor, Tensor, Tensor, Tensor],
    ) -> None:
        """Writes the drawn segments, their weights, the clipped share of their ratios [T, M] and the explained variance
        to that row of the columns, of which `row` then tells the next."""
        to_drawn, to_weights, to_clipped, to_explained = columns
        launch_blocks(
            self._launcher,
            "log_row",
            LogRow,
            1,
            drawn=drawn,
            weights=weights,
            ratios=ratios,
            clip=as_double(clip, ratios.device),
            explained=explained,
            row=row,
            to_drawn=to_drawn,
            to_weights=to_weights,
            to_clipped=to_clipped,
            to_explained=to_explained,
            steps=ratios.shape[0],
            count=ratios.shape[1],
        )

    def try_all(self) -> None:
        """Launches every kernel on nothing."""
        for kernel, arguments in ARGUMENTS.items():
            launch(self._launcher, kernel, arguments, 0)


def minibatch_kernels(device: torch.device, warn: Callable[[str], None] = lambda text: None) -> MinibatchKernels | None:
    """The kernels for a CUDA device, or None where they cannot be had, and then `warn` hears why."""
    return load_kernels(
        minibatch_program(), device, MinibatchKernels, MinibatchKernels.try_all, "the making of minibatches", warn
    )
