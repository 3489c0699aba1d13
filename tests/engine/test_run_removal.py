"""Deleting a run takes one run folder away, and nothing else whatever stands in its place."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.durable import Disk
from engine.errors import RunError
from engine.run_folder import RunFolder
from engine.run_listing import folder_bytes, list_runs
from engine.run_removal import delete_run


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "runs"


def make(root: Path, name: str) -> Path:
    """A run that has ended, with a checkpoint."""
    with RunFolder.create(root, name, "breakout", "[env]\n", {"seed": 3}) as folder:
        folder.append_metrics({"iteration": 1, "step": 100})
        (folder.checkpoints_dir / "step-000000000100").mkdir()
        (folder.checkpoints_dir / "step-000000000100" / "policy.safetensors").write_bytes(b"x" * 5000)
        folder.set_state("finished")
    return folder.path


def everything(folder: Path) -> dict[str, bytes | None]:
    """Every name below `folder` with its content."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() and not path.is_symlink() else None
        for path in sorted(folder.rglob("*"))
    }


def test_a_run_is_removed_whole_and_the_others_stay(root: Path) -> None:
    gone, kept = make(root, "gone"), make(root, "kept")
    size, before = folder_bytes(gone), everything(kept)
    assert size > 5000
    assert RunFolder.delete(root, "gone") == size
    assert os.listdir(root) == ["kept"]
    assert everything(kept) == before


def test_a_run_that_trains_is_refused_until_its_process_lets_go(root: Path) -> None:
    with RunFolder.create(root, "live", "breakout", "[env]\n", {}) as folder:
        folder.set_state("running")
        before = everything(folder.path)
        with pytest.raises(RunError, match=rf"'live' is being written by process {os.getpid()} on .*: stop it first"):
            delete_run(root, "live")
        assert everything(folder.path) == before
    delete_run(root, "live")
    assert list_runs(root) == []


def test_a_run_whose_record_is_damaged_can_be_removed(root: Path) -> None:
    path = make(root, "bad")
    (path / "run.json").write_text("junk")
    delete_run(root, "bad")
    assert os.listdir(root) == []


@pytest.mark.parametrize("name", ["", ".", "..", "../outside", "/etc", "a/b", "run/", "a\0b"])
def test_only_a_name_in_the_folder_of_runs_is_taken(root: Path, tmp_path: Path, name: str) -> None:
    make(root, "run")
    make(tmp_path, "outside")
    before = everything(tmp_path)
    with pytest.raises(RunError, match="is not the name of a run"):
        delete_run(root, name)
    assert everything(tmp_path) == before


def test_what_is_no_run_is_left_alone(root: Path) -> None:
    make(root, "run")
    (root / "notes").mkdir()
    (root / "notes" / "thesis.txt").write_text("years of work")
    (root / "file").write_text("x")
    before = everything(root)
    for name, said in (
        ("notes", "is not a run folder"),
        ("file", "is not a run folder"),
        ("absent", "there is no run"),
    ):
        with pytest.raises(RunError, match=said):
            delete_run(root, name)
    assert everything(root) == before


def test_a_link_to_a_run_is_refused_and_links_inside_a_run_are_not_followed(root: Path, tmp_path: Path) -> None:
    elsewhere = make(tmp_path / "other", "precious")
    run = make(root, "run")
    (root / "link").symlink_to(elsewhere)
    (run / "checkpoints" / "link").symlink_to(elsewhere)
    (run / "loop").symlink_to(root)
    before = everything(elsewhere)
    with pytest.raises(RunError, match="'link' is a link and no run"):
        delete_run(root, "link")
    delete_run(root, "run")
    assert everything(elsewhere) == before
    assert os.listdir(root) == ["link"]


class Sabotaged(Disk):
    """Refuses one kind of step."""

    def __init__(self, step: str) -> None:
        self._step = step

    def rename(self, source: Path, target: Path) -> None:
        if self._step == "rename":
            raise PermissionError(13, "Permission denied", str(source))
        super().rename(source, target)

    def remove_tree(self, path: Path) -> None:
        if self._step == "remove":
            shutil.rmtree(path / "checkpoints")
            raise PermissionError(13, "Permission denied", "metrics.jsonl")
        super().remove_tree(path)


def test_a_disk_that_refuses_leaves_the_run_as_it_was(root: Path) -> None:
    path = make(root, "run")
    before = everything(path)
    with pytest.raises(RunError, match="cannot delete the run 'run': Permission denied"):
        delete_run(root, "run", Sabotaged("rename"))
    assert everything(path) == before


def test_what_could_not_be_removed_is_told_and_is_no_run_any_more(root: Path) -> None:
    make(root, "run")
    with pytest.raises(
        RunError, match=r"no longer listed, but not all .*: Permission denied \(metrics.jsonl\)"
    ) as told:
        delete_run(root, "run", Sabotaged("remove"))
    assert list_runs(root) == []
    (rest,) = root.iterdir()
    assert repr(str(rest)) in str(told.value)
    assert (rest / "metrics.jsonl").exists()


@pytest.fixture
def locked_root(root: Path) -> Iterator[Path]:
    make(root, "run")
    root.chmod(0o500)
    yield root
    root.chmod(0o700)


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_is_told(locked_root: Path) -> None:
    with pytest.raises(RunError, match="cannot delete the run 'run'"):
        delete_run(locked_root, "run")


def test_hostile_names_are_told_as_text_and_long_ones_can_be_removed(root: Path) -> None:
    long = "x" * 255
    make(root, "run").rename(root / long)
    delete_run(root, long)
    assert list_runs(root) == []
    with pytest.raises(RunError) as told:
        delete_run(root, "\x1b[31mred")
    assert "\x1b" not in str(told.value)
    assert "there is no run" in str(told.value)
