"""Environments stepped in groups beside the device give what the plain collector gives, whatever the device is at."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

import c_envs
from engine.collector import CollectionAbandoned, Collector
from engine.grouped_collector import TIMED_EVERY, GroupedCollector, waited_for
from engine.lanes import CudaLanes, Laps
from engine.phases import Timer
from engine.policy import Policy
from engine.resume import load_state, save_state
from engine.rollout import RolloutBuffer
from engine.trainer import Trainer
from tests.engine.device.fake_cuda import FakeCuda, FakeStreams
from tests.engine.device.host_lanes import CheckedBatch, HostLane, HostLanes, InFlight, Schedule, tensor_span
from tests.engine.device.host_talk import HostTalk

Make = Callable[..., Trainer]
MakeGrouped = Callable[..., tuple[Trainer, HostLanes]]


@pytest.fixture(autouse=True)
def rows_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A matrix product whose rows do not depend on how many there are: groups are then equal to the whole by the bit.

    Products of another size may round otherwise, on a CPU as on a GPU, which would hide a true difference.
    """

    def linear(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        product = (inputs.unsqueeze(-2) * weight).sum(-1)
        return product if bias is None else product + bias

    monkeypatch.setattr(torch.nn.functional, "linear", linear)


def value_more(trainer: Trainer) -> Trainer:
    """Starts all over, with values that are far from 0."""
    trainer.collector.reset()
    trainer.collector.resume_observations()
    with torch.no_grad():
        trainer.policy.heads.bias[-1] = 3.0
    return trainer


@pytest.fixture
def make_plain(make_trainer: Make) -> Make:
    """Trainers with the plain collector."""

    def make(*sets: str, **options: Any) -> Trainer:
        trainer = make_trainer(*sets, **options)
        trainer.collector = Collector(trainer.batch, trainer.policy, trainer.buffer, trainer.action_generator)
        return value_more(trainer)

    return make


@pytest.fixture
def make_grouped(make_trainer: Make) -> MakeGrouped:
    """Trainers whose environments play in groups, on lanes of a device that is not there."""

    def make(
        *sets: str, groups: int = 2, schedule: Schedule = "late", threads: int = 1, **options: Any
    ) -> tuple[Trainer, HostLanes]:
        trainer, lanes = make_trainer(*sets, **options), HostLanes(schedule)
        old = trainer.batch
        old.close()
        trainer.batch = CheckedBatch(
            old.name, old.environments, seed=old.seed, threads=threads, config=old.config, slots=old.slots
        )
        trainer.batch.lanes = lanes
        trainer.collector = GroupedCollector(
            trainer.batch, trainer.policy, trainer.buffer, trainer.action_generator, lanes, groups
        )
        return value_more(trainer), lanes

    return make


GAMES = {
    "breakout": ("breakout.toml", "env.agents=17", "train.horizon=64", "train.minibatch=64"),
    "cut breakout": ("breakout.toml", "env.agents=13", "train.minibatch=16", "env.config.max_steps=5"),
    "maze": ("maze.toml", "env.agents=13", "train.horizon=64", "train.minibatch=64", "env.config.map_size=5"),
    "multiagent": ("multiagent.toml", "env.agents=20", "train.minibatch=64"),
    "one environment": ("breakout.toml", "env.agents=1", "train.minibatch=16", "env.config.max_steps=5"),
}


def compare(grouped: Trainer, plain: Trainer) -> None:
    """Both have collected the same, by the bit, and stand at the same place."""
    for field, tensor in vars(plain.buffer).items():
        if isinstance(tensor, Tensor):
            assert torch.equal(getattr(grouped.buffer, field), tensor), field
    assert torch.equal(grouped.collector.state(), plain.collector.state())
    assert torch.equal(grouped.action_generator.get_state(), plain.action_generator.get_state())
    assert grouped.batch.states() == plain.batch.states()
    assert grouped.collector.watch.states == plain.collector.watch.states


def at_rest(lanes: HostLanes) -> bool:
    """Everything was waited for."""
    return not any(lane.queued or lane.flights or lane.open for lane in lanes.lanes)


@pytest.mark.parametrize("schedule", ["late", "early", 7])
@pytest.mark.parametrize("groups", [1, 2, 3])
@pytest.mark.parametrize("core", ["lstm", "mingru", "none"])
@pytest.mark.parametrize("game", GAMES)
def test_groups_change_nothing(
    make_grouped: MakeGrouped, make_plain: Make, game: str, core: str, groups: int, schedule: Schedule
) -> None:
    """Bit for bit over episode ends, time limits and horizons, wherever the device's work falls."""
    name, *sets = GAMES[game]
    grouped, lanes = make_grouped(*sets, f"policy.core={core}", name=name, groups=groups, schedule=schedule)
    plain = make_plain(*sets, f"policy.core={core}", name=name)
    assert len(lanes.lanes) == min(groups, plain.batch.environments)
    ended = cut = 0
    for _ in range(6 if game != "one environment" else 3):
        grouped.collect()
        plain.collect()
        compare(grouped, plain)
        assert at_rest(lanes)
        assert grouped.batch.statistics() == plain.batch.statistics()
        ended += int(plain.buffer.done.sum())
        cut += int(plain.buffer.truncations.sum())
    assert ended > 0
    assert cut > 0 or game in ("breakout", "multiagent")


@pytest.mark.parametrize("core", ["lstm", "mingru", "none"])
@pytest.mark.parametrize("graphs", [True, False])
def test_a_horizon_on_streams_and_graphs_is_the_plain_one(
    make_trainer: Make, make_plain: Make, monkeypatch: pytest.MonkeyPatch, graphs: bool, core: str
) -> None:
    """With the lanes that a GPU gets, over a stand-in for torch.cuda: what is recorded in one step holds in all."""
    streams, cuda = FakeStreams(), FakeCuda(computes=True)
    streams.install(monkeypatch)
    cuda.install(monkeypatch)
    monkeypatch.setattr(GroupedCollector, "_bind", lambda collector: collector._play_into(torch.zeros))
    monkeypatch.setattr(CudaLanes, "host_memory", lambda lanes, *shape, dtype: torch.zeros(shape, dtype=dtype))
    sets = ("env.agents=9", "env.config.max_steps=5", f"policy.core={core}")
    trainer, plain = make_trainer(*sets), make_plain(*sets)
    lanes = CudaLanes(torch.device("cuda", 0), graphs, pytest.fail)
    trainer.collector = GroupedCollector(
        trainer.batch, trainer.policy, trainer.buffer, trainer.action_generator, lanes, 3
    )
    value_more(trainer)
    for _ in range(4):
        trainer.collect()
        plain.collect()
        compare(trainer, plain)
    recorded = [options["stream"] for options in cuda.recorded]
    assert [recorded.count(stream) for stream in dict.fromkeys(recorded)] == ([3, 3, 3] if graphs else [])
    assert cuda.replays == (3 * (4 * 16 - 1 + 4 - 1 + 4 * 4 - 1) if graphs else 0)
    waited = [entry[1] for entry in streams.log if entry[0] == "wait"]
    assert len(set(map(id, waited))) == 3, "one event a group, and nothing else is waited for"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    groups=st.integers(1, 5),
    agents=st.integers(1, 9),
    horizon=st.integers(1, 12),
    max_steps=st.sampled_from([0, 1, 2, 3, 7]),
    schedule=st.one_of(st.sampled_from(["late", "early"]), st.integers(0, 2**16)),
    threads=st.integers(1, 3),
)
def test_every_copy_is_waited_for_and_none_meets_another(
    make_grouped: MakeGrouped,
    make_plain: Make,
    groups: int,
    agents: int,
    horizon: int,
    max_steps: int,
    schedule: Schedule,
    threads: int,
) -> None:
    """Any number of groups, any sizes, any timing: nothing in flight is touched (`CheckedBatch`), a lane has one mark
    to wait for at a time, nothing is left at the end, and the outcome is the plain one."""
    sets = (
        f"env.agents={agents}",
        f"train.horizon={horizon}",
        f"train.minibatch={horizon}",
        f"env.config.max_steps={max_steps}",
    )
    grouped, lanes = make_grouped(*sets, groups=groups, schedule=schedule, threads=threads)
    plain = make_plain(*sets)
    for _ in range(3):
        lanes.log.clear()
        grouped.collect()
        plain.collect()
        compare(grouped, plain)
        assert at_rest(lanes)
        for lane in range(len(lanes.lanes)):
            asked = [what for index, what in lanes.log if index == lane]
            assert asked[0] == "follow"
            assert asked.count("fetch") == horizon
            assert asked.count("rollout step") == horizon
            assert asked.count("rollout's last step") == 1
            marks = [what for what in asked if what in ("mark", "wait")]
            assert marks == ["mark", "wait"] * (horizon + 1)


