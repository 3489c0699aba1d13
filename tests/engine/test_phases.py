"""Laps on a host clock and, with a stand-in for the driver's events, on a device's."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from engine import phases
from engine.control import Control
from engine.phases import CudaPhaseTimer, PhaseTimer


class Clock:
    now = 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(phases, "time", made)
    return made


def test_laps_add_up_and_pauses_are_left_out(clock: Clock) -> None:
    timer = PhaseTimer()
    timer.start()
    for name, seconds in (("a", 1.0), ("b", 2.0), ("a", 0.5)):
        clock.now += seconds
        timer.lap(name)
    clock.now += 100
    timer.skip()
    clock.now += 4
    timer.lap("b")
    assert timer.totals() == {"a": 1.5, "b": 6.0}
    assert timer.wall() == timer.elapsed() == 7.5
    timer.start()
    assert timer.totals() == {}
    assert timer.wall() == 0.0


def test_workers_that_ran_side_by_side_count_by_their_mean(clock: Clock) -> None:
    main, fast, slow = PhaseTimer(), PhaseTimer(), PhaseTimer()
    for timer in (main, fast, slow):
        timer.start()
    clock.now = 3.0
    fast.lap("env")
    clock.now = 5.0
    slow.lap("env")
    main.absorb([fast, slow])
    assert main.totals() == {"env": 4.0}
    assert main.wall() == 5.0, "the second that the fast one waited is unaccounted for"


def test_a_pause_in_the_workers_is_no_part_of_the_wall_time(clock: Clock) -> None:
    main, worker = PhaseTimer(), PhaseTimer()
    main.start()
    worker.start()
    clock.now = 50.0
    worker.skip()
    clock.now = 52.0
    worker.lap("env")
    main.absorb([worker])
    assert main.wall() == main.elapsed() == 2.0


@pytest.mark.parametrize(
    "pause",
    [(2.5, 60.0), (4.5, 60.0), (4.5, 5.25), (6.5, 60.0)],
    ids=["both held", "one at its last step", "one at its last step, and the pause is over before", "one done"],
)
def test_wherever_a_pause_meets_the_workers_the_wall_time_is_that_without_it(
    clock: Clock, pause: tuple[float, float]
) -> None:
    """Each goes through gates between its steps of work; who has passed its last one is held no more."""
    begin, end = pause

    def play(steps: list[float], held: bool) -> PhaseTimer:
        timer = PhaseTimer()
        clock.now = 1.0
        timer.start()
        for seconds in steps:
            if held and begin <= clock.now < end:
                clock.now = end
                timer.skip()
            clock.now += seconds
            timer.lap("env")
        ends.append(clock.now)
        return timer

    found = []
    for held in (False, True):
        clock.now, main, ends = 0.0, PhaseTimer(), []
        main.start()
        workers = [play([2.0, 1.0, 1.0, 2.0, 2.0], held), play([0.5, 1.0, 1.0, 3.0], held)]
        clock.now = max(ends) + 0.25
        main.absorb(workers)
        found.append((main.totals(), main.wall()))
    assert found == [({"env": 6.75}, 9.25)] * 2


def test_a_phase_is_divided_in_proportion(clock: Clock) -> None:
    timer = PhaseTimer()
    timer.start()
    clock.now += 6.0
    timer.lap("wait")
    clock.now += 1.0
    timer.lap("policy")
    timer.divide("wait", {"wait": 0.0})
    assert timer.totals() == {"wait": 6.0, "policy": 1.0}
    timer.divide("wait", {"wait": 0.1, "policy": 0.3, "copy": 0.2})
    assert timer.totals() == pytest.approx({"wait": 1.0, "policy": 4.0, "copy": 2.0})
    assert timer.wall() == 7.0


class Device:
    """A clock that events are recorded by, and the events that were waited for."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.waited: list[object] = []
        self.made = 0
        outer = self

        class Event:
            def __init__(self, enable_timing: bool) -> None:
                assert enable_timing
                outer.made += 1

            def record(self) -> None:
                self.at = outer.now

            def elapsed_time(self, other: Any) -> float:
                return float(other.at - self.at) * 1000

            def synchronize(self) -> None:
                outer.waited.append(self)

        patch.setattr(torch.cuda, "Event", Event)


def test_device_laps_are_read_an_iteration_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """The timer never waits for the device but for the last event of an iteration that has ended."""
    device = Device(monkeypatch)
    timer = CudaPhaseTimer()
    timer.start()
    assert timer.totals() == {}
    for name, seconds in (("policy", 1.0), ("env", 2.0), ("policy", 3.0)):
        device.now += seconds
        timer.lap(name)
    device.now += 10.0
    timer.skip()
    assert device.waited == []
    timer.start()
    assert timer.totals() == {"policy": 4.0, "env": 2.0}
    assert timer.wall() == 6.0
    assert len(device.waited) == 1
    device.now += 0.5
    timer.lap("report")
    assert timer.totals() == {"policy": 4.0, "env": 2.0}


@pytest.mark.parametrize("asked", [True, False])
def test_events_are_made_once_and_used_again(monkeypatch: pytest.MonkeyPatch, asked: bool) -> None:
    device = Device(monkeypatch)
    timer = CudaPhaseTimer()
    for iteration in range(1, 6):
        timer.start()
        if asked and iteration > 1:
            assert timer.totals() == {"env": float(iteration - 1), "policy": 1.0}
            assert timer.wall() == iteration
        device.now += iteration
        timer.lap("env")
        device.now += 1.0
        timer.lap("policy")
    assert device.made <= 9, "those of three iterations"


def test_what_host_and_device_did_side_by_side_counts_by_the_hosts_clock(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    """In place of the device's lap over the same stretch, an iteration late like the other laps, without the pause."""
    device = Device(monkeypatch)
    timer, host = CudaPhaseTimer(), PhaseTimer()
    timer.start()
    device.now = 1.0
    timer.lap("store")
    host.start()
    clock.now = 50.0
    host.skip()
    clock.now = 53.0
    host.lap("env")
    clock.now = 55.0
    host.lap("wait")
    device.now = 56.5
    timer.absorb([host])
    device.now = 58.0
    timer.lap("update")
    assert timer.totals() == {}
    assert timer.elapsed() == 5.0
    timer.start()
    assert timer.totals() == {"store": 1.0, "env": 3.0, "wait": 2.0, "update": 1.5}
    assert timer.wall() == 7.5


def test_control_lets_requests_through_a_pause_and_holds_again() -> None:
    control = Control()
    assert not control.held
    control.pause()
    assert control.held
    assert control.paused
    control.request_checkpoint()
    assert not control.held, "the iteration under way is finished first"
    control.end_iteration()
    assert not control.held, "the checkpoint comes before the hold"
    assert control.take_checkpoint_request()
    control.settle()
    assert control.held
    control.step_iteration()
    assert not control.held
    control.end_iteration()
    assert control.held
    control.stop(checkpoint=True)
    assert not control.held
    assert control.stopping
    assert control.checkpoint_on_stop
    control.pause()
    assert not control.held, "a run that ends is not paused any more"
