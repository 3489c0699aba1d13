"""Collects a horizon where the environments and the network are on one device: nothing crosses to the host."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from engine.collector import Collector, Gate
from engine.crossing import Crossing
from engine.cut_episodes import note_cuts, steps_between, value_cuts
from engine.device_environments import DeviceBatch
from engine.device_graph import GraphedCall
from engine.device_policy import PolicyStep
from engine.guard import inspect_rollout, rollout_figures
from engine.phases import PhaseTimer
from engine.policy import Policy
from engine.replica import Replica
from engine.rollout import RolloutBuffer


class DeviceCollector(Collector):
    """What `Collector` does, as one CUDA graph from the first step of the horizon to the last.

    A graph cannot ask whether an episode ended, so what `Collector` does where one did is done everywhere and kept
    where one did, and the values of last observations are computed as seldom as can be (engine/cut_episodes.py).

    `graphs` False launches the same operations one by one.
    """

    def __init__(
        self,
        batch: DeviceBatch,
        policy: Policy,
        buffer: RolloutBuffer,
        generator: torch.Generator,
        warn: Callable[[str], None] = lambda text: None,
        *,
        graphs: bool = True,
    ) -> None:
        device = buffer.observations.device
        self._state = torch.zeros_like(buffer.state)
        self._uniform = torch.zeros(buffer.horizon, buffer.agents, device=device)
        self._cut_state = torch.zeros_like(buffer.state)
        self._cut_at = torch.full((buffer.agents,), buffer.horizon, dtype=torch.int64, device=device)
        self._environments = torch.zeros(
            batch.environments, batch.spec.state_bytes, dtype=torch.uint8, pin_memory=device.type == "cuda"
        )
        self._states_before = torch.zeros_like(self._environments, device=device)
        self._reward_clamp = torch.full((1,), math.inf, device=device)
        self._clamped_to = math.inf
        """What the host has written there."""
        self._findings = torch.zeros(2, device=device)
        """Of a horizon: the sum of its `rollout_figures`, and whether all agents acted in all steps."""
        self._crossing = Crossing(device)
        self._replica: Replica | None = None
        self._device_batch = batch
        self.graph = GraphedCall(self._horizon, "rollout", device, warn, wanted=graphs)
        super().__init__(batch, policy, buffer, generator)

    def _bind(self) -> None:
        buffer = self.buffer
        self.on_host = True  # as for the CPU's collectors: the environments write into the buffer itself
        self.host = {"observations": buffer.observations}
        self.final_observations = torch.zeros_like(buffer.observations[0])
        self.batch.bind(
            observations=buffer.observations,
            actions=buffer.actions,
            rewards=buffer.rewards,
            terminals=buffer.terminals,
            truncations=buffer.truncations,
            masks=buffer.live,
            final_observations=self.final_observations,
        )

    def state(self) -> Tensor:
        """Recurrent state [layers, parts, N, hidden] that the next step starts from."""
        return self._state.clone()

    def set_state(self, state: Tensor) -> None:
        """Continues from a recurrent state."""
        self._state.copy_(state)

    def crossing_bytes(self) -> int:
        """Bytes that a horizon copies between host and device: the environments' states, for looking at segments."""
        return self._environments.nbytes

    @torch.no_grad()
    def collect(
        self, timer: PhaseTimer, gate: Gate, reward_clamp: float, meanwhile: Callable[[], None] = lambda: None
    ) -> None:
        """Fills the buffer with the next T steps of every agent. `meanwhile` has the time that they take the device."""
        self.watch.states.clear()
        clamp = reward_clamp or math.inf
        if clamp != self._clamped_to:
            self._reward_clamp.fill_(clamp)
            self._clamped_to = clamp
        self._collect(timer, gate)
        meanwhile()
        figures, all_live = self._crossing.arrived().tolist()
        self.fault = inspect_rollout(self.buffer, figures, self.buffer.agents // self.batch.environments)
        if not math.isfinite(figures):
            self.buffer.finish(clamp)  # what was left alone because it was to be looked at
        self.buffer.mask(all_live=bool(all_live))
        timer.lap("collect/store")

    def _collect(self, timer: PhaseTimer, gate: Gate) -> None:
        torch.rand(self._uniform.shape, generator=self.generator, out=self._uniform)
        gate(timer)
        timer.lap("collect/store")
        self.graph()
        timer.lap("collect/rollout")
        self._environments.copy_(self._states_before, non_blocking=True)
        self._crossing.send(self._findings)
        self.buffer.environments = self._environments
        if self.watch.environment is not None:
            if self._replica is None:
                self._replica = Replica(self._device_batch)
            self.watch.states.extend(self._replica.states(self.watch.environment, self.buffer))

    def _horizon(self) -> None:
        buffer, state = self.buffer, self._state
        buffer.observations[0].copy_(buffer.observations[buffer.horizon])
        buffer.final_values.zero_()
        buffer.state.copy_(state)
        self._device_batch.copy_states(self._states_before)
        between_cuts = steps_between(self.batch.spec.truncation_steps, buffer.horizon)
        whole, handled = self.policy.whole_step, True
        if whole is not None:
            whole.pack()
        for t in range(buffer.horizon):
            if whole is None:
                state = self._act(t, state)
            else:
                self._act_at_once(whole, t, handled, between_cuts > 0)
            self.batch.step(t)
            due = t + 1 == buffer.horizon or (between_cuts > 0 and (t + 1) % between_cuts == 0)
            handled = whole is None or due
            if handled:
                state = self._end_step(t, state, between_cuts > 0)
            if due and between_cuts:
                self._value_cuts()
        buffer.bootstrap.copy_(self.policy.step(buffer.observations[buffer.horizon], state)[1])
        if state is not self._state:
            self._state.copy_(state)
        self._end_horizon()

    def _end_horizon(self) -> None:
        """What the host is told of a horizon, and what follows from it. Where something is not finite, rewards stay as
        they are until the host has looked at them."""
        buffer, figures = self.buffer, rollout_figures(self.buffer).sum(0, keepdim=True)
        torch.cat((figures, buffer.live.flatten().all(0, keepdim=True).float()), out=self._findings)
        buffer.finish(self._reward_clamp.masked_fill(~figures.isfinite(), math.inf))

    def _act(self, t: int, state: Tensor) -> Tensor:
        """The actions of step t; the recurrent state after it."""
        logits, value, state = self.policy.step(self.buffer.observations[t], state)
        self._choose(t, logits, value, self._uniform[t])
        return state

    def _act_at_once(self, whole: PolicyStep, t: int, handled: bool, cuts: bool) -> None:
        """The same by one kernel, which moves the state on in place, after what step t - 1 ended, unless `handled`."""
        buffer = self.buffer
        ends = {} if handled else {"ended": buffer.terminals[t - 1], "cut": buffer.truncations[t - 1]}
        if cuts and not handled:
            ends |= {"cut_state": self._cut_state, "cut_at": self._cut_at}
        written = buffer.actions[t], buffer.logprobs[t], buffer.values[t]
        whole.act(buffer.observations[t], self._state, self._uniform[t], *written, step=t, **ends)

    def _end_step(self, t: int, state: Tensor, cuts: bool) -> Tensor:
        """The recurrent state after step t, which is kept where a time limit cut the episode and emptied where it has
        ended; `state` itself may be overwritten."""
        terminals, truncations, kernels = self.buffer.terminals[t], self.buffer.truncations[t], self.policy.kernels
        if kernels is not None:
            places = (self._cut_state, self._cut_at) if cuts else (None, None)
            kernels.end_step(t, terminals, truncations, state, *places)
            return state
        if cuts:
            cut = truncations.bool()
            # Not torch.where(cut, t, ...): it would copy the number from the host, which no graph can hold.
            self._cut_at.masked_fill_(cut, t)
            note_cuts(cut, state, self._cut_state)
        ended = torch.maximum(terminals, truncations)
        return state * (1 - ended).to(torch.float32)[None, None, :, None]

    def _value_cuts(self) -> None:
        """Values of the observations that episodes were cut at since the last call, each to the step of its end."""
        value_cuts(self.policy, self.final_observations, self._cut_state, self._cut_at, self.buffer.final_values)
