"""Environments stepped in groups beside the device give what the plain collector gives, whatever the device is at."""

from __future__ import annotations

import time
from typing import Any

import pytest
import torch
from torch import Tensor

from engine.collector import CollectionAbandoned
from engine.phases import Timer
from engine.resume import load_state, save_state
from tests.engine.device.grouped import Make, MakeGrouped, at_rest, compare
from tests.engine.device.host_lanes import HostLane, Schedule

GAMES = {
    "breakout": ("breakout.toml", "env.agents=17", "train.horizon=64", "train.minibatch=64"),
    "cut breakout": ("breakout.toml", "env.agents=13", "train.minibatch=16", "env.config.max_steps=5"),
    "maze": ("maze.toml", "env.agents=13", "train.horizon=64", "train.minibatch=64", "env.config.map_size=5"),
    "multiagent": ("multiagent.toml", "env.agents=20", "train.minibatch=64"),
    "one environment": ("breakout.toml", "env.agents=1", "train.minibatch=16", "env.config.max_steps=5"),
}


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


@pytest.mark.alone
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
