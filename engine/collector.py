"""Collects one horizon of experience from the environments with the present policy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

import c_envs
from engine import _kernels
from engine.crossing import to_host
from engine.device_environments import DeviceBatch
from engine.guard import CollectionFault, inspect_rollout, rollout_figures
from engine.parallel import Workers, split
from engine.phases import PhaseTimer, Timer
from engine.policy import Policy
from engine.rollout import RolloutBuffer

Gate = Callable[[Timer], None]


class CollectionAbandoned(Exception):
    """Raised by a gate to give up the horizon under way."""


@dataclass(slots=True)
class Watch:
    """Which environment a front end looks at, and the bytes of its state before each step of the horizon."""

    environment: int | None = None
    states: list[bytes] = field(default_factory=list)


def draw_actions(logits: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """Actions [N] drawn from logits [N, A] by inverse CDF with numbers [N] in [0, 1), and their log-probabilities."""
    logs = torch.log_softmax(logits, dim=-1)
    cumulative = logs.exp().cumsum(-1)
    action = (cumulative[:, :-1] <= uniform.unsqueeze(-1) * cumulative[:, -1:]).sum(-1)
    return action, logs.gather(-1, action.unsqueeze(-1)).squeeze(-1)


class Collector:
    """Steps all environments T times, on any device, with plain torch operations.

    The environments write into pinned host memory where the buffer is on a GPU, and into the buffer itself otherwise.
    """

    def __init__(
        self, batch: c_envs.Batch | DeviceBatch, policy: Policy, buffer: RolloutBuffer, generator: torch.Generator
    ) -> None:
        self.batch, self.policy, self.buffer, self.generator = batch, policy, buffer, generator
        self.watch = Watch()
        self.fault: CollectionFault | None = None
        """What is not finite of the last horizon."""
        self.device = buffer.observations.device
        self._bind()

    def _bind(self) -> None:
        """Gives the batch the tensors that it plays into."""
        self._play_into(None if self.device.type == "cpu" else partial(torch.zeros, pin_memory=True))

    def _play_into(self, make: Callable[..., Tensor] | None) -> None:
        """Has the batch play into zeros of the host's that `make(*shape, dtype=...)` makes, or into the buffer."""
        buffer = self.buffer
        self.on_host = make is None
        self.host = {
            name: tensor if make is None else make(*tensor.shape, dtype=tensor.dtype)
            for name, tensor in (
                ("observations", buffer.observations),
                ("actions", buffer.actions),
                ("rewards", buffer.rewards),
                ("terminals", buffer.terminals),
                ("truncations", buffer.truncations),
                ("masks", buffer.live),
            )
        }
        self.final_observations = (make or torch.zeros)(
            buffer.agents, self.policy.observation_size, dtype=torch.float32
        )
        bound = {**self.host, "final_observations": self.final_observations}
        views: dict[str, Any] = {name: tensor.numpy() for name, tensor in bound.items()}
        self.batch.bind(**views)

    def reset(self) -> None:
        """Starts every environment afresh, with empty recurrent states."""
        self.batch.reset()
        self.set_state(torch.zeros_like(self.buffer.state))

    @property
    def rewinds(self) -> bool:
        """`rewind` can be called: the environments' states are on the host."""
        return isinstance(self.batch, c_envs.Batch)

    def rewind(self) -> None:
        """Back to the beginning of a horizon that was given up, as though nothing of it had been collected."""
        for index, state in enumerate(self.buffer.environments.numpy()):
            self.batch.set_state(index, state.tobytes())
        self.batch.statistics()  # Episodes that have ended meanwhile will end again.
        self.set_state(self.buffer.state.clone())
        self.resume_observations()

    def state(self) -> Tensor:
        """Recurrent state [layers, parts, N, hidden] that the next step starts from."""
        return self._state

    def set_state(self, state: Tensor) -> None:
        """Continues from a recurrent state."""
        self._state = state.to(self.device)

    def forget(self, agents: Tensor) -> None:
        """Empties the recurrent state of some agents, a bool [N]."""
        state = self.state().clone()
        state[:, :, agents] = 0
        self.set_state(state)

    @torch.no_grad()
    def collect(
        self, timer: PhaseTimer, gate: Gate, reward_clamp: float, meanwhile: Callable[[], None] = lambda: None
    ) -> None:
        """Fills the buffer with the next T steps of every agent.

        `meanwhile` is called once, when all that is left is to wait for the device: the horizon is not given up any
        more, and nothing of it is known yet.
        """
        self._begin()
        self._collect(timer, gate)
        if not self.on_host:
            for name in ("rewards", "terminals", "truncations"):
                getattr(self.buffer, name).copy_(self.host[name], non_blocking=True)
            self.buffer.live.copy_(self.host["masks"], non_blocking=True)
        findings = (rollout_figures(self.buffer), self.buffer.live.all())
        meanwhile()
        figures, all_live = to_host(findings)
        self.fault = inspect_rollout(self.buffer, float(figures.sum()), self.buffer.agents // self.batch.environments)
        self.buffer.finish(reward_clamp)
        self.buffer.mask(all_live=bool(all_live))
        timer.lap("collect/store")

    def _begin(self) -> None:
        self.watch.states.clear()
        self.host["observations"][0].copy_(self.host["observations"][self.buffer.horizon])
        self.buffer.final_values.zero_()
        self.buffer.state.copy_(self.state())
        self.buffer.environments = self._environment_states()

    def _environment_states(self) -> Tensor:
        """The states of all environments, uint8 [E, bytes] on the host."""
        return torch.frombuffer(bytearray(self.batch.states()), dtype=torch.uint8).view(self.batch.environments, -1)

    def crossing_bytes(self) -> int:
        """Bytes that a horizon copies between host and device."""
        return 0 if self.on_host else sum(tensor.nbytes for tensor in self.host.values())

    def resume_observations(self) -> None:
        """Writes the observation that the next horizon starts with, after the environments were set."""
        self.batch.observe(self.buffer.horizon)

    def _collect(self, timer: PhaseTimer, gate: Gate) -> None:
        buffer, host = self.buffer, self.host
        state = self._state
        uniform = torch.rand(buffer.horizon, buffer.agents, generator=self.generator, device=self.device)
        timer.lap("collect/store")
        for t in range(buffer.horizon):
            gate(timer)
            if not self.on_host:
                buffer.observations[t].copy_(host["observations"][t], non_blocking=True)
            logits, value, state = self.policy.step(buffer.observations[t], state)
            self._choose(t, logits, value, uniform[t])
            if not self.on_host:
                host["actions"][t].copy_(buffer.actions[t])
            timer.lap("collect/policy")
            self._remember(0, buffer.agents)
            self.batch.step(t)
            timer.lap("collect/env")
            self._value_of_last_observations(t, slice(0, buffer.agents), state)
            ended = torch.maximum(host["terminals"][t], host["truncations"][t])
            if bool(ended.any()):
                keep = (1 - ended).to(self.device, torch.float32)
                state = state * keep[None, None, :, None]
        if not self.on_host:
            buffer.observations[buffer.horizon].copy_(host["observations"][buffer.horizon], non_blocking=True)
        buffer.bootstrap.copy_(self.policy.step(buffer.observations[buffer.horizon], state)[1])
        self._state = state
        timer.lap("collect/policy")

    def _choose(self, t: int, logits: Tensor, value: Tensor, uniform: Tensor) -> None:
        """Draws actions from logits [N, A] with numbers [N] in [0, 1); stores them and values [N]."""
        buffer, kernels = self.buffer, self.policy.kernels
        if kernels is not None:
            kernels.choose_actions(logits, value, uniform, buffer.actions[t], buffer.logprobs[t], buffer.values[t])
        else:
            buffer.values[t] = value
            buffer.actions[t], buffer.logprobs[t] = draw_actions(logits, uniform)

    def _remember(self, first: int, stop: int) -> None:
        watched = self.watch.environment
        if watched is not None:
            agents = self.buffer.agents // self.batch.environments
            if first <= watched * agents < stop:
                self.watch.states.append(self.batch.state(watched))

    def _value_of_last_observations(self, t: int, rows: slice, state: Tensor) -> None:
        """Where a time limit cut an episode: the value of the observation it was cut at. `state` [.., rows, hidden] is
        the recurrent state after step t."""
        cut = self.host["truncations"][t, rows].numpy().nonzero()[0]
        if len(cut):
            index = torch.from_numpy(cut)
            observations = self.final_observations[rows][index].to(self.device)
            value = self.policy.step(observations, state[:, :, index.to(self.device)])[1]
            # An infinite observation can end as a finite value (relu of -inf is 0), and then nobody would find it.
            value = value.masked_fill(~torch.isfinite(observations).all(-1), torch.nan)
            self.buffer.final_values[t, rows][index.to(self.device)] = value


class FusedCollector(Collector):
    """The same on the CPU, fast: every worker takes its own agents through the whole horizon, in place.

    A step is one product for the encoder, one for each LSTM layer over [input | h], one for both heads, and the C
    kernels between them; all buffers are made once. It computes what `Collector` does (tests/engine/test_collector.py).
    """

    def __init__(
        self, batch: c_envs.Batch, policy: Policy, buffer: RolloutBuffer, generator: torch.Generator, workers: Workers
    ) -> None:
        self.workers = workers
        agents = buffer.agents // batch.environments
        self.parts = [_Part(policy, owned, agents) for owned in split(batch.environments, workers.count)]
        self.timers = [PhaseTimer() for _ in self.parts]
        super().__init__(batch, policy, buffer, generator)

    def state(self) -> Tensor:
        """Recurrent state [layers, parts, N, hidden] that the next step starts from."""
        return torch.cat([part.stepper.state() for part in self.parts], dim=2)

    def set_state(self, state: Tensor) -> None:
        """Continues from a recurrent state."""
        for part in self.parts:
            part.stepper.set_state(state[:, :, part.rows])

    def _collect(self, timer: PhaseTimer, gate: Gate) -> None:
        uniform = torch.rand(self.buffer.horizon, self.buffer.agents, generator=self.generator)
        weights = _Weights(self.policy)
        timer.lap("collect/store")
        self.workers.run(lambda index: self._run(index, weights, uniform, gate))
        timer.absorb(self.timers)

    @torch.no_grad()
    def _run(self, index: int, weights: _Weights, uniforms: Tensor, gate: Gate) -> None:
        part, timer, buffer = self.parts[index], self.timers[index], self.buffer
        timer.start()
        rows, environments = part.rows, part.environments
        count = environments.stop - environments.start
        observations = buffer.observations[:, rows]
        actions, logprobs, values = (t.numpy()[:, rows] for t in (buffer.actions, buffer.logprobs, buffer.values))
        terminals, truncations = buffer.terminals.numpy()[:, rows], buffer.truncations.numpy()[:, rows]
        uniform, done = uniforms.numpy()[:, rows], part.done
        for t in range(buffer.horizon):
            gate(timer)
            part.step(observations[t], weights)
            _kernels.sample_actions(part.heads_view, uniform[t], actions[t], logprobs[t], values[t])
            timer.lap("collect/policy")
            self._remember(rows.start, rows.stop)
            self.batch.step(t, environments.start, count)
            timer.lap("collect/env")
            if truncations[t].any():
                self._value_of_last_observations(t, rows, part.stepper.state())
            np.bitwise_or(terminals[t], truncations[t], out=done)
            part.forget(done)
            timer.lap("collect/store")
        part.step(observations[buffer.horizon], weights, keep=False)
        buffer.bootstrap[rows] = part.heads[:, -1]
        timer.lap("collect/policy")


class _Weights:
    """The policy's weights as the fused step multiplies with them, made once a horizon."""

    def __init__(self, policy: Policy) -> None:
        self.encoder, self.encoder_bias = policy.encoder.weight.t(), policy.encoder.bias
        self.core = policy.core.step_weights()
        self.heads, self.heads_bias = policy.heads.weight.t(), policy.heads.bias


class _Part:
    """One worker's agents: their recurrent state and the buffers of a step."""

    def __init__(self, policy: Policy, environments: slice, agents_per_environment: int) -> None:
        self.environments = environments
        self.rows = slice(environments.start * agents_per_environment, environments.stop * agents_per_environment)
        count = self.rows.stop - self.rows.start
        self.stepper = policy.core.stepper(count)
        self.encoded = torch.zeros(count, policy.hidden)
        self.heads = torch.zeros(count, policy.actions + 1)
        self.done = np.zeros(count, dtype=np.uint8)
        self.heads_view = self.heads.numpy()

    def forget(self, done: np.ndarray) -> None:
        """Empties the state of the agents whose episode has ended."""
        ended = done.nonzero()[0]
        if len(ended):
            self.stepper.forget(torch.from_numpy(ended))

    def step(self, observations: Tensor, weights: _Weights, keep: bool = True) -> None:
        """Leaves logits and value in `heads`; moves the state on by a step unless `keep` is False."""
        torch.addmm(weights.encoder_bias, observations, weights.encoder, out=self.encoded)
        output = self.stepper.step(self.encoded.relu_(), weights.core, keep)
        torch.addmm(weights.heads_bias, output, weights.heads, out=self.heads)
