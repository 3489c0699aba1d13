"""The MinGRU core: a recurrence without recurrent weights, so that all steps of a segment are computed at once.

    z_t = sigmoid(W_z x_t)      c_t = g(W_c x_t)      h_t = (1 - z_t) * h_{t-1} + z_t * c_t
    y_t = s_t * h_t + (1 - s_t) * x_t                 s_t = sigmoid(W_s x_t)

with g(v) = v + 1/2 for v >= 0 and sigmoid(v) below (Feng et al. 2024, "Were RNNs All We Needed?"); the highway gate s
lets layers be stacked (Srivastava et al. 2015). A reset makes the factor of h_{t-1} zero.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from engine import _kernels
from engine.device_columns import ColumnKernels, DeviceLinear
from engine.device_recurrence import Recurrence
from engine.device_unroll import DeviceMinGRU, product_type, step_kernels, unroll_kernels


class MinGRU(nn.Module):
    """Stacked MinGRU layers with highway gates; per layer one matrix [3 * hidden, hidden] in the order c, z, s."""

    parts = 1
    gain = 1.0

    def __init__(self, hidden: int, layers: int = 1) -> None:
        super().__init__()
        self.hidden, self.layers = hidden, layers
        self.fused = True
        """Use the C kernels where the tensors are on the CPU, and `kernels`; False is the plain path everywhere."""
        self.kernels: Recurrence | None = None
        """Those of the GPU that the parameters are on, once `Policy.use_fused` has made them."""
        self.columns: ColumnKernels | None = None
        """What sums the gradients of its biases there."""
        self.gates = nn.ModuleList(nn.Linear(hidden, 3 * hidden) for _ in range(layers))

    def _gate(self, layer: int, inputs: Tensor) -> Tensor:
        raw: Tensor = self.gates[layer](inputs)
        return raw

    def _gate_with_gradient(self, layer: int, inputs: Tensor) -> Tensor:
        """The same for [T, S, H] in training."""
        if self.columns is None or product_type(inputs) != torch.float32:
            return self._gate(layer, inputs)
        gate, flat = self.gates[layer], inputs.reshape(-1, self.hidden)
        raw: Tensor = DeviceLinear.apply(flat, gate.weight, gate.bias, self.columns)  # type: ignore[no-untyped-call]
        return raw.view(*inputs.shape[:-1], -1)

    def step(self, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """One step: inputs [N, H], state [L, 1, N, H] -> output [N, H], next state."""
        kernels = step_kernels(self, inputs)
        if kernels is not None:
            return self._kernel_step(inputs, state, kernels)
        following = []
        for layer in range(self.layers):
            candidate, update, share = _activate(self._gate(layer, inputs))
            hidden = torch.lerp(state[layer, 0].to(candidate.dtype), candidate, update)
            inputs = torch.lerp(inputs, hidden, share)
            following.append(hidden.unsqueeze(0))
        return inputs, torch.stack(following)

    def _kernel_step(self, inputs: Tensor, state: Tensor, kernels: Recurrence) -> tuple[Tensor, Tensor]:
        following = torch.empty(state.shape, device=state.device)
        for layer in range(self.layers):
            raw, outputs = self._gate(layer, inputs), torch.empty_like(inputs)
            kernels.mingru_forward(
                raw.unsqueeze(0),
                inputs.unsqueeze(0),
                state[layer, 0].contiguous(),
                None,
                following[layer],
                outputs.unsqueeze(0),
            )
            inputs = outputs
        return inputs, following

    def unroll(self, inputs: Tensor, state: Tensor, resets: Tensor, part: int = 0) -> Tensor:
        """T steps: inputs [T, S, H], state [L, 1, S, H], resets uint8 [T, S] -> outputs [T, S, H]."""
        for layer in range(self.layers):
            raw = self._gate_with_gradient(layer, inputs)
            kernels = unroll_kernels(self, inputs)
            if kernels is not None:
                inputs = DeviceMinGRU.apply(  # type: ignore[no-untyped-call]
                    inputs, raw, state[layer, 0], resets, kernels
                )
            elif self.fused and raw.device.type == "cpu" and raw.dtype == torch.float32:
                inputs = FusedScan.apply(inputs, raw, state[layer, 0], resets)  # type: ignore[no-untyped-call]
            else:
                candidate, update, share = _activate(raw)
                keep = 1 - resets.to(raw.dtype).unsqueeze(-1)
                keep = torch.cat((torch.ones_like(keep[:1]), keep[1:]))
                hidden = linear_scan((1 - update) * keep, update * candidate, state[layer, 0].to(raw.dtype))
                inputs = torch.lerp(inputs, hidden, share)
        return inputs

    def stepper(self, agents: int) -> MinGRUStepper:
        """The fused step for the rollout of `agents` agents."""
        return MinGRUStepper(self, agents)

    def step_weights(self) -> list[tuple[Tensor, Tensor]]:
        """Weight, transposed, and bias of each layer."""
        return [(layer.weight.t(), layer.bias) for layer in self.gates if isinstance(layer, nn.Linear)]


def _activate(raw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Candidate, update gate and highway gate from pre-activations [..., 3 * H]."""
    candidate, update, share = raw.chunk(3, dim=-1)
    candidate = torch.where(candidate >= 0, candidate + 0.5, torch.sigmoid(candidate))
    return candidate, torch.sigmoid(update), torch.sigmoid(share)


