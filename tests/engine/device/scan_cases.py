"""An LSTM whose recurrent products are rounded as tensor cores round them, written with torch operations alone."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from engine.lstm import LSTM
from tests.engine.device.recurrent_cases import make_core

SHAPES = [(1, 1, 32), (2, 9, 32), (17, 13, 32), (64, 8, 32), (3, 24, 64), (17, 5, 64), (4, 11, 128)]
"""Steps, segments, units."""


def tame_lstm(hidden: int, layers: int = 1, device: str = "cpu") -> LSTM:
    """A core with weights of a seed, so small that nothing grows without bounds through steps and layers."""
    core = make_core(LSTM, hidden, layers, device)
    assert isinstance(core, LSTM)
    with torch.no_grad():
        for parameter in core.parameters():
            parameter.mul_(min(1.0, 5 / hidden**0.5))
    return core


def to_tf32(values: Tensor) -> Tensor:
    """To the nearest number with ten bits of mantissa, by arithmetic."""
    mantissa, exponent = torch.frexp(values.double())
    scaled = mantissa * 2**11
    rounded = scaled.abs().add(0.5).floor() * scaled.sign()
    return torch.ldexp(rounded, exponent - 11).to(values.dtype)


class RoundedProduct(torch.autograd.Function):
    """h times w^T as tensor cores multiply; the gradient of w is that of the true numbers, which torch computes."""

    @staticmethod
    def forward(ctx: Any, h: Tensor, w: Tensor) -> Tensor:
        ctx.save_for_backward(h, w)
        return to_tf32(h) @ to_tf32(w).t()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        h, w = ctx.saved_tensors
        return to_tf32(gradients[0]) @ to_tf32(w), gradients[0].t() @ h


class RoundedLSTM(LSTM):
    """The plain path with rounded recurrent products; one layer."""

    def unroll(self, inputs: Tensor, state: Tensor, resets: Tensor, part: int = 0) -> Tensor:
        (h, c), (w_ih, w_hh, b_ih, b_hh), outputs = state[0], self.weights(0), []
        for t, each in enumerate(inputs):
            cut = (resets[t] if t else torch.zeros_like(resets[t])).bool().unsqueeze(-1)
            h, c = h.masked_fill(cut, 0.0), c.masked_fill(cut, 0.0)
            i, f, g, o = (each @ w_ih.t() + b_ih + b_hh + RoundedProduct.apply(h, w_hh)).chunk(4, dim=-1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            outputs.append(h)
        return torch.stack(outputs)
