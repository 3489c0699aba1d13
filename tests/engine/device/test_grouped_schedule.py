"""What waits for what where groups of environments play beside a device, and what the device is given to do."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import c_envs
from engine.grouped_collector import TIMED_EVERY, GroupedCollector, waited_for
from engine.lanes import CudaLanes, Laps
from engine.policy import Policy
from engine.rollout import RolloutBuffer
from tests.engine.device.fake_cuda import FakeStreams
from tests.engine.device.grouped import Make, MakeGrouped, at_rest, compare, value_more
from tests.engine.device.host_lanes import HostLane, HostLanes, InFlight, Schedule, tensor_span
from tests.engine.device.host_talk import HostTalk
from tests.engine.device.tape import TapeRecorder


@pytest.mark.parametrize("core", ["lstm", "mingru", "none"])
@pytest.mark.parametrize("graphs", [True, False])
def test_a_horizon_on_streams_and_graphs_is_the_plain_one(
    make_trainer: Make, make_plain: Make, monkeypatch: pytest.MonkeyPatch, graphs: bool, core: str
) -> None:
    """With the lanes that a GPU gets, over a stand-in for torch.cuda: what is recorded in one step holds in all."""
    streams, cuda = FakeStreams(), TapeRecorder()
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
    assert [cuda.streams.count(stream) for stream in dict.fromkeys(cuda.streams)] == ([3, 3, 3] if graphs else [])
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
