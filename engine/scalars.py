"""Numbers that formulas take: Python's own, or 0-D tensors whose present value a recorded CUDA graph reads."""

from __future__ import annotations

from torch import Tensor

Scalar = float | Tensor


def clamp(values: Tensor, low: Scalar, high: Scalar) -> Tensor:
    """`values` within [low, high]; both bounds are of one kind."""
    if isinstance(low, Tensor) and isinstance(high, Tensor):
        return values.clamp(low, high)
    return values.clamp(float(low), float(high))


def switched_on(value: Scalar) -> bool:
    """Whether what 0 turns off is on. A tensor always is: its value is not asked for."""
    return isinstance(value, Tensor) or value > 0