def test_the_next_group_is_under_way_while_one_is_stepped(make_grouped: MakeGrouped) -> None:
    trainer, lanes = make_grouped("env.agents=12", groups=3, schedule="late")
    under_way: list[list[bool]] = []
    step = trainer.batch.step

    def stepped(*arguments: int) -> None:
        under_way.append([bool(lane.queued) for lane in lanes.lanes])
        step(*arguments)

    trainer.batch.step = stepped  # type: ignore[method-assign]
    trainer.collect()
    assert under_way == [[False, True, True], [True, False, True], [True, True, False]] * 16


def test_a_collector_that_does_not_wait_is_found_out(
    make_grouped: MakeGrouped, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tests above can fail: without `wait` the environments would play with actions that are still to come."""
    trainer, _ = make_grouped("env.agents=8", schedule="early")
    monkeypatch.setattr(HostLane, "wait", lambda lane: None)
    with pytest.raises(InFlight, match=r"^actions of step 0 are used while lane 0 is copying to it$"):
        trainer.collect()


def test_memory_in_flight_is_watched() -> None:
    """What the tests above lean on: the host may look at what is being sent, and nothing else, until it has waited."""
    lanes = HostLanes("early")
    here = lanes.host_memory(4, 8, dtype=torch.float32)
    there = torch.ones(4, 8)
    one, other = lanes.lane(), lanes.lane()
    with one.queue():
        one.send(here[0], there[0])
        one.mark()
        one.fetch(there[1], here[1])
    first, second = tensor_span(here[0]), tensor_span(here[1])
    lanes.touch(first, write=False, what="row 0 is read")
    with pytest.raises(InFlight, match="row 0 is written while lane 0 is copying from it"):
        lanes.touch(first, write=True, what="row 0 is written")
    for write in (True, False):
        with pytest.raises(InFlight, match="row 1 is used while lane 0 is copying to it"):
            lanes.touch(second, write=write, what="row 1 is used")
    with other.queue(), pytest.raises(InFlight, match="a second copy"):
        other.send(here[0], there[2])
    one.wait()
    lanes.touch(first, write=True, what="row 0 is written")
    with pytest.raises(InFlight):
        lanes.touch(second, write=False, what="behind the mark")
    one.mark()
    one.wait()
    lanes.touch(second, write=True, what="row 1 is written")
    assert here[1].tolist() == [1.0] * 8


@pytest.mark.parametrize("groups", [1, 2, 3])
def test_the_watched_environment_is_recorded_step_by_step(
    make_grouped: MakeGrouped, make_plain: Make, groups: int
) -> None:
    grouped, _ = make_grouped("env.agents=8", groups=groups)
    plain = make_plain("env.agents=8")
    for watched in (0, 3, 7, None):
        for trainer in (grouped, plain):
            trainer.collector.watch.environment = watched
            trainer.collect()
        compare(grouped, plain)
        assert len(grouped.collector.watch.states) == (0 if watched is None else 16)


@pytest.mark.parametrize("schedule", ["late", "early", 3])
def test_a_horizon_that_was_given_up_leaves_no_trace(
    make_grouped: MakeGrouped, make_plain: Make, schedule: Schedule
) -> None:
    """Given up in the middle, with work on every lane: it is over before anything is set back."""
    sets = ("env.agents=9", "env.config.max_steps=5")
    grouped, lanes = make_grouped(*sets, groups=3, schedule=schedule)
    plain = make_plain(*sets)
    for _ in range(3):
        gates: list[int] = []

        def give_up(timer: Timer, gates: list[int] = gates) -> None:
            gates.append(len(gates))
            if len(gates) == 11:
                raise CollectionAbandoned

        ordinary, grouped.gate = grouped.gate, give_up
        with pytest.raises(CollectionAbandoned):
            grouped.collect()
        assert at_rest(lanes)
        grouped.gate = ordinary
        grouped.collect()
        plain.collect()
        compare(grouped, plain)
        assert grouped.batch.statistics() == plain.batch.statistics()


def test_what_was_noted_of_a_horizon_that_was_given_up_is_forgotten(
    make_grouped: MakeGrouped, make_plain: Make
) -> None:
    """Given up between a time limit and the value that was due for it, and then begun all anew."""
    sets = ("env.agents=6", "env.config.max_steps=20")
    grouped, _ = make_grouped(*sets)
    plain = make_plain(*sets)
    grouped.collect()
    plain.collect()
    gates: list[int] = []

    def give_up(timer: Timer) -> None:
        gates.append(len(gates))
        if len(gates) == 7:
            raise CollectionAbandoned

    ordinary, grouped.gate = grouped.gate, give_up
    with pytest.raises(CollectionAbandoned):
        grouped.collect()
    grouped.gate = ordinary
    assert (grouped.collector._cut_at == 3).all()  # type: ignore[attr-defined]
    for trainer in (grouped, plain):
        trainer.collector.reset()
        trainer.collector.resume_observations()
        trainer.collect()
    compare(grouped, plain)


def test_a_pause_is_no_part_of_the_time_and_comes_between_steps(make_grouped: MakeGrouped) -> None:
    """One gate a step, as in the plain collector, and the phases add up to the time without the pause."""
    trainer, lanes = make_grouped("env.agents=8", groups=2)
    seen: list[int] = []

    def pause(timer: Timer) -> None:
        seen.append(sum(len(lane.flights) > 0 for lane in lanes.lanes))
        if len(seen) == 5:
            timer.lap("unaccounted")
            time.sleep(0.2)
            timer.skip()

    trainer.gate = pause
    began = time.perf_counter()
    trainer.timer.start()
    trainer.collect()
    trainer.timer.lap("report")
    taken = time.perf_counter() - began
    assert seen == [2] * 16, "both groups are under way at a gate"
    assert trainer.timer.wall() == pytest.approx(taken - 0.2, abs=0.02)
    totals = trainer.timer.totals()
    assert sum(totals.values()) == pytest.approx(trainer.timer.wall(), rel=0.01)
    assert set(totals) == {f"collect/{name}" for name in ("store", "env", "policy", "copy", "wait")} | {
        "unaccounted",
        "report",
    }


def test_whole_iterations_are_the_same(make_grouped: MakeGrouped, make_plain: Make) -> None:
    """Updates, replay and metrics follow from what was collected."""
    sets = ("env.agents=16", "replay.factor=1", "env.config.max_steps=9")
    grouped, _ = make_grouped(*sets, groups=3, schedule=5)
    plain = make_plain(*sets)
    for _ in range(4):
        one, other = grouped.iterate().metrics, plain.iterate().metrics
        assert {key: value for key, value in one.items() if not key.startswith("time/")} == {
            key: value for key, value in other.items() if not key.startswith("time/")
        }
        compare(grouped, plain)
    assert {"time/collect/copy", "time/collect/wait"} <= set(one)


@pytest.mark.parametrize("groups", [1, 2, 3])
def test_a_run_goes_on_from_its_checkpoint_with_another_number_of_groups(
    make_grouped: MakeGrouped, make_plain: Make, groups: int
) -> None:
    sets = ("env.agents=12", "env.config.max_steps=9", "policy.core=mingru")
    through = make_plain(*sets)
    first, _ = make_grouped(*sets, groups=2)
    for _ in range(2):
        through.iterate()
        first.iterate()
    saved = save_state(first, {})
    second, _ = make_grouped(*sets, groups=groups, schedule=1)
    load_state(second, saved)
    back = make_plain(*sets)
    load_state(back, saved)
    for trainer in (second, back):
        for _ in range(2):
            trainer.iterate()
    for _ in range(2):
        through.iterate()
    compare(second, through)
    compare(back, through)


def test_the_state_is_kept_and_emptied_agent_by_agent(make_grouped: MakeGrouped) -> None:
    trainer, _ = make_grouped("env.agents=8")
    trainer.collect()
    before = trainer.collector.state()
    agents = torch.arange(8) == 5
    trainer.collector.forget(agents)
    after = trainer.collector.state()
    assert not after[:, :, agents].any()
    assert torch.equal(after[:, :, ~agents], before[:, :, ~agents])
    trainer.collect()
    assert torch.equal(trainer.buffer.state, after), "what was handed out stays as it was"


def test_what_is_not_finite_is_found_as_in_the_plain_collector(make_grouped: MakeGrouped, make_plain: Make) -> None:
    """An infinite weight, and an infinite last observation whose value is a number."""
    sets = ("env.agents=8", "env.config.max_steps=3")
    grouped, _ = make_grouped(*sets, groups=3)
    plain = make_plain(*sets)
    for trainer in (grouped, plain):
        with torch.no_grad():
            trainer.policy.heads.bias[0] = torch.inf
        trainer.collector.collect(trainer.timer, trainer.gate, 0.0)
    assert grouped.collector.fault is not None
    assert plain.collector.fault is not None
    assert grouped.collector.fault.source == plain.collector.fault.source
    assert torch.equal(grouped.collector.fault.agents, plain.collector.fault.agents)


def test_an_infinite_last_observation_is_found(make_grouped: MakeGrouped) -> None:
    trainer, _ = make_grouped("env.agents=8", "env.config.max_steps=5", groups=3)
    step = trainer.batch.step

    def spoil(t: int, first: int = 0, count: int | None = None) -> None:
        step(t, first, count)
        if t == 4 and first <= 6 < first + (count or 0):
            trainer.collector.final_observations[6, 0] = torch.inf

    trainer.batch.step = spoil  # type: ignore[method-assign]
    trainer.collector.collect(trainer.timer, trainer.gate, 0.0)
    fault = trainer.collector.fault
    assert fault is not None
    assert fault.source == "the value of the last observation of agent 6 (environment 6) at step 5 of 16 is nan"
    assert fault.agents.nonzero().tolist() == [[6]]


def test_bytes_that_cross_are_counted_as_they_are_copied(
    make_grouped: MakeGrouped, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against the copies themselves: those of the lanes, and those at the horizon's end."""
    trainer, _ = make_grouped("env.agents=9", "env.config.max_steps=5", groups=2)
    copied: list[int] = []
    copy = HostLane._copy

    def count(lane: HostLane, what: str, source: Tensor, target: Tensor, **options: Any) -> None:
        copied.append(source.nbytes)
        copy(lane, what, source, target, **options)

    monkeypatch.setattr(HostLane, "_copy", count)
    trainer.collect()
    at_the_end = sum(trainer.collector.host[name].nbytes for name in ("rewards", "terminals", "truncations", "masks"))
    assert trainer.collector.crossing_bytes() == sum(copied) + at_the_end


@pytest.mark.parametrize("core", ["lstm", "mingru", "none"])
def test_a_graph_asks_the_device_nothing(make_grouped: MakeGrouped, core: str) -> None:
    trainer, _ = make_grouped("env.agents=8", "env.config.max_steps=3", f"policy.core={core}")
    trainer.collect()
    collector = trainer.collector
    assert isinstance(collector, GroupedCollector)
    collector._counters.zero_()
    with HostTalk() as talk, torch.no_grad():
        for group in collector.groups:
            collector._act(group)
            collector._finish(group)
            collector._value_cuts(group)
    assert talk.found == []
    assert talk.seen > 60


@pytest.mark.parametrize("core", ["lstm", "mingru", "none"])
@pytest.mark.parametrize("max_steps", [0, 5])
def test_no_tensor_of_a_graph_lies_elsewhere(core: str, max_steps: int) -> None:
    """On torch's meta device, where an operation with a tensor of the CPU is an error as on a GPU."""
    meta = torch.device("meta")
    batch = c_envs.Batch("breakout", 64, slots=16, config={"max_steps": max_steps})
    policy = Policy(batch.spec.observation_size, 3, core=core, hidden=16).to(meta)
    buffer = RolloutBuffer(16, 64, batch.spec.observation_size, policy.initial_state(64, meta), meta)
    collector = GroupedCollector(batch, policy, buffer, torch.Generator(), HostLanes(), 3)
    assert collector.host["observations"].device.type == "cpu"
    with torch.no_grad():
        for group in collector.groups:
            collector._act(group)
            collector._finish(group)
            collector._value_cuts(group)
    batch.close()


@pytest.mark.parametrize("horizon", [1, 2, 7, 8, 64, 129])
def test_some_steps_of_every_group_are_timed(
    make_grouped: MakeGrouped, monkeypatch: pytest.MonkeyPatch, horizon: int
) -> None:
    trainer, _ = make_grouped("env.agents=2", f"train.horizon={horizon}", f"train.minibatch={horizon}")
    taken: list[list[Laps]] = []
    laps = HostLane.laps
    monkeypatch.setattr(HostLane, "laps", lambda lane: taken.append(laps(lane)) or taken[-1])
    for _ in range(2):
        trainer.collect()
    turn = [("collect/copy", 0.001), ("collect/policy", 0.001), ("collect/copy", 0.001)]
    assert taken == [[turn] * -(-(horizon - horizon // 2 % TIMED_EVERY) // TIMED_EVERY)] * 4
    assert all(taken)


def test_a_wait_is_for_what_the_device_did_last() -> None:
    laps = [("collect/copy", 3.0), ("collect/policy", 5.0), ("collect/copy", 1.0)]
    assert waited_for([]) == {"collect/wait": 0.0}
    assert waited_for([(0.0, laps)]) == {"collect/wait": 0.0, "collect/copy": 0.0, "collect/policy": 0.0}
    assert waited_for([(0.5, laps)]) == {"collect/wait": 0.0, "collect/copy": 0.5, "collect/policy": 0.0}
    assert waited_for([(4.0, laps)]) == {"collect/wait": 0.0, "collect/copy": 1.0, "collect/policy": 3.0}
    assert waited_for([(8.0, laps)]) == {"collect/wait": 0.0, "collect/copy": 3.0, "collect/policy": 5.0}
    assert waited_for([(11.0, laps), (0.5, laps)]) == {"collect/wait": 2.0, "collect/copy": 4.5, "collect/policy": 5.0}
