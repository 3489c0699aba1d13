"""Collects a horizon where the network is on a GPU and the environments are on the host, both at work all the time."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from functools import partial

import numpy as np
import torch
from torch import Tensor

import c_envs
from engine.collector import Collector, Gate, draw_actions
from engine.cut_episodes import note_cuts, steps_between, value_cuts
from engine.device_policy import PolicyStep
from engine.lanes import Lane, Lanes, Laps
from engine.parallel import split
from engine.phases import PhaseTimer
from engine.policy import Policy
from engine.rollout import RolloutBuffer

GROUPS = 2
"""Groups where the profile leaves the number open: one is stepped while the other one's actions are computed."""
TIMED_EVERY = 8
"""One step in so many is timed on the device: enough to tell what the host waits for."""

Crossings = list[tuple[Tensor, Tensor]]
"""A source and a target for each step."""

_ENDED, _CUT = 1, 2
"""How the step before ended for an agent: bits of one byte, 0 where its episode goes on."""


class GroupedCollector(Collector):
    """What `Collector` does, with the environments in groups: while the host steps one, the device computes the actions
    of the others.

    Every group has a lane of its own. On it a step is: observations and ends of episodes to the device, policy and
    sampling as one graph, actions to the host. The host waits for the actions of one group, steps its environments,
    queues its next step and turns to the next group; it asks the device nothing else. The graph is the same for all
    steps because it finds its row of the rollout buffer by a counter on the device. Rewards and flags follow once a
    horizon. The random numbers are drawn for all agents at once, so that the number of groups changes nothing.
    """

    def __init__(
        self,
        batch: c_envs.Batch,
        policy: Policy,
        buffer: RolloutBuffer,
        generator: torch.Generator,
        lanes: Lanes,
        groups: int = 0,
    ) -> None:
        device, horizon, agents = buffer.observations.device, buffer.horizon, buffer.agents
        parts = split(batch.environments, min(groups or GROUPS, batch.environments))
        self.lanes = lanes
        self._state = torch.zeros_like(buffer.state)
        self._uniform = torch.zeros(horizon, agents, device=device)
        self._counters = torch.zeros(len(parts), 1, dtype=torch.int64, device=device)
        # Row t + 1 tells how step t ended; row 0 stays zero, because the state that a horizon starts from is emptied.
        self._endings = torch.zeros(horizon + 1, agents, dtype=torch.uint8, device=device)
        self._endings_here = lanes.host_memory(horizon + 1, agents, dtype=torch.uint8)
        self._between_cuts = steps_between(batch.spec.truncation_steps, horizon)
        self._last_observations = torch.zeros_like(buffer.observations[0])
        self._cut_state = torch.zeros_like(buffer.state)
        self._cut_at = torch.full((agents,), horizon, dtype=torch.int64, device=device)
        self.groups = [
            _Group(self, lanes.lane(), part, agents // batch.environments, counter)
            for part, counter in zip(parts, self._counters, strict=True)
        ]
        super().__init__(batch, policy, buffer, generator)
        for group in self.groups:
            group.observations = group.steps(self.host["observations"], buffer.observations)
            group.endings = group.steps(self._endings_here, self._endings)
            group.actions = group.steps(buffer.actions, self.host["actions"])
        self._ends, self._cuts, self._codes = (
            tensor.numpy() for tensor in (self.host["terminals"], self.host["truncations"], self._endings_here)
        )

    def _bind(self) -> None:
        self._play_into(self.lanes.host_memory)

    def state(self) -> Tensor:
        """Recurrent state [layers, parts, N, hidden] that the next step starts from."""
        return self._state.clone()

    def set_state(self, state: Tensor) -> None:
        """Continues from a recurrent state."""
        self._state.copy_(state)

    def crossing_bytes(self) -> int:
        """Bytes that a horizon copies between host and device."""
        valued = sum(self._cuts_due(step) for step in range(self.buffer.horizon + 1))
        return super().crossing_bytes() + self._endings_here[1:].nbytes + valued * self.final_observations.nbytes

    def _collect(self, timer: PhaseTimer, gate: Gate) -> None:
        horizon = self.buffer.horizon
        torch.rand(self._uniform.shape, generator=self.generator, out=self._uniform)
        self._counters.zero_()
        self._cut_at.fill_(horizon)
        if self.policy.whole_step is not None:
            self.policy.whole_step.pack()
        timer.lap("collect/store")
        clock = PhaseTimer()
        clock.start()
        try:
            for group in self.groups:
                group.lane.follow()
                self._queue(group, 0, clock)
            for t in range(horizon):
                gate(clock)
                for group in self.groups:
                    self._await(group, t, clock)
                    self._play(group, t, clock)
                    self._queue(group, t + 1, clock)
        finally:
            # Also where the horizon is given up: until then the device may write to what others go on with.
            for group in self.groups:
                group.lane.mark()
                group.lane.wait()
        clock.lap("collect/wait")
        clock.divide("collect/wait", waited_for(turn for group in self.groups for turn in group.take_turns()))
        timer.absorb([clock])

    def _queue(self, group: _Group, step: int, clock: PhaseTimer) -> None:
        """Gives the lane what leads to the actions of `step`; at the horizon's end to the value that it ends with."""
        rows, lane, last = group.rows, group.lane, step == self.buffer.horizon
        timed, due = self._timed(step), self._cuts_due(step)
        stamp = lane.stamp if timed else _no_stamp
        with lane.queue():
            stamp(None)
            lane.send(*group.observations[step])
            if step:
                lane.send(*group.endings[step])
            if due:
                lane.send(self.final_observations[rows], self._last_observations[rows])
            clock.lap("collect/copy")
            stamp("collect/copy")
            if last:
                group.finish()
            else:
                group.act()
                clock.lap("collect/policy")
                stamp("collect/policy")
                lane.fetch(*group.actions[step])
                stamp("collect/copy")
                lane.mark()
                clock.lap("collect/copy")
            if due:
                group.value_cuts()
            clock.lap("collect/policy")

    def _await(self, group: _Group, t: int, clock: PhaseTimer) -> None:
        """Holds the host until the group's actions of step t have arrived."""
        began = time.perf_counter()
        group.lane.wait()
        if self._timed(t):
            group.waits.append(time.perf_counter() - began)
        clock.lap("collect/wait")

    def _play(self, group: _Group, t: int, clock: PhaseTimer) -> None:
        """Step t of the group's environments."""
        rows, environments = group.rows, group.environments
        self._remember(rows.start, rows.stop)
        self.batch.step(t, environments.start, environments.stop - environments.start)
        codes = self._codes[t + 1, rows]
        np.multiply(self._cuts[t, rows], _CUT, out=codes)
        np.bitwise_or(codes, self._ends[t, rows], out=codes)
        clock.lap("collect/env")

    def _timed(self, step: int) -> bool:
        """Whether the device's time of a step is taken: of some in the middle of things, of one at least."""
        horizon = self.buffer.horizon
        return step < horizon and step % TIMED_EVERY == horizon // 2 % TIMED_EVERY

    def _cuts_due(self, step: int) -> bool:
        """Whether values of last observations are computed with a step; from its end on, an agent may be cut again."""
        between = self._between_cuts
        return between > 0 and step > 0 and (step % between == 0 or step == self.buffer.horizon)

    # What follows is done by the device, in graphs: it asks for no number and knows the step by the group's counter.

    def _act(self, group: _Group) -> None:
        rows, step, buffer = group.rows, group.counter, self.buffer
        if self.policy.whole_step is not None:
            self._act_at_once(group, self.policy.whole_step)
            return
        actions, logprobs, values = buffer.actions[:, rows], buffer.logprobs[:, rows], buffer.values[:, rows]
        observations = _row(buffer.observations, rows, step)
        logits, value, following = self.policy.step(observations, self._state_begun(group))
        if self.policy.kernels is not None:
            uniform = self._uniform[:, rows]
            self.policy.kernels.choose_actions(logits, value, uniform, actions, logprobs, values, step)
        else:
            chosen = draw_actions(logits, _row(self._uniform, rows, step))
            for column, row in zip((actions, logprobs, values), (*chosen, value), strict=True):
                column.index_copy_(0, step, row.unsqueeze(0).to(column.dtype))
        self._state[:, :, rows].copy_(following)
        step.add_(1)

    def _act_at_once(self, group: _Group, whole: PolicyStep) -> None:
        rows, step, buffer = group.rows, group.counter, self.buffer
        columns = (each[:, rows] for each in (self._uniform, buffer.actions, buffer.logprobs, buffer.values))
        whole.act(
            buffer.observations[:, rows],
            self._state[:, :, rows],
            *columns,
            ended=self._endings[:, rows],
            cut_state=self._cut_state[:, :, rows] if self._between_cuts else None,
            cut_at=self._cut_at[rows] if self._between_cuts else None,
            step=step,
        )
        step.add_(1)

    def _finish(self, group: _Group) -> None:
        rows, buffer = group.rows, self.buffer
        state = self._state_begun(group)
        buffer.bootstrap[rows].copy_(self.policy.step(buffer.observations[buffer.horizon, rows], state)[1])
        self._state[:, :, rows].copy_(state)

    def _state_begun(self, group: _Group) -> Tensor:
        """The recurrent state that a step starts from: emptied where the step before ended an episode."""
        rows, step = group.rows, group.counter
        ending, state = _row(self._endings, rows, step), self._state[:, :, rows]
        if self._between_cuts:
            cut = ending >= _CUT
            self._cut_at[rows].copy_(torch.where(cut, step - 1, self._cut_at[rows]))
            note_cuts(cut, state, self._cut_state[:, :, rows])
        return state * (ending == 0).to(torch.float32)[None, None, :, None]

    def _value_cuts(self, group: _Group) -> None:
        rows = group.rows
        value_cuts(
            self.policy,
            self._last_observations[rows],
            self._cut_state[:, :, rows],
            self._cut_at[rows],
            self.buffer.final_values[:, rows],
        )


class _Group:
    """Neighbouring environments, their agents, and the lane on which their actions are computed."""

    def __init__(
        self, collector: GroupedCollector, lane: Lane, environments: slice, agents_each: int, counter: Tensor
    ) -> None:
        self.lane, self.environments, self.counter = lane, environments, counter
        self.rows = slice(environments.start * agents_each, environments.stop * agents_each)
        self.act = lane.prepare(partial(collector._act, self), "rollout step")
        self.finish = lane.prepare(partial(collector._finish, self), "rollout's last step")
        self.value_cuts = lane.prepare(partial(collector._value_cuts, self), "values at time limits")
        self.waits: list[float] = []
        """Seconds that the host waited for each step that was timed on the device."""
        self.observations: Crossings = []
        self.endings: Crossings = []
        self.actions: Crossings = []
        """What crosses with each step."""

    def steps(self, source: Tensor, target: Tensor) -> Crossings:
        """The group's rows of every step of two columns [T, N, ...]: to cut them out anew would take the host longer
        than to have them copied."""
        return list(zip(source[:, self.rows].unbind(), target[:, self.rows].unbind(), strict=True))

    def take_turns(self) -> list[tuple[float, Laps]]:
        """These and what the device did in those steps, since the last call."""
        waits, self.waits = self.waits, []
        return list(zip(waits, self.lane.laps(), strict=True))


def waited_for(turns: Iterable[tuple[float, Laps]]) -> Mapping[str, float]:
    """What the host waited for, from seconds that it waited and what the device did until then: seconds by phase.

    A wait ends when the device is done, so it was for what the device did last; "collect/wait" is what lasted longer
    than all it did.
    """
    shares = {"collect/wait": 0.0}
    for wait, laps in turns:
        for name, seconds in reversed(laps):
            share = min(wait, seconds)
            shares[name] = shares.get(name, 0.0) + share
            wait -= share
        shares["collect/wait"] += wait
    return shares


def _row(tensor: Tensor, rows: slice, step: Tensor) -> Tensor:
    """tensor [T, N, ...] at a step [1] that only the device knows, of some rows."""
    return tensor[:, rows].index_select(0, step)[0]


def _no_stamp(name: str | None) -> None:
    """The step is not timed."""
