"""The public face: a run in the background, steered from outside."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from engine import CheckpointError, Player, ProfileError, RunError, RunFolder, TrainingSession, run
from engine.checkpoint import read_checkpoint
from engine.run_listing import run_info
from tests.engine.conftest import figures, lines, wait_for, wait_until

Make = Callable[..., TrainingSession]


def finish(session: TrainingSession) -> Path:
    session.start()
    assert session.join(120)
    snapshot = session.snapshot()
    assert snapshot.state == "finished", snapshot.error
    assert session.folder is not None
    return session.folder


def test_a_run_trains_to_its_last_step_and_leaves_a_complete_folder(make_session: Make) -> None:
    session = make_session("train.total_steps=640")
    folder = finish(session)
    assert [record["step"] for record in lines(folder / "metrics.jsonl")] == [128, 256, 384, 512, 640]
    record = json.loads((folder / "run.json").read_text("utf-8"))
    assert record["state"] == "finished"
    assert record["step"] == 640
    assert "finished" in [event["kind"] for event in lines(folder / "events.jsonl")]
    assert len(list((folder / "checkpoints").iterdir())) == 1
    assert (folder / "profile.toml").is_file()
    for metrics in session.history():
        assert all(math.isfinite(value) for value in metrics.values())


def test_every_snapshot_field_is_filled_after_an_iteration(make_session: Make) -> None:
    session = make_session()
    session.watch(0)
    session.start()
    snapshot = wait_for(session, lambda s: s.iteration >= 2 and s.clip is not None)
    assert snapshot.device == "cpu"
    assert snapshot.parameters > 0
    assert snapshot.steps_per_second is not None
    assert snapshot.steps_per_second > 0
    assert {phase.name for phase in snapshot.phases} >= {"collect/env", "train/backward", "unaccounted"}
    assert snapshot.memory.process is not None
    assert snapshot.memory.gpu_total is None
    assert snapshot.replay.scheme == "prioritized"
    assert sum(snapshot.replay.uses_histogram) == 8
    assert snapshot.clip is not None
    assert len(snapshot.clip.frames) == 16
    renderer = session.renderer()
    rows, columns = renderer.size(1)
    assert renderer.render(snapshot.clip.frames[0].state, 1).shape == (rows, columns, 3)


def test_pause_stops_the_steps_and_resume_goes_on(make_session: Make) -> None:
    session = make_session()
    session.start()
    wait_for(session, lambda s: s.iteration >= 2)
    session.pause()
    paused = wait_for(session, lambda s: s.state == "paused")
    session.join(0.3)
    assert session.snapshot().iteration <= paused.iteration + 1
    stopped = session.snapshot().iteration
    session.join(0.3)
    assert session.snapshot().iteration == stopped
    session.step_iteration()
    wait_for(session, lambda s: s.iteration == stopped + 1 and s.state == "paused")
    session.join(0.2)
    assert session.snapshot().iteration == stopped + 1
    session.resume()
    wait_for(session, lambda s: s.iteration > stopped + 3)


def test_a_checkpoint_can_be_taken_while_paused(make_session: Make) -> None:
    session = make_session()
    session.start()
    wait_for(session, lambda s: s.iteration >= 1)
    session.pause()
    wait_for(session, lambda s: s.state == "paused")
    session.checkpoint()
    snapshot = wait_for(session, lambda s: s.checkpoint is not None and s.state == "paused")
    assert session.folder is not None
    assert (session.folder / "checkpoints" / str(snapshot.checkpoint) / "manifest.json").is_file()
    iteration = session.snapshot().iteration
    session.join(0.2)
    assert session.snapshot().iteration == iteration


def test_stop_while_paused_ends_with_a_checkpoint(make_session: Make) -> None:
    session = make_session()
    session.start()
    wait_for(session, lambda s: s.iteration >= 1)
    session.pause()
    wait_for(session, lambda s: s.state == "paused")
    session.stop()
    assert session.join(30)
    snapshot = session.snapshot()
    assert snapshot.state == "stopped"
    assert snapshot.checkpoint_step == snapshot.step


def test_a_live_edit_comes_into_force_and_is_recorded(make_session: Make) -> None:
    session = make_session("train.schedule=constant")
    session.start()
    wait_for(session, lambda s: s.iteration >= 1)
    session.set("train.learning_rate", 0.001)
    session.set("replay.scheme", "uniform")
    snapshot = wait_for(
        session, lambda s: s.metrics.get("train/learning_rate") == 0.001 and s.replay.scheme == "uniform"
    )
    later = wait_for(session, lambda s: s.iteration > snapshot.iteration + 1)
    assert later.metrics["replay/ess"] == pytest.approx(1.0)
    session.stop()
    session.join(30)
    assert session.folder is not None
    edits = [event for event in lines(session.folder / "events.jsonl") if event["kind"] == "edit"]
    assert [(edit["key"], edit["new"]) for edit in edits] == [
        ("train.learning_rate", 0.001),
        ("replay.scheme", "uniform"),
    ]
    assert "learning_rate = 0.001" in (session.folder / "profile.toml").read_text("utf-8")


def test_an_edit_between_two_iterations_is_in_the_checkpoint_that_follows(make_session: Make) -> None:
    """Paused, one iteration, an edit, a checkpoint, the end: nothing was trained after the edit, and it is kept."""
    session = make_session()
    session.start()
    wait_for(session, lambda s: s.iteration >= 1)
    session.pause()
    iteration = wait_for(session, lambda s: s.state == "paused").iteration
    session.step_iteration()
    wait_for(session, lambda s: s.iteration > iteration and s.state == "paused")
    session.set("train.learning_rate", 0.00123)
    assert session.folder is not None
    wait_until(lambda: "learning_rate = 0.00123" in (session.folder / "profile.toml").read_text("utf-8"))
    session.set("train.learning_rate", 0.00321)
    session.stop()
    assert session.join(30)
    assert "learning_rate = 0.00321" in (session.folder / "profile.toml").read_text("utf-8")
    edits = [event["new"] for event in lines(session.folder / "events.jsonl") if event["kind"] == "edit"]
    assert edits == [0.00123, 0.00321]


def test_a_pause_stands_in_the_runs_folder(make_session: Make) -> None:
    session = make_session()
    session.start()
    wait_for(session, lambda s: s.iteration >= 1)
    assert session.folder is not None
    folder = session.folder
    for act, state in ((session.pause, "paused"), (session.resume, "running")):
        act()
        wait_until(lambda state=state: run_info(folder).state == state)  # type: ignore[misc]


def refuse(monkeypatch: pytest.MonkeyPatch, times: int) -> list[int]:
    """Have so many checkpoints refused as by a full disk; the steps at which one was tried."""
    tried: list[int] = []
    save = RunFolder.save_checkpoint

    def saving(folder: RunFolder, step: int, *given: object) -> Path:
        tried.append(step)
        if len(tried) <= times:
            raise CheckpointError("cannot save it: No space left on device")
        return save(folder, step, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(RunFolder, "save_checkpoint", saving)
    return tried


def test_a_finished_run_waits_for_room_for_its_last_checkpoint(
    make_session: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "AGAIN_SECONDS", 0.05)
    tried = refuse(monkeypatch, 3)
    session = make_session("train.total_steps=640")
    finish(session)
    snapshot = session.snapshot()
    assert snapshot.checkpoint_step == snapshot.step == 640
    assert tried == [640] * 4
    assert any("the last checkpoint cannot be saved" in line.text for line in snapshot.log)


@pytest.mark.parametrize("older", [True, False])
@pytest.mark.parametrize("asked", [True, False])
def test_a_run_whose_last_checkpoint_is_refused_for_good_is_not_finished(
    make_session: Make, monkeypatch: pytest.MonkeyPatch, older: bool, asked: bool
) -> None:
    """It says so, and goes on from the checkpoint that there is."""
    monkeypatch.setattr(run, "LAST_SECONDS", 1000.0 if asked else 0.2)
    session = make_session("train.total_steps=640", f"run.checkpoint_every={1 if older else 1000}", name="full")
    tried = refuse(monkeypatch, 0)

    def refusing(folder: RunFolder, step: int, *given: object, save: Any = RunFolder.save_checkpoint) -> Path:
        if step == 640:
            raise CheckpointError("cannot save it: No space left on device")
        return save(folder, step, *given)  # type: ignore[no-any-return]

    monkeypatch.setattr(RunFolder, "save_checkpoint", refusing)
    session.start()
    if asked:
        wait_for(session, lambda s: s.stage.startswith("waiting for room"))
        session.stop()
    assert session.join(30)
    snapshot = session.snapshot()
    assert snapshot.state == "failed"
    rest = f"--resume full goes on from {snapshot.checkpoint}" if older else "nothing was saved"
    assert snapshot.error == f"the last checkpoint could not be saved: cannot save it: No space left on device; {rest}"
    assert (len(tried) > 0) is older
    assert session.folder is not None
    assert run_info(session.folder).state == "failed"
    if older:
        monkeypatch.undo()
        finish(make_session("train.total_steps=640", resume=session.folder))


def test_edits_that_will_not_do_are_refused_at_once(make_session: Make) -> None:
    session = make_session()
    for key, value in [
        ("train.learning_rate", -1.0),
        ("train.learnin_rate", 0.1),
        ("env.agents", 16),
        ("replay.scheme", "best"),
    ]:
        with pytest.raises(ProfileError, match=key.split(".")[1][:6]):
            session.set(key, value)


@pytest.mark.parametrize("factor", [0, 0.75])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_resumed_run_equals_one_that_never_stopped(make_session: Make, threads: int, factor: float) -> None:
    """N iterations, a checkpoint, a new process's worth of objects, N more: metrics and weights equal bit for bit."""
    sets = (
        f"replay.factor={factor}",
        f"train.threads={threads}",
        "env.agents=256",
        "train.minibatch=1024",
        "train.schedule=constant",
        "replay.beta0=1",
    )
    whole = finish(make_session(*sets, "train.total_steps=32768", name="whole"))
    first = finish(make_session(*sets, "train.total_steps=16384", name="parts"))
    second = finish(make_session(*sets, "train.total_steps=32768", resume=first))
    assert second == first
    assert list(map(figures, lines(whole / "metrics.jsonl"))) == list(map(figures, lines(second / "metrics.jsonl")))
    name = "step-000000032768"
    one, two = (read_checkpoint(folder / "checkpoints" / name) for folder in (whole, second))
    for group, tensors in one.tensors.items():
        for key, tensor in tensors.items():
            assert torch.equal(tensor, two.tensors[group][key]), f"{group}/{key}"