def linear_scan(factors: Tensor, terms: Tensor, start: Tensor) -> Tensor:
    """h_t = factors_t * h_{t-1} + terms_t for all t, in log2(T) rounds of whole-tensor operations.

    factors, terms [T, S, H]; start [S, H] is h before the first step. After round r each element holds the composition
    of its own step with the 2^r - 1 steps before it (Hillis and Steele 1986), so a factor of zero is no special case.
    """
    terms = torch.cat((torch.addcmul(terms[:1], factors[:1], start.unsqueeze(0)), terms[1:]))
    distance = 1
    while distance < terms.shape[0]:
        joined = torch.addcmul(terms[distance:], factors[distance:], terms[:-distance])
        terms = torch.cat((terms[:distance], joined))
        factors = torch.cat((factors[:distance], factors[distance:] * factors[:-distance]))
        distance *= 2
    return terms


class FusedScan(torch.autograd.Function):
    """Activations, recurrence and highway of one layer in one pass over the segment (CPU); its gradient in another.

    As with the LSTM, the gradient stops at the segment's first state.
    """

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, raw: Tensor, start: Tensor, resets: Tensor) -> Tensor:
        steps, segments, hidden = inputs.shape
        inputs, raw, start = inputs.contiguous(), raw.contiguous(), start.contiguous()
        states, outputs = torch.empty_like(inputs), torch.empty_like(inputs)
        _kernels.mingru_forward(
            raw.view(steps * segments, 3 * hidden).numpy(),
            inputs.view(steps * segments, hidden).numpy(),
            start.numpy(),
            resets.numpy(),
            states.view(steps * segments, hidden).numpy(),
            outputs.view(steps * segments, hidden).numpy(),
        )
        ctx.save_for_backward(inputs, raw, start, states, resets)
        return outputs

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the inputs (their highway share) and of the pre-activations."""
        inputs, raw, start, states, resets = ctx.saved_tensors
        steps, segments, hidden = inputs.shape
        rows = steps * segments
        d_inputs, d_raw = torch.empty_like(inputs), torch.empty_like(raw)
        _kernels.mingru_backward(
            raw.view(rows, 3 * hidden).numpy(),
            inputs.view(rows, hidden).numpy(),
            start.numpy(),
            resets.numpy(),
            states.view(rows, hidden).numpy(),
            gradients[0].contiguous().view(rows, hidden).numpy(),
            d_inputs.view(rows, hidden).numpy(),
            d_raw.view(rows, 3 * hidden).numpy(),
        )
        return d_inputs, d_raw, None, None


class MinGRUStepper:
    """The fused step of the rollout: one worker's agents, their state and the buffers, all made once (CPU)."""

    def __init__(self, core: MinGRU, agents: int) -> None:
        self.states = [torch.zeros(agents, core.hidden) for _ in range(core.layers)]
        self.raw = torch.zeros(agents, 3 * core.hidden)
        self.spare = torch.zeros(agents, core.hidden)
        self.outputs = [torch.zeros(agents, core.hidden) for _ in range(core.layers)]
        self._raw, self._spare = self.raw.numpy(), self.spare.numpy()
        self._states = [state.numpy() for state in self.states]
        self._outputs = [output.numpy() for output in self.outputs]
        self._no_reset = torch.zeros(1, agents, dtype=torch.uint8).numpy()

    def state(self) -> Tensor:
        """[layers, 1, agents, hidden]"""
        return torch.stack(self.states).unsqueeze(1)

    def set_state(self, state: Tensor) -> None:
        """Continues from a state [layers, 1, agents, hidden]."""
        for layer, mine in enumerate(self.states):
            mine.copy_(state[layer, 0])

    def forget(self, ended: Tensor) -> None:
        """Empties the state of the agents with these indices."""
        for state in self.states:
            state.index_fill_(0, ended, 0.0)

    def step(self, inputs: Tensor, weights: list[tuple[Tensor, Tensor]], keep: bool) -> Tensor:
        """inputs [agents, hidden] -> output [agents, hidden]; `keep` False leaves the state as it was."""
        for layer, (weight, bias) in enumerate(weights):
            torch.addmm(bias, inputs, weight, out=self.raw)
            state = self._states[layer]
            after = state if keep else self._spare
            _kernels.mingru_forward(self._raw, inputs.numpy(), state, self._no_reset, after, self._outputs[layer])
            inputs = self.outputs[layer]
        return inputs
