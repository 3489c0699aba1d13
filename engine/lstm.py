"""The LSTM core, whose state is reset inside a segment where an episode ends.

It has two implementations of one function. The plain one is written with torch operations and runs on every
device; the fused one computes each step with one matrix product and one pass of a kernel, and its gradient
likewise: here on the CPU, in engine/device_unroll.py on a GPU.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine import _kernels
from engine.device_recurrence import Recurrence
from engine.device_scan import LstmScan
from engine.device_unroll import DeviceLSTM, lstm_recurrence, step_kernels, unroll_kernels


class LSTM(nn.Module):
    """Stacked long short-term memory (Hochreiter and Schmidhuber 1997).

    Gate order i, f, g, o, parameter names and shapes as in torch.nn.LSTM.
    """

    parts = 2
    gain = 1.0

    def __init__(self, hidden: int, layers: int = 1) -> None:
        super().__init__()
        self.hidden, self.layers = hidden, layers
        self.fused = True
        """Use the C kernels where the tensors are on the CPU, and `kernels`; False is the plain path everywhere."""
        self.kernels: Recurrence | None = None
        """Those of the GPU that the parameters are on, once `Policy.use_fused` has made them."""
        self.scans: Mapping[torch.dtype, LstmScan] = {}
        """That which takes a whole segment at once there, by the type of the products that it makes."""
        for layer in range(layers):
            self.register_parameter(f"weight_ih_l{layer}", nn.Parameter(torch.empty(4 * hidden, hidden)))
            self.register_parameter(f"weight_hh_l{layer}", nn.Parameter(torch.empty(4 * hidden, hidden)))
            self.register_parameter(f"bias_ih_l{layer}", nn.Parameter(torch.empty(4 * hidden)))
            self.register_parameter(f"bias_hh_l{layer}", nn.Parameter(torch.empty(4 * hidden)))
        self._workspaces: dict[tuple[int, int, int, int], Workspace] = {}

    def weights(self, layer: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Input weight [4H, H], recurrent weight [4H, H] and their biases [4H] of a layer."""
        return (
            self.get_parameter(f"weight_ih_l{layer}"),
            self.get_parameter(f"weight_hh_l{layer}"),
            self.get_parameter(f"bias_ih_l{layer}"),
            self.get_parameter(f"bias_hh_l{layer}"),
        )

    def step(self, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """One step: inputs [N, H], state [L, 2, N, H] -> output [N, H], next state."""
        kernels = step_kernels(self, inputs)
        if kernels is not None:
            return self._kernel_step(inputs, state, kernels)
        following = []
        for layer in range(self.layers):
            inputs, cell = _cell(inputs, state[layer, 0], state[layer, 1], *self.weights(layer))
            following.append(torch.stack((inputs, cell)))
        return inputs, torch.stack(following)

    def _kernel_step(self, inputs: Tensor, state: Tensor, kernels: Recurrence) -> tuple[Tensor, Tensor]:
        following = torch.empty(state.shape, device=state.device)
        for layer in range(self.layers):
            w_ih, w_hh, b_ih, b_hh = self.weights(layer)
            gates = torch.addmm(b_ih, inputs, w_ih.t()).addmm_(state[layer, 0], w_hh.t())
            kernels.lstm_forward(
                gates, state[layer, 1].contiguous(), following[layer, 1], following[layer, 0], bias=b_hh
            )
            inputs = following[layer, 0]
        return inputs, following

    def unroll(self, inputs: Tensor, state: Tensor, resets: Tensor, part: int = 0) -> Tensor:
        """T steps: inputs [T, S, H], state [L, 2, S, H], resets uint8 [T, S] -> outputs [T, S, H]."""
        for layer in range(self.layers):
            kernels = unroll_kernels(self, inputs)
            if kernels is not None:
                recurrence = lstm_recurrence(kernels, self.scans, inputs)
                inputs = DeviceLSTM.apply(  # type: ignore[no-untyped-call]
                    inputs, *self.weights(layer), state[layer], resets, recurrence
                )
            elif self.fused and inputs.device.type == "cpu" and inputs.dtype == torch.float32:
                workspace = self._workspace(part, layer, inputs.shape[0], inputs.shape[1])
                inputs = FusedUnroll.apply(  # type: ignore[no-untyped-call]
                    inputs, *self.weights(layer), state[layer], resets, workspace
                )
            else:
                inputs = self._plain(inputs, state[layer], resets, layer)
        return inputs

    def _plain(self, inputs: Tensor, state: Tensor, resets: Tensor, layer: int) -> Tensor:
        hidden, cell = state[0], state[1]
        weights = self.weights(layer)
        keep = 1.0 - resets.to(inputs.dtype).unsqueeze(-1)
        outputs = []
        for t in range(inputs.shape[0]):
            if t > 0:
                hidden, cell = hidden * keep[t], cell * keep[t]
            hidden, cell = _cell(inputs[t], hidden, cell, *weights)
            outputs.append(hidden)
        return torch.stack(outputs)

    def stepper(self, agents: int) -> LSTMStepper:
        """The fused step for the rollout of `agents` agents."""
        return LSTMStepper(self, agents)

    def step_weights(self) -> list[tuple[Tensor, Tensor]]:
        """For each layer [w_ih | w_hh] transposed and the sum of the biases, as the stepper multiplies with them."""
        weights = []
        for layer in range(self.layers):
            w_ih, w_hh, b_ih, b_hh = self.weights(layer)
            weights.append((torch.cat((w_ih, w_hh), dim=1).t(), b_ih + b_hh))
        return weights

    def _workspace(self, part: int, layer: int, steps: int, segments: int) -> Workspace:
        key = (part, layer, steps, segments)
        found = self._workspaces.get(key)
        if found is None:
            # A minibatch is cut into chunks of two sizes at most: memory of other sizes would only pile up.
            for old in [other for other in self._workspaces if other[:2] == key[:2]][:-1]:
                del self._workspaces[old]
            found = self._workspaces[key] = Workspace(steps, segments, self.hidden)
        return found


def _cell(
    inputs: Tensor, hidden: Tensor, cell: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor
) -> tuple[Tensor, Tensor]:
    gates = functional.linear(inputs, w_ih, b_ih) + functional.linear(hidden, w_hh, b_hh)
    i, f, g, o = gates.chunk(4, dim=-1)
    cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(cell), cell


class Workspace:
    """Buffers of one fused unroll, used again by the next: 9 * hidden floats a sample.

    `joined` holds [input | h] of each step, so that a step is one product with [w_ih | w_hh]; h there is zero where the
    step starts an episode, while `outputs` keeps the true one for the heads. On the way back `gates` come to hold their
    gradients, and `outputs` that of the inputs.
    """

    def __init__(self, steps: int, segments: int, hidden: int) -> None:
        self.joined = torch.empty(steps + 1, segments, 2 * hidden)
        self.gates = torch.empty(steps, segments, 4 * hidden)
        self.cells = torch.empty(steps + 1, segments, hidden)
        self.outputs = torch.empty(steps, segments, hidden)
        self.d_hidden = torch.empty(segments, hidden)
        self.d_cell = torch.empty(segments, hidden)
        self.gate_views = list(self.gates.numpy())
        self.cell_views = list(self.cells.numpy())
        self.output_views = list(self.outputs.numpy())
        self.carried_views = [step[:, hidden:] for step in self.joined.numpy()]
        self.d_hidden_view, self.d_cell_view = self.d_hidden.numpy(), self.d_cell.numpy()


class FusedUnroll(torch.autograd.Function):
    """One LSTM layer over T steps on the CPU, with resets; gradients for the inputs, the weights and the biases.

    The gradient stops at the segment's first state, which was recorded by an older policy (truncated backpropagation
    through time). Checked against the plain path in tests/engine/test_lstm.py.
    """

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        w_ih: Tensor,
        w_hh: Tensor,
        b_ih: Tensor,
        b_hh: Tensor,
        state: Tensor,
        resets: Tensor,
        workspace: Workspace,
    ) -> Tensor:
        steps, _, hidden = inputs.shape
        work = workspace
        weight, bias = torch.cat((w_ih, w_hh), dim=1).t(), b_ih + b_hh
        work.joined[:steps, :, :hidden] = inputs
        work.joined[0, :, hidden:] = state[0]
        work.cells[0] = state[1]
        flags = [None, *list(resets.numpy())[1:], None]
        for t in range(steps):
            torch.addmm(bias, work.joined[t], weight, out=work.gates[t])
            _kernels.lstm_forward(
                work.gate_views[t],
                work.cell_views[t],
                flags[t],
                work.cell_views[t + 1],
                work.output_views[t],
                work.carried_views[t + 1],
                flags[t + 1],
            )
        ctx.save_for_backward(w_ih, w_hh)
        ctx.flags, ctx.workspace = flags, work
        return work.outputs.detach()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Backpropagation through time; the gates' gradients overwrite their activations."""
        w_ih, w_hh = ctx.saved_tensors
        work: Workspace = ctx.workspace
        flags = ctx.flags
        d_outputs = gradients[0].contiguous()
        d_output_views = list(d_outputs.numpy())
        steps, segments, hidden = d_outputs.shape
        work.d_hidden.zero_()
        work.d_cell.zero_()
        for t in range(steps - 1, -1, -1):
            _kernels.lstm_backward(
                work.gate_views[t],
                work.cell_views[t],
                flags[t],
                work.cell_views[t + 1],
                d_output_views[t],
                work.d_hidden_view,
                flags[t + 1],
                work.d_cell_view,
            )
            if t > 0:
                torch.mm(work.gates[t], w_hh, out=work.d_hidden)
        d_gates = work.gates.view(steps * segments, 4 * hidden)
        # Nobody needs the outputs any more: what follows this layer has gone back already.
        d_inputs = work.outputs
        torch.mm(d_gates, w_ih, out=d_inputs.view(steps * segments, hidden))
        d_weight = torch.mm(d_gates.t(), work.joined[:steps].view(steps * segments, 2 * hidden))
        d_bias = d_gates.sum(0)
        # A copy: gradients are scaled in place, and one tensor given twice would be scaled twice.
        return d_inputs, d_weight[:, :hidden], d_weight[:, hidden:], d_bias, d_bias.clone(), None, None, None