def test_resume_refuses_a_profile_that_does_not_fit(make_session: Make) -> None:
    folder = finish(make_session("train.total_steps=128"))
    session = make_session("policy.hidden=32", "train.total_steps=256", resume=folder)
    session.start()
    assert session.join(60)
    assert session.snapshot().state == "failed"
    assert "policy.hidden" in str(session.snapshot().error)


def test_a_taken_name_fails_with_one_clear_line(make_session: Make) -> None:
    finish(make_session("train.total_steps=128", name="mine"))
    session = make_session(name="mine")
    session.start()
    assert session.join(60)
    assert isinstance(session.exception, RunError)
    assert "mine" in str(session.snapshot().error)


def test_two_sessions_cannot_write_one_run(make_session: Make) -> None:
    session = make_session("run.checkpoint_every=1")
    session.start()
    wait_for(session, lambda s: s.checkpoint is not None)
    other = make_session(resume=session.folder)
    other.start()
    assert other.join(60)
    assert other.snapshot().state == "failed"
    assert "being written" in str(other.snapshot().error)
    assert not session.snapshot().ended


def test_a_diverged_loss_fails_the_run_and_keeps_its_checkpoint(make_session: Make) -> None:
    session = make_session("run.checkpoint_every=1")
    session.start()
    wait_for(session, lambda s: s.checkpoint is not None)
    assert session._run is not None
    with torch.no_grad():
        session._run.trainer.policy.heads.bias.fill_(float("nan"))
    assert session.join(60)
    snapshot = session.snapshot()
    assert snapshot.state == "failed"
    assert session.folder is not None
    for path in (session.folder / "checkpoints").iterdir():
        assert all(torch.isfinite(tensor).all() for tensor in read_checkpoint(path).tensors["policy"].values())


