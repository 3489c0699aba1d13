"""A run's folder after a fault at every single operation on the disk: the old content or the new, never neither.

The disks here stop the process, lose the power or run full at the Nth operation, for every N there is.
"""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from engine.checkpoint import Checkpoint, read_checkpoint
from engine.errors import RunError
from engine.run_folder import RunFolder
from tests.engine.faulty_disk import FaultyDisk, HastyDisk, Killed, PowerLossDisk, kill, no_space


def checkpoint(value: int) -> Checkpoint:
    """Every group and the manifest carry `value`, so that a mixture of two checkpoints would show."""
    groups = {group: {"w": torch.full((24,), float(value))} for group in ("policy", "optimizer", "state")}
    return Checkpoint(groups, {"value": value})


def value_of(found: Checkpoint) -> int:
    values = {float(x) for tensors in found.tensors.values() for x in tensors["w"]} | {float(found.manifest["value"])}
    assert len(values) == 1, f"a mixture: {values}"
    assert len(found.tensors) == 3
    return int(values.pop())


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """A run with checkpoints at steps 100, 200 and 300, the first the best, so that a further save also prunes."""
    with RunFolder.create(tmp_path / "template", "run", "p", "a = 1\n", {"seed": 1}, disk=HastyDisk()) as folder:
        for step in (100, 200, 300):
            folder.save_checkpoint(step, checkpoint(step), score=-step, keep=3)
        folder.append_metrics({"iteration": 1, "step": 300})
        return folder.path


def trials(template: Path, make: Callable[[int], FaultyDisk]) -> Iterator[tuple[Path, RunFolder, FaultyDisk]]:
    """A fresh copy of the run with a disk that fails at the Nth operation, for each N, until N is never reached."""
    at = 1
    while True:
        path = template.parent.parent / f"trial-{at}"
        shutil.copytree(template, path)
        folder = RunFolder.open(path, disk=HastyDisk())
        folder.set_state("running")
        disk = make(at)
        folder._disk = folder.checkpoints._disk = folder._metrics._disk = folder._events._disk = disk
        yield path, folder, disk
        folder.close()
        shutil.rmtree(path)
        if disk.calls < at:
            return
        at += 1


def look(path: Path) -> tuple[int, list[str]]:
    """What the next session finds: the value it resumes from, and the names in the checkpoints' folder.

    Whatever bears a checkpoint's name is whole, also one whose removal was interrupted.
    """
    with RunFolder.open(path, disk=HastyDisk()) as folder:
        _, found, skipped = folder.newest_good()
        assert skipped == []
        for checkpoint_path in folder.checkpoints.paths():
            value_of(read_checkpoint(checkpoint_path))
        return value_of(found), sorted(os.listdir(folder.checkpoints_dir))


def assert_every_kind_was_struck(struck: Counter[str]) -> None:
    """A save syncs each of its four files and three times a folder, renames itself and what it removes."""
    assert struck["sync"] >= 4
    assert struck["sync_folder"] >= 3
    assert struck["rename"] >= 2
    assert struck["nothing"] == 1, "the last trial reaches the end"


def test_a_kill_at_every_operation_of_a_save_leaves_the_old_checkpoint_or_the_new(template: Path) -> None:
    """Also what a reader finds at that moment, before anybody cleans up, is whole."""
    seen: list[int] = []
    struck: Counter[str] = Counter()
    for path, folder, disk in trials(template, lambda at: FaultyDisk(at, kill, chunk_bytes=5)):
        saved = False
        with contextlib.suppress(Killed):
            folder.save_checkpoint(400, checkpoint(400), score=None, keep=2)
            saved = True
        assert value_of(RunFolder.read(path).newest_good()[1]) in (300, 400)
        folder.close()
        value, names = look(path)
        assert not any(name.startswith(".") for name in names)
        assert value == (400 if saved else value)
        assert value in (300, 400)
        seen.append(value)
        struck[disk.struck] += 1
    assert seen == sorted(seen), "once the new one is there it stays"
    assert struck["write"] + struck["sync"] + struck["sync_folder"] + struck["rename"] >= 200
    assert_every_kind_was_struck(struck)
    assert set(seen) == {300, 400}


def test_a_power_loss_at_every_operation_of_a_save_leaves_the_old_checkpoint_or_the_new(template: Path) -> None:
    """What was not synced is gone. A save that has returned survives even so."""
    seen: list[int] = []
    struck: Counter[str] = Counter()
    for path, folder, disk in trials(template, lambda at: PowerLossDisk(at, kill, chunk_bytes=5)):
        assert isinstance(disk, PowerLossDisk)
        saved = False
        with contextlib.suppress(Killed):
            folder.save_checkpoint(400, checkpoint(400), score=None, keep=2)
            saved = True
        folder.close()
        disk.lose(path)
        value, _ = look(path)
        assert value == 400 if saved else value in (300, 400)
        seen.append(value)
        struck[disk.struck] += 1
    assert struck["write"] + struck["sync"] + struck["sync_folder"] + struck["rename"] >= 200
    assert_every_kind_was_struck(struck)
    assert set(seen) == {300, 400}


