"""A GPU's lanes: what torch is asked for, with a stand-in for its streams and events; and who collects with them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

import c_envs
from engine import device_choice
from engine.collector import Collector, FusedCollector
from engine.device_choice import make_collector
from engine.grouped_collector import GROUPS, GroupedCollector
from engine.lanes import CudaLane, CudaLanes
from engine.parallel import Workers
from engine.policy import Policy
from engine.profile import Profile
from engine.rollout import RolloutBuffer
from tests.engine.conftest import tiny_profile
from tests.engine.device.fake_cuda import FakeCuda, FakeStreams
from tests.engine.device.host_lanes import HostLanes

CUDA = torch.device("cuda", 0)


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch) -> FakeStreams:
    made = FakeStreams()
    made.install(monkeypatch)
    return made


def test_a_lane_is_a_stream_that_the_host_waits_for_by_one_event(streams: FakeStreams) -> None:
    one, other = CudaLane(CUDA, True, pytest.fail), CudaLane(CUDA, True, pytest.fail)
    stream = one._stream
    assert other._stream is not stream
    one.follow()
    with one.queue():
        one.mark()
    one.wait()
    event = one._mark
    assert other._mark is not event
    assert streams.log == [
        ("follow", stream, ("current", CUDA)),
        ("open", stream),
        ("record", event, stream),
        ("close", stream),
        ("wait", event),
    ]


def test_copies_do_not_hold_the_host(streams: FakeStreams, monkeypatch: pytest.MonkeyPatch) -> None:
    lane = CudaLane(CUDA, True, pytest.fail)
    held: list[bool] = []
    copy = torch.Tensor.copy_

    def noted(target: torch.Tensor, source: torch.Tensor, non_blocking: bool = False) -> torch.Tensor:
        held.append(not non_blocking)
        return copy(target, source, non_blocking)

    monkeypatch.setattr(torch.Tensor, "copy_", noted)
    here, there = torch.ones(3), torch.zeros(3)
    lane.send(here, there)
    assert there.tolist() == [1.0] * 3
    there.fill_(2.0)
    lane.fetch(there, here)
    assert here.tolist() == [2.0] * 3
    assert held == [False, False]


@pytest.mark.parametrize("graphs", [True, False])
def test_prepared_work_is_a_graph_on_the_lanes_own_stream(
    streams: FakeStreams, monkeypatch: pytest.MonkeyPatch, graphs: bool
) -> None:
    cuda = FakeCuda()
    cuda.install(monkeypatch)
    lanes = CudaLanes(CUDA, graphs, pytest.fail)
    for lane in (lanes.lane(), lanes.lane()):
        cuda.recorded.clear()
        call = lane.prepare(lambda: None, "rollout step")
        for _ in range(3):
            call()
        assert cuda.recorded == ([{"stream": lane._stream, "capture_error_mode": "thread_local"}] if graphs else [])


def test_laps_are_the_devices_time_between_stamps(streams: FakeStreams) -> None:
    lane = CudaLane(CUDA, True, pytest.fail)
    for names in (("copy", "policy", "copy"), ("policy",)):
        lane.stamp(None)
        for name in names:
            lane.stamp(name)
    assert lane.laps() == [[("copy", 1.0), ("policy", 1.0), ("copy", 1.0)], [("policy", 1.0)]]
    assert lane.laps() == []


class TestChoice:
    """Which collector a profile gets; torch's meta device stands in for a GPU."""

    @pytest.fixture
    def choose(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
        made: list[tuple[torch.device, bool]] = []

        def lanes(device: torch.device, graphs: bool, warn: object) -> HostLanes:
            made.append((device, graphs))
            return HostLanes()

        monkeypatch.setattr(device_choice, "CudaLanes", lanes)
        monkeypatch.setattr(
            Collector, "_bind", lambda collector: collector._play_into(HostLanes().host_memory), raising=True
        )
        batches: list[c_envs.Batch] = []

        def one(*sets: str, device: str = "meta") -> tuple[Collector, list[tuple[torch.device, bool]]]:
            profile: Profile = tiny_profile(*sets)
            on = torch.device(device)
            batch = c_envs.Batch("breakout", profile.env.agents, slots=profile.train.horizon)
            batches.append(batch)
            policy = Policy(batch.spec.observation_size, batch.spec.actions, hidden=16).to(on)
            state = policy.initial_state(batch.rows, on)
            buffer = RolloutBuffer(profile.train.horizon, batch.rows, batch.spec.observation_size, state, on)
            made.clear()
            return make_collector(profile, batch, policy, buffer, torch.Generator(), Workers(1)), list(made)

        yield one
        for batch in batches:
            batch.close()

    def test_on_a_gpu_environments_on_the_cpu_take_turns(self, choose: Any) -> None:
        collector, made = choose()
        assert type(collector) is GroupedCollector
        assert len(collector.groups) == GROUPS == 2
        assert made == [(torch.device("meta"), True)]
        collector, made = choose("env.groups=5", "train.graphs=false")
        assert len(collector.groups) == 5
        assert made == [(torch.device("meta"), False)]
        assert len(choose("env.groups=64")[0].groups) == 8, "no more than there are environments"

    def test_one_group_is_the_plain_way(self, choose: Any) -> None:
        collector, made = choose("env.groups=1")
        assert type(collector) is Collector
        assert made == []

    def test_on_a_cpu_groups_change_nothing(self, choose: Any) -> None:
        for groups in (0, 1, 3):
            assert type(choose(f"env.groups={groups}", device="cpu")[0]) is FusedCollector
            assert type(choose(f"env.groups={groups}", "train.fused=false", device="cpu")[0]) is Collector