def test_a_checkpoint_plays_exactly_the_episodes_asked_for(make_session: Make) -> None:
    folder = finish(make_session("train.total_steps=128"))
    player = Player(folder, seed=3, environments=4)
    results = list(player.episodes(6))
    assert len(results) == 6
    assert all(result.length > 0 and result.score >= 0 for result in results)
    again = list(Player(folder, seed=3, environments=4).episodes(6))
    assert results == again
    frames = Player(folder).play()
    first = next(frames)
    assert player.renderer().caption(first.state)


def test_a_checkpoint_plays_other_levels_than_those_it_was_trained_on(make_session: Make) -> None:
    """Of another size, or of another seed; nothing else of the profile can be changed for it."""
    folder = finish(make_session("env.config.map_size=5", "train.total_steps=128", profile="maze.toml"))

    def picture(*sets: str) -> tuple[tuple[int, ...], bytes]:
        player = Player(folder, sets=sets)
        cells = player.renderer().render(next(player.play()).state, 2)
        return cells.shape[:2], cells.tobytes()

    assert picture()[0] == (5, 10)
    assert picture("env.config.map_size=9")[0] == (9, 18)
    assert picture("train.seed=99") == picture("train.seed=99") != picture()
    longest = max(result.length for result in Player(folder, sets=["env.config.map_size=9"]).episodes(20))
    assert 2 * 5 * 5 < longest <= 2 * 9 * 9
    with pytest.raises(ProfileError, match=r"^--set policy.hidden=8: a run is played with env.config.KEY=VALUE"):
        Player(folder, sets=["train.seed=2", "policy.hidden=8"])
    with pytest.raises(ProfileError, match=r"^--set env.config.map_size is 8; it must be 0 or an odd"):
        Player(folder, sets=["env.config.map_size=8"])


def test_a_segment_can_be_looked_at_while_training_and_while_paused(make_session: Make) -> None:
    session = make_session("replay.factor=1")
    session.show_segment("priority")
    session.inspect(True)
    session.start()
    snapshot = wait_for(session, lambda s: s.segment is not None and len(s.replay.table) == 16)
    assert snapshot.segment is not None
    assert len(snapshot.segment.steps) == 16
    assert session.renderer().render(snapshot.segment.steps[0].state, 1).size
    session.pause()
    session.step_iteration()
    wait_for(session, lambda s: s.state == "paused" and s.stage == "")
    session.show_segment("index", 3)
    snapshot = wait_for(session, lambda s: s.segment is not None and s.segment.chosen == "index")
    assert snapshot.segment is not None
    assert snapshot.segment.summary.index == 3
    with pytest.raises(ValueError, match="best"):
        session.show_segment("best")


def test_the_factor_can_be_changed_while_training(make_session: Make) -> None:
    session = make_session()
    session.start()
    wait_for(session, lambda s: s.iteration >= 2)
    session.set("replay.factor", 1.0)
    wait_for(session, lambda s: s.replay.segments == 16)
    session.set("replay.factor", 0.0)
    wait_for(session, lambda s: s.replay.segments == 8)