class LSTMStepper:
    """The fused step of the rollout: one worker's agents, their state and the buffers, all made once (CPU)."""

    def __init__(self, core: LSTM, agents: int) -> None:
        hidden = core.hidden
        self.hidden = hidden
        self.joined = [torch.zeros(agents, 2 * hidden) for _ in range(core.layers)]
        self.cells = [torch.zeros(agents, hidden) for _ in range(core.layers)]
        self.gates, self.output = torch.zeros(agents, 4 * hidden), torch.zeros(agents, hidden)
        self.spare_cell = torch.zeros(agents, hidden)
        # numpy views of what the kernels touch: making them anew in each step would cost as much as a small product.
        self._gates, self._output = self.gates.numpy(), self.output.numpy()
        self._cells = [cell.numpy() for cell in self.cells]
        self._hiddens = [joined[:, hidden:].numpy() for joined in self.joined]
        self._spare = self.spare_cell.numpy(), self._output

    def state(self) -> Tensor:
        """[layers, 2, agents, hidden]"""
        return torch.stack(
            [
                torch.stack((joined[:, self.hidden :], cell))
                for joined, cell in zip(self.joined, self.cells, strict=True)
            ]
        )

    def set_state(self, state: Tensor) -> None:
        """Continues from a state [layers, 2, agents, hidden]."""
        for layer, (joined, cell) in enumerate(zip(self.joined, self.cells, strict=True)):
            joined[:, self.hidden :] = state[layer, 0]
            cell.copy_(state[layer, 1])

    def forget(self, ended: Tensor) -> None:
        """Empties the state of the agents with these indices."""
        for joined, cell in zip(self.joined, self.cells, strict=True):
            joined[:, self.hidden :].index_fill_(0, ended, 0.0)
            cell.index_fill_(0, ended, 0.0)

    def step(self, inputs: Tensor, weights: list[tuple[Tensor, Tensor]], keep: bool) -> Tensor:
        """inputs [agents, hidden] -> output [agents, hidden]; `keep` False leaves the state as it was."""
        for layer, (joined, (weight, bias)) in enumerate(zip(self.joined, weights, strict=True)):
            joined[:, : self.hidden] = inputs
            torch.addmm(bias, joined, weight, out=self.gates)
            cell = self._cells[layer]
            after, carried = (cell, self._hiddens[layer]) if keep else self._spare
            _kernels.lstm_forward(self._gates, cell, None, after, self._output, carried, None)
            inputs = self.output
        return self.output
