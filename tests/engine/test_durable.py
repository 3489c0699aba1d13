"""Files and folders appear whole or not at all, and private."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from engine.durable import (
    DISK,
    Disk,
    clear_temporaries,
    new_folder,
    reason,
    remove_folder,
    replace_file,
    write_all,
    write_file,
)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_written_file_holds_its_data_and_is_private(tmp_path: Path) -> None:
    write_file(DISK, tmp_path / "a", b"hello")
    assert (tmp_path / "a").read_bytes() == b"hello"
    assert mode(tmp_path / "a") == 0o600


def test_writing_a_file_that_exists_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(FileExistsError):
        write_file(DISK, tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old"


def test_a_link_in_the_place_of_a_new_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "target")
    with pytest.raises(OSError, match="exists"):
        write_file(DISK, tmp_path / "a", b"new")
    assert not (tmp_path / "target").exists()


def test_replacing_a_file_leaves_no_temporary(tmp_path: Path) -> None:
    replace_file(DISK, tmp_path / "a", b"one")
    replace_file(DISK, tmp_path / "a", b"two")
    assert os.listdir(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"two"


def test_replacing_goes_on_over_the_leftover_of_a_crash(tmp_path: Path) -> None:
    (tmp_path / ".tmp-a").write_bytes(b"torn")
    replace_file(DISK, tmp_path / "a", b"whole")
    assert os.listdir(tmp_path) == ["a"]


def test_a_new_folder_appears_only_when_its_body_has_ended(tmp_path: Path) -> None:
    with new_folder(DISK, tmp_path / "f") as folder:
        write_file(DISK, folder / "a", b"1")
        assert not (tmp_path / "f").exists()
    assert (tmp_path / "f" / "a").read_bytes() == b"1"
    assert mode(tmp_path / "f") == 0o700


def test_a_new_folder_whose_body_raises_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> None:
        with new_folder(DISK, tmp_path / "f") as folder:
            write_file(DISK, folder / "a", b"1")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert os.listdir(tmp_path) == []


def test_files_are_synced_before_the_rename_and_the_parent_after_it(tmp_path: Path) -> None:
    """The order that makes a rename durable: content, names inside, new name, names outside."""
    done: list[str] = []

    class Witness(Disk):
        def sync(self, descriptor: int) -> None:
            done.append("sync file")

        def sync_folder(self, path: Path) -> None:
            done.append(f"sync {path.name}")

        def rename(self, source: Path, target: Path) -> None:
            done.append("rename")
            super().rename(source, target)

    disk = Witness()
    with new_folder(disk, tmp_path / "f") as folder:
        write_file(disk, folder / "a", b"1")
        write_file(disk, folder / "b", b"2")
    assert done == ["sync file", "sync file", "sync .tmp-f", "rename", f"sync {tmp_path.name}"]


def test_short_writes_are_completed_in_order(tmp_path: Path) -> None:
    class Stingy(Disk):
        def write(self, descriptor: int, data: memoryview) -> int:
            return super().write(descriptor, data[:3])

    write_file(Stingy(), tmp_path / "a", b"0123456789")
    assert (tmp_path / "a").read_bytes() == b"0123456789"


def test_a_write_that_takes_nothing_is_an_error_and_not_an_endless_loop() -> None:
    class Stuck(Disk):
        def write(self, descriptor: int, data: memoryview) -> int:
            return 0

    with pytest.raises(OSError, match="took no bytes"):
        write_all(Stuck(), -1, b"x")


def test_a_file_system_that_cannot_sync_folders_is_put_up_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(code: int) -> None:
        def fsync(_: int) -> None:
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(os, "fsync", fsync)

    refuse(errno.EINVAL)
    DISK.sync_folder(tmp_path)
    refuse(errno.EIO)
    with pytest.raises(OSError, match="Input/output"):
        DISK.sync_folder(tmp_path)


def test_a_removed_folder_is_gone_under_its_name_at_once(tmp_path: Path) -> None:
    """A kill amid the removal must not leave half a checkpoint that looks like one."""

    class Interrupted(Disk):
        def remove_tree(self, path: Path) -> None:
            raise OSError(errno.EIO, "no")

    (tmp_path / "f").mkdir()
    with pytest.raises(OSError, match="no"):
        remove_folder(Interrupted(), tmp_path / "f")
    assert os.listdir(tmp_path) == [".tmp-f"]
    clear_temporaries(DISK, tmp_path)
    assert os.listdir(tmp_path) == []


def test_clearing_takes_temporary_files_and_folders_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / ".tmp-file").write_text("x")
    (tmp_path / ".tmp-folder" / "deep").mkdir(parents=True)
    (tmp_path / "kept").mkdir()
    (tmp_path / ".tmp-link").symlink_to(tmp_path / "kept")
    clear_temporaries(DISK, tmp_path)
    assert os.listdir(tmp_path) == ["kept"]
    clear_temporaries(DISK, tmp_path / "absent")


def test_a_reason_is_the_systems_words_alone() -> None:
    assert reason(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/secret")) == os.strerror(errno.ENOSPC)
    assert reason(OSError("odd")) == "OSError"
