"""What a whole run does about a number that is not finite: fails with its checkpoints whole, goes on, or goes back."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from engine import TrainingSession
from engine.checkpoint import read_checkpoint
from engine.collector import FusedCollector
from engine.guard import PATIENCE
from engine.recovery import ROLLBACKS
from tests.engine.conftest import figures, lines

Make = Callable[..., TrainingSession]


def finish(session: TrainingSession) -> Path:
    session.start()
    assert session.join(120)
    assert session.folder is not None
    return session.folder


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[int], bool]], None]:
    """Makes the reward of agent 3 bad in the horizons, counted from 1 over the whole process, that are asked for."""

    def install(is_bad: Callable[[int], bool]) -> None:
        collect = FusedCollector._collect
        horizons = 0

        def collect_badly(self: FusedCollector, *arguments: Any) -> None:
            nonlocal horizons
            horizons += 1
            collect(self, *arguments)
            if is_bad(horizons):
                self.buffer.rewards[4, 3] = math.nan

        monkeypatch.setattr(FusedCollector, "_collect", collect_badly)

    return install


Poison = Callable[[Callable[[int], bool]], None]
SOURCE = "iteration {}: the reward of agent 3 (environment 3) at step 5 of 16 is nan"


def all_checkpoints_are_finite(folder: Path) -> bool:
    return all(
        torch.isfinite(tensor).all()
        for path in (folder / "checkpoints").iterdir()
        for group in read_checkpoint(path).tensors.values()
        for tensor in group.values()
        if tensor.is_floating_point()
    )


def test_stop_fails_with_the_source_and_keeps_the_checkpoints(make_session: Make, poison: Poison) -> None:
    poison(lambda horizon: horizon == 8)
    session = make_session("run.checkpoint_every=3")
    folder = finish(session)
    snapshot = session.snapshot()
    assert snapshot.state == "failed"
    assert str(snapshot.error).startswith(SOURCE.format(8))
    assert "resume from the newest checkpoint" in str(snapshot.error)
    assert "\n" not in str(snapshot.error)
    assert not (folder / "crash.log").exists()
    assert json.loads((folder / "run.json").read_text("utf-8"))["error"] == snapshot.error
    assert [record["iteration"] for record in lines(folder / "metrics.jsonl")] == list(range(1, 8))
    assert snapshot.checkpoint_step == 6 * 128
    assert all_checkpoints_are_finite(folder)


def test_a_run_that_stopped_goes_on_from_its_checkpoint(make_session: Make, poison: Poison) -> None:
    whole = finish(make_session("train.total_steps=1280", "train.schedule=constant", "replay.beta0=1", name="whole"))
    poison(lambda horizon: horizon == 8)
    sets = ("train.schedule=constant", "replay.beta0=1", "train.total_steps=1280", "run.checkpoint_every=3")
    folder = finish(make_session(*sets))
    again = make_session(*sets, resume=folder)
    assert finish(again) == folder
    assert again.snapshot().state == "finished", again.snapshot().error
    assert list(map(figures, lines(folder / "metrics.jsonl"))) == list(map(figures, lines(whole / "metrics.jsonl")))


def test_skip_goes_on_to_the_end_and_counts(make_session: Make, poison: Poison) -> None:
    poison(lambda horizon: horizon in (3, 4, 6))
    session = make_session("run.on_nan=skip", "train.total_steps=2560")
    folder = finish(session)
    assert session.snapshot().state == "finished", session.snapshot().error
    skipped = [record["train/skipped_segments"] for record in lines(folder / "metrics.jsonl")]
    assert skipped == [1 if iteration in (3, 4, 6) else 0 for iteration in range(1, 21)]
    told = [event for event in lines(folder / "events.jsonl") if SOURCE.format(3) in event.get("text", "")]
    assert len(told) == 1
    assert any(SOURCE.format(3) in line.text and line.level != "info" for line in session.snapshot().log)
    kinds = [event["kind"] for event in lines(folder / "events.jsonl") if event.get("alarm") == "nan"]
    assert kinds == ["alarm_raised", "alarm_cleared"], "ten sound iterations clear the alarm"
    assert all_checkpoints_are_finite(folder)


def test_what_is_skipped_is_told_at_a_bearable_rate(make_session: Make, poison: Poison) -> None:
    poison(lambda horizon: horizon % PATIENCE != 0)
    session = make_session("run.on_nan=skip", "train.total_steps=12800")
    folder = finish(session)
    assert session.snapshot().state == "finished", session.snapshot().error
    told = [event for event in lines(folder / "events.jsonl") if "the reward of agent 3" in event.get("text", "")]
    assert 1 <= len(told) <= 5, "90 iterations were bad, in a few seconds"


def test_skip_gives_up_when_the_source_stays(make_session: Make, poison: Poison) -> None:
    poison(lambda horizon: horizon >= 5)
    session = make_session("run.on_nan=skip", "run.checkpoint_every=3")
    folder = finish(session)
    assert session.snapshot().state == "failed"
    assert f"each of the last {PATIENCE} iterations" in str(session.snapshot().error)
    assert [record["iteration"] for record in lines(folder / "metrics.jsonl")] == list(range(1, 5 + PATIENCE - 1))
    assert all_checkpoints_are_finite(folder)


def test_rollback_goes_back_and_on_with_other_random_numbers(make_session: Make, poison: Poison) -> None:
    sets = ("train.total_steps=1920", "run.checkpoint_every=4", "run.on_nan=rollback")
    undisturbed = finish(make_session(*sets, name="undisturbed"))
    poison(lambda horizon: horizon == 7)
    session = make_session(*sets)
    folder = finish(session)
    snapshot = session.snapshot()
    assert snapshot.state == "finished", snapshot.error
    assert snapshot.rollbacks == 1
    assert snapshot.step == 1920
    records, others = lines(folder / "metrics.jsonl"), lines(undisturbed / "metrics.jsonl")
    assert [record["iteration"] for record in records] == list(range(1, 16))
    assert [row["iteration"] for row in session.history()] == list(range(1, 16))
    assert [record["step"] for record in records] == [128 * number for number in range(1, 16)]
    assert list(map(figures, records[:4])) == list(map(figures, others[:4]))
    assert records[4]["loss/policy"] != others[4]["loss/policy"], "the same random numbers would meet the same fault"
    (event,) = [event for event in lines(folder / "events.jsonl") if event["kind"] == "rollback"]
    assert event["text"] == SOURCE.format(7)
    assert (event["checkpoint"], event["rollback"], event["met_at_step"]) == ("step-000000000512", 1, 7 * 128)
    assert event["step"] == 512
    assert all_checkpoints_are_finite(folder)


def test_a_rollback_brings_back_all_that_a_resume_does(make_session: Make, poison: Poison) -> None:
    """With the generators left alone the iterations done again equal those of a run that met nothing."""
    sets = ("train.total_steps=1920", "run.checkpoint_every=4", "run.on_nan=rollback", "replay.factor=1")
    undisturbed = finish(make_session(*sets, name="undisturbed"))
    poison(lambda horizon: horizon == 7)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("engine.trainer.Trainer.reseed", lambda self, number: None)
        folder = finish(make_session(*sets))
    assert list(map(figures, lines(folder / "metrics.jsonl"))) == list(
        map(figures, lines(undisturbed / "metrics.jsonl"))
    )
    last = "step-000000001920"
    one, two = (read_checkpoint(run / "checkpoints" / last) for run in (folder, undisturbed))
    for group, tensors in one.tensors.items():
        for key, tensor in tensors.items():
            assert torch.equal(tensor, two.tensors[group][key]), f"{group}/{key}"


def test_equal_seeds_roll_back_to_equal_runs(make_session: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    collect = FusedCollector._collect
    runs = []
    for _ in range(2):
        horizons = iter(range(1, 1000))

        def collect_badly(self: FusedCollector, *arguments: Any) -> None:
            collect(self, *arguments)
            if next(horizons) in (5, 6):  # noqa: B023 (called within this turn)
                self.buffer.rewards[0, 0] = math.inf

        monkeypatch.setattr(FusedCollector, "_collect", collect_badly)
        sets = ("train.total_steps=1280", "run.checkpoint_every=3", "run.on_nan=rollback", "train.reward_clamp=0")
        session = make_session(*sets)
        runs.append(finish(session))
        assert session.snapshot().rollbacks == 2
    one, two = (list(map(figures, lines(run / "metrics.jsonl"))) for run in runs)
    assert one == two


def test_rollbacks_without_a_new_checkpoint_are_few(make_session: Make, poison: Poison) -> None:
    poison(lambda horizon: horizon >= 5)
    session = make_session("run.checkpoint_every=3", "run.on_nan=rollback")
    folder = finish(session)
    assert session.snapshot().state == "failed"
    assert session.snapshot().rollbacks == ROLLBACKS
    assert f"{ROLLBACKS} rollbacks to step-000000000384 did not get past it" in str(session.snapshot().error)
    assert [record["iteration"] for record in lines(folder / "metrics.jsonl")] == [1, 2, 3]


def test_a_new_checkpoint_allows_new_rollbacks(make_session: Make, poison: Poison) -> None:
    poison(lambda horizon: horizon % 5 == 0)
    session = make_session("run.checkpoint_every=3", "run.on_nan=rollback", "train.total_steps=3840")
    folder = finish(session)
    assert session.snapshot().state == "finished", session.snapshot().error
    assert session.snapshot().rollbacks > ROLLBACKS
    assert [record["iteration"] for record in lines(folder / "metrics.jsonl")] == list(range(1, 31))


def test_without_a_checkpoint_there_is_nothing_to_roll_back_to(make_session: Make, poison: Poison) -> None:
    poison(lambda horizon: horizon == 2)
    session = make_session("run.on_nan=rollback")
    finish(session)
    assert session.snapshot().state == "failed"
    assert "there is nothing to roll back to" in str(session.snapshot().error)


def test_the_policy_can_be_changed_while_training(make_session: Make, poison: Poison) -> None:
    poison(lambda horizon: horizon == 200)
    session = make_session("train.total_steps=32000")
    session.set("run.on_nan", "skip")
    folder = finish(session)
    assert session.snapshot().state == "finished", session.snapshot().error
    assert sum(record["train/skipped_segments"] for record in lines(folder / "metrics.jsonl")) == 1
