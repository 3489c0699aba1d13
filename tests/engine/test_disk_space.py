"""Room on the disk: what a run needs is known before it begins, and a disk that fills up is told in time."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import RunError, TrainingSession
from engine.checkpoint import checkpoint_bytes
from engine.disk_space import LowSpaceWarning, require_room, size_text
from engine.durable import Disk, Space
from engine.resume import largest_checkpoint, save_state
from engine.run_folder import RunFolder
from engine.trainer import Trainer
from tests.engine.conftest import lines, wait_for

MakeTrainer = Callable[..., Trainer]
MakeSession = Callable[..., TrainingSession]


class Scripted(Disk):
    """Tells the room that the test decides."""

    def __init__(self, *free: int) -> None:
        self.free = list(free)
        self.asked: list[Path] = []

    def space(self, path: Path) -> Space:
        if not path.exists():
            raise FileNotFoundError(path)
        self.asked.append(path)
        return Space(self.free.pop(0) if len(self.free) > 1 else self.free[0], 1000)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (999, "999 bytes"),
        (1000, "1.0 kB (1,000 bytes)"),
        (70_312_345, "70.3 MB (70,312,345 bytes)"),
        (5 * 10**9, "5.0 GB"),
    ],
)
def test_a_size_is_told_for_people_and_exactly(size: int, text: str) -> None:
    assert size_text(size).startswith(text)


def test_three_checkpoints_must_fit_at_the_start(tmp_path: Path) -> None:
    require_room(tmp_path, 100, disk=Scripted(300))
    with pytest.raises(
        RunError, match=r"3 checkpoints.* need 300 bytes, 299 bytes are free; free some space.*--runs"
    ) as caught:
        require_room(tmp_path, 100, disk=Scripted(299))
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("present", "needed"), [(1, 200), (2, 100), (9, 100)])
def test_what_a_resumed_run_has_already_makes_room_for_all_but_the_next(
    tmp_path: Path, present: int, needed: int
) -> None:
    require_room(tmp_path, 100, present, Scripted(needed))
    with pytest.raises(RunError, match=f"{needed} bytes, {needed - 1} bytes are free"):
        require_room(tmp_path, 100, present, Scripted(needed - 1))


def test_the_disk_of_a_folder_that_is_not_there_yet_is_its_parents(tmp_path: Path) -> None:
    disk = Scripted(1000)
    require_room(tmp_path / "runs" / "deep", 1, disk=disk)
    assert disk.asked == [tmp_path]
    assert os.listdir(tmp_path) == []


def test_a_system_that_does_not_tell_its_room_stops_nobody(tmp_path: Path) -> None:
    class Silent(Disk):
        def space(self, path: Path) -> Space:
            raise PermissionError(13, "no")

    require_room(tmp_path, 10**15, disk=Silent())
    assert LowSpaceWarning(Silent()).look(tmp_path) is None


def test_a_nearly_full_disk_is_told_once_and_again_after_it_had_recovered(tmp_path: Path) -> None:
    warning = LowSpaceWarning(Scripted(500, 50, 49, 40, 55, 49, 60, 51, 49, 0))
    told = [warning.look(tmp_path) for _ in range(10)]
    assert [text is not None for text in told] == [False, False, True, False, False, False, False, False, True, False]
    assert "49 bytes are free, 4.9% of it; make room" in str(told[2])


@pytest.mark.parametrize(
    ("sets", "name"),
    [
        (("replay.factor=0",), "breakout.toml"),
        (("replay.factor=1.5",), "breakout.toml"),
        (("replay.factor=2", "train.optimizer=adam", "policy.core=mingru", "policy.layers=2"), "breakout.toml"),
        (("replay.factor=1", "env.config.map_size=5", "env.config.num_maps=2"), "maze.toml"),
        (("replay.factor=1",), "multiagent.toml"),
    ],
)
def test_the_largest_checkpoint_is_known_before_the_first_iteration(
    make_trainer: MakeTrainer, sets: tuple[str, ...], name: str
) -> None:
    """Parameters, moments, environments and all segments that replay will keep: no less than comes, hardly more."""
    trainer = make_trainer(*sets, name=name)
    before = largest_checkpoint(trainer)
    for _ in range(4):
        trainer.iterate()
    grown = checkpoint_bytes(save_state(trainer, {}))
    assert grown <= before < 1.05 * grown
    assert grown <= largest_checkpoint(trainer) < 1.05 * grown


class Room:
    """Bytes that a test leaves free on the disk that every run sees."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.free, self.total = 10**12, 2 * 10**12
        monkeypatch.setattr(Disk, "space", lambda disk, path: Space(self.free, self.total))


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Room:
    return Room(monkeypatch)


def test_a_run_without_room_for_three_checkpoints_does_not_begin(
    make_session: MakeSession, room: Room, tmp_path: Path
) -> None:
    room.free = 10_000
    session = make_session("replay.factor=1")
    session.start()
    assert session.join(60)
    assert isinstance(session.exception, RunError)
    assert re.search(r"not enough room in .*runs.*: 3 checkpoints", str(session.snapshot().error))
    assert os.listdir(tmp_path) == []


def test_a_resumed_run_without_room_leaves_the_run_as_it_was(make_session: MakeSession, room: Room) -> None:
    first = make_session("train.total_steps=128")
    first.start()
    assert first.join(60)
    assert first.folder is not None
    before = {path: path.read_bytes() for path in first.folder.rglob("*") if path.is_file()}
    room.free = 10_000
    second = make_session("train.total_steps=256", resume=first.folder)
    second.start()
    assert second.join(60)
    assert "not enough room" in str(second.snapshot().error)
    after = {path: path.read_bytes() for path in first.folder.rglob("*") if path.is_file()}
    before_record, after_record = (json.loads(each.pop(first.folder / "run.json")) for each in (before, after))
    assert after == before
    assert after_record["state"] == before_record["state"] == "finished"


def test_training_goes_on_over_a_full_disk_and_says_so(make_session: MakeSession, room: Room) -> None:
    """The old checkpoint stays whole, no temporary is left, and with room again the next one is saved."""
    session = make_session("run.checkpoint_every=3")
    session.start()
    wait_for(session, lambda s: s.checkpoint is not None)
    room.free = 4096
    told = wait_for(session, lambda s: any("no checkpoint" in line.text for line in s.log))
    later = wait_for(session, lambda s: s.iteration > told.iteration + 3)
    warnings = [line.text for line in told.log if line.level == "warning"]
    assert sum("nearly full" in text for text in warnings) == 1
    assert any("4.1 kB (4,096 bytes) are free" in text for text in warnings)
    assert later.state in ("running", "saving")
    assert session.folder is not None
    folder = RunFolder.read(session.folder)
    assert folder.newest_good()[0].name == later.checkpoint
    assert not [name for name in os.listdir(folder.checkpoints_dir) if name.startswith(".")]
    room.free = 10**12
    wait_for(session, lambda s: s.checkpoint != later.checkpoint)
    assert session.folder is not None
    kinds = [event["kind"] for event in lines(session.folder / "events.jsonl")]
    assert kinds.count("warning") >= 2
    room.free = 4096
    wait_for(session, lambda s: sum("nearly full" in line.text for line in s.log) == 2)
