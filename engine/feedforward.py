"""The core without memory."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class FeedForward(nn.Module):
    """`layers` linear layers with ReLU, applied to every step on its own; its recurrent state is empty."""

    parts = 1
    gain = 2**0.5

    def __init__(self, hidden: int, layers: int = 1) -> None:
        super().__init__()
        self.hidden = hidden
        self.layers = 0
        self.fused = True
        self.stack = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(layers))

    def step(self, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """inputs [N, H] -> output [N, H]; the empty state passes through."""
        for layer in self.stack:
            inputs = functional.relu(layer(inputs))
        return inputs, state

    def unroll(self, inputs: Tensor, state: Tensor, resets: Tensor, part: int = 0) -> Tensor:
        """inputs [T, S, H] -> outputs [T, S, H]."""
        return self.step(inputs, state)[0]

    def stepper(self, agents: int) -> FeedForwardStepper:
        """The step for the rollout of `agents` agents."""
        return FeedForwardStepper(self, agents)

    def step_weights(self) -> list[tuple[Tensor, Tensor]]:
        """Weight, transposed, and bias of each layer."""
        return [(layer.weight.t(), layer.bias) for layer in self.stack if isinstance(layer, nn.Linear)]


class FeedForwardStepper:
    """The layers with their buffers made once."""

    def __init__(self, core: FeedForward, agents: int) -> None:
        self._empty = torch.zeros(0, core.parts, agents, core.hidden)
        self._outputs = [torch.zeros(agents, core.hidden) for _ in core.stack]

    def state(self) -> Tensor:
        """Nothing: [0, 1, agents, hidden]."""
        return self._empty

    def set_state(self, state: Tensor) -> None:
        """There is nothing to continue from."""

    def forget(self, ended: Tensor) -> None:
        """There is nothing to forget."""

    def step(self, inputs: Tensor, weights: list[tuple[Tensor, Tensor]], keep: bool) -> Tensor:
        """inputs [agents, hidden] -> output [agents, hidden]."""
        for output, (weight, bias) in zip(self._outputs, weights, strict=True):
            torch.addmm(bias, inputs, weight, out=output)
            inputs = output.relu_()
        return inputs
