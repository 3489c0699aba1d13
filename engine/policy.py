"""The policy: an encoder, a core that may remember, and one linear layer that holds the action logits and the value."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.device_columns import ColumnKernels, DeviceEncoder, column_kernels
from engine.device_experience import ExperienceKernels, experience_kernels
from engine.device_heads import DeviceHeads
from engine.device_policy import PolicyStep, policy_step
from engine.device_recurrence import recurrence
from engine.device_scan import lstm_scans
from engine.device_unroll import product_type
from engine.feedforward import FeedForward
from engine.lstm import LSTM
from engine.mingru import MinGRU

Core = LSTM | MinGRU | FeedForward
CORES: dict[str, type[Core]] = {"lstm": LSTM, "mingru": MinGRU, "none": FeedForward}


class Policy(nn.Module):
    """Actor and critic in one network for flat observations and one discrete action.

    The recurrent state is one tensor [layers, parts, agents, hidden] (an LSTM has two parts, h and c, a MinGRU one;
    no memory: zero layers), so that storing, gathering and checkpointing need to know nothing about the core.
    """

    def __init__(
        self, observation_size: int, actions: int, *, core: str = "lstm", hidden: int = 128, layers: int = 1
    ) -> None:
        super().__init__()
        self.observation_size, self.actions, self.hidden = observation_size, actions, hidden
        self.kind, self.layers = core, layers
        self.encoder = nn.Linear(observation_size, hidden)
        self.core: Core = CORES[core](hidden, layers)
        self.heads = nn.Linear(hidden, actions + 1)
        self.kernels: ExperienceKernels | None = None
        """What makes experience of this policy's on a GPU, where there are kernels for it."""
        self.whole_step: PolicyStep | None = None
        """What takes the rollout a step there, where its products may be rounded."""
        self.columns: ColumnKernels | None = None
        """What sums the gradients of biases there."""

    def initialize(self, generator: torch.Generator) -> None:
        """Orthogonal weights and zero biases; small action logits, so that the first policy is close to uniform."""
        for name, parameter in self.named_parameters():
            if parameter.ndim < 2:
                nn.init.zeros_(parameter)
            elif name.startswith("heads"):
                nn.init.orthogonal_(parameter[: self.actions], gain=0.01, generator=generator)
                nn.init.orthogonal_(parameter[self.actions :], gain=1.0, generator=generator)
            else:
                nn.init.orthogonal_(
                    parameter, gain=self.core.gain if name.startswith("core") else 2**0.5, generator=generator
                )

    def use_fused(
        self, fused: bool, warn: Callable[[str], None] = lambda text: None, products: torch.dtype = torch.float32
    ) -> None:
        """Fused kernels where the parameters are, or plain torch operations everywhere.

        `products` is the type of the matrix products that it learns with. `warn` hears why a GPU has no kernels; torch
        operations then do their work there.
        """
        self.core.fused = fused
        device = self.encoder.weight.device
        on_gpu = fused and device.type == "cuda"
        self.kernels = experience_kernels(device, warn) if on_gpu else None
        self.columns = column_kernels(device, warn) if on_gpu else None
        if not isinstance(self.core, FeedForward):
            self.core.kernels = recurrence(device, warn) if on_gpu else None
        if isinstance(self.core, LSTM):
            self.core.scans = lstm_scans(device, self.hidden, products, warn) if self.core.kernels else {}
        self.whole_step = None
        if self.kernels is not None and torch.backends.cuda.matmul.allow_tf32:
            parameters = [each for part in (self.encoder, self.heads, self.core) for each in part.parameters()]
            self.whole_step = policy_step(device, parameters, self.layers, self.kind, warn)
        if isinstance(self.core, MinGRU):
            self.core.columns = self.columns

    def initial_state(self, agents: int, device: torch.device | str = "cpu") -> Tensor:
        """The state every episode starts from: zeros [layers, parts, agents, hidden]."""
        return torch.zeros(self.core.layers, self.core.parts, agents, self.hidden, device=device)

    def step(self, observations: Tensor, state: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One step for [N, D] observations: logits [N, A], values [N] and the next state."""
        encoded = functional.relu(self.encoder(observations))
        output, following = self.core.step(encoded, state)
        heads = self._heads(output)
        return heads[:, : self.actions], heads[:, self.actions], following

    def unroll(self, observations: Tensor, state: Tensor, resets: Tensor, part: int = 0) -> tuple[Tensor, Tensor]:
        """Logits [T, S, A] and values [T, S] of S segments of T steps.

        observations [T, S, D]; state [layers, parts, S, hidden] before the first step; resets uint8 [T, S]: 1 where an
        episode starts, row 0 is taken as zero because `state` accounts for it. `part` names the worker that calls.
        """
        steps, segments, _ = observations.shape
        encoded = self._encode(observations.view(steps * segments, -1))
        output = self.core.unroll(encoded.view(steps, segments, self.hidden), state, resets, part)
        # In float32 under autocast, too: what is learned from are differences of logits and of values, and near 50 two
        # neighbours in bfloat16 are 0.25 apart.
        with torch.autocast(output.device.type, enabled=False):
            heads = self._heads(output.reshape(steps * segments, self.hidden).float())
        logits, values = torch.split(heads.view(steps, segments, -1), [self.actions, 1], dim=-1)
        return logits, values.squeeze(-1)

    def _encode(self, observations: Tensor) -> Tensor:
        """The first layer for observations [N, D], with gradients: [N, hidden]."""
        if self.columns is None or product_type(observations) != torch.float32:
            return functional.relu_(self.encoder(observations))
        weights = self.encoder.weight, self.encoder.bias
        encoded: Tensor = DeviceEncoder.apply(observations, *weights, self.columns)  # type: ignore[no-untyped-call]
        return encoded

    def _heads(self, output: Tensor) -> Tensor:
        """The last layer for outputs [N, hidden] of the core: logits and value [N, A + 1]."""
        if self.kernels is None:
            heads: Tensor = self.heads(output)
        else:
            weights = self.heads.weight, self.heads.bias
            heads = DeviceHeads.apply(output, *weights, self.kernels, self.columns)  # type: ignore[no-untyped-call]
        return heads

    def parameter_count(self) -> int:
        """Number of trainable numbers."""
        return sum(parameter.numel() for parameter in self.parameters())

    def forward_flops(self) -> int:
        """Floating-point operations of one step for one agent, matrix products only (a multiply and an add are two)."""
        return 2 * sum(parameter.numel() for parameter in self.parameters() if parameter.ndim == 2)

    def sample_flops(self) -> int:
        """Floating-point operations to train on one sample once: forward, and backward without the gradient that the
        observations do not need."""
        return 3 * self.forward_flops() - 2 * self.encoder.weight.numel()