def test_a_full_disk_at_every_operation_of_a_save_keeps_the_old_and_says_so(template: Path) -> None:
    failures = 0
    for path, folder, disk in trials(template, lambda at: FaultyDisk(at, no_space)):
        saved, said = False, ""
        try:
            folder.save_checkpoint(400, checkpoint(400), score=None, keep=2)
            saved = True
        except RunError as error:
            said = str(error)
            failures += 1
        assert saved or ("No space left on device" in said and "untouched" in said)
        disk.at, calls = 0, disk.calls
        left = os.listdir(folder.checkpoints_dir)
        assert saved or not any(name.startswith(".") for name in left), "the temporary is gone"
        assert {"step-000000000100", "step-000000000300"} <= set(left)
        # The save that follows, with room again, needs no new session.
        assert folder.save_checkpoint(500, checkpoint(500), score=None, keep=2).exists()
        assert value_of(folder.newest_good()[1]) == 500
        folder.close()
        assert look(path)[0] == 500
        disk.calls = calls
    assert failures > 50


def test_a_kill_at_every_operation_of_a_second_save_at_one_step_leaves_one_of_the_two(template: Path) -> None:
    seen: list[int] = []
    for path, folder, _ in trials(template, lambda at: PowerLossDisk(at, kill)):
        with contextlib.suppress(Killed):
            folder.save_checkpoint(300, checkpoint(301), score=None, keep=2)
        folder.close()
        seen.append(look(path)[0])
    assert set(seen) == {300, 301}
    assert seen == sorted(seen)


def test_a_kill_at_every_operation_leaves_run_json_old_or_new(template: Path) -> None:
    seen = []
    for path, folder, disk in trials(template, lambda at: PowerLossDisk(at, kill)):
        assert isinstance(disk, PowerLossDisk)
        with contextlib.suppress(Killed):
            folder.set_state("finished", step=300)
        folder.close()
        disk.lose(path)
        seen.append(RunFolder.read(path).record["state"])
    assert seen[0] == "running"
    assert seen[-1] == "finished"
    assert set(seen) == {"running", "finished"}


def test_a_kill_at_every_operation_of_a_metrics_rewrite_leaves_the_old_or_the_new(template: Path) -> None:
    with RunFolder.open(template, disk=HastyDisk()) as folder:
        for iteration in (2, 3, 4):
            folder.append_metrics({"iteration": iteration})
    seen = []
    for path, folder, disk in trials(template, lambda at: PowerLossDisk(at, kill)):
        assert isinstance(disk, PowerLossDisk)
        with contextlib.suppress(Killed):
            folder.truncate_metrics_after(2)
        folder.close()
        disk.lose(path)
        seen.append([record["iteration"] for record in RunFolder.read(path).read_metrics()])
    assert seen[0] == [1, 2, 3, 4]
    assert seen[-1] == [1, 2]
    assert all(numbers in ([1, 2, 3, 4], [1, 2]) for numbers in seen)


def test_a_full_disk_at_every_operation_of_making_a_run_leaves_no_folder(tmp_path: Path) -> None:
    for at in range(1, 1000):
        disk = FaultyDisk(at, no_space)
        try:
            with RunFolder.create(tmp_path / "runs", "run", "p", "a = 1\n", {}, disk=disk):
                break
        except RunError as error:
            said = str(error)
        assert "No space left on device" in said
        assert not (tmp_path / "runs" / "run").exists()
    assert 10 < at < 999


def test_a_full_disk_at_a_metrics_line_is_a_run_error_and_later_lines_are_whole(template: Path) -> None:
    for path, folder, disk in trials(template, lambda at: FaultyDisk(at, no_space)):
        for iteration in (2, 3, 4):
            with contextlib.suppress(RunError):
                folder.append_metrics({"iteration": iteration})
        disk.at = 0
        folder.append_metrics({"iteration": 5})
        folder.close()
        numbers = [record["iteration"] for record in RunFolder.read(path).read_metrics()]
        assert numbers[0] == 1
        assert numbers[-1] == 5
        assert len(numbers) >= 4, "only the line that failed is missing"
        text = (path / "metrics.jsonl").read_text()
        assert text.count("\n") == len(numbers)
        assert text.endswith("\n")


def test_a_file_size_limit_of_the_system_is_met_like_a_full_disk(template: Path) -> None:
    """The kernel itself refuses here, in the middle of whichever file is the first to be too large."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    refused = 0
    for limit in range(0, 1100, 50):
        with RunFolder.open(template, disk=HastyDisk()) as folder:
            before = folder.checkpoints.paths()
            said = ""
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
            try:
                folder.save_checkpoint(1000 + limit, checkpoint(1000 + limit), keep=2)
            except RunError as error:
                said = str(error)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            if said:
                refused += 1
                assert "too large" in said
                assert sorted(os.listdir(folder.checkpoints_dir)) == [path.name for path in before]
    assert 0 < refused < 22


def test_a_real_process_that_ends_amid_a_save_leaves_a_run_that_opens(template: Path) -> None:
    """The kernel drops the dead writer's lock, and what it had written is what the next one finds."""
    for at in range(3, 140, 15):
        path = template.parent.parent / f"real-{at}"
        shutil.copytree(template, path)
        child = os.fork()
        if child == 0:
            try:
                folder = RunFolder.open(path, disk=HastyDisk())
                folder.checkpoints._disk = FaultyDisk(at, lambda: os._exit(9))
                folder.save_checkpoint(400, checkpoint(400), keep=2)
            finally:
                os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) in (0, 9)
        assert RunFolder.list(path.parent)[-1].state
        assert look(path)[0] in (300, 400)
