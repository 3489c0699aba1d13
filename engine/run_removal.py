"""Removing a run: one whole run folder of the folder of runs, never anything else."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from engine.durable import DISK, TEMPORARY_PREFIX, Disk, reason
from engine.errors import RunError
from engine.run_listing import folder_bytes, is_run, plain_text, read_record
from engine.run_lock import RunLock


def delete_run(root: Path, name: str, disk: Disk = DISK) -> int:
    """Remove the run called `name` from `root`; returns the bytes that it took.

    The run's lock is held meanwhile, so that nobody trains it. Links are neither followed nor taken for runs. RunError
    where `name` is no run of `root`, where a process writes it, and where the disk refuses: then either nothing has
    changed, or the message says where the remains are.
    """
    path = root / name
    _require_folder_of(root, path, name)
    try:
        lock = RunLock.acquire(path)
    except OSError as error:
        raise RunError(f"cannot delete the run '{plain_text(name)}': cannot lock it: {reason(error)}") from error
    if lock is None:
        record = read_record(path) or {}
        raise RunError(
            f"the run '{plain_text(name)}' is being written by process {plain_text(str(record.get('pid', '?')))} on "
            f"{plain_text(str(record.get('host', '?')))}: stop it first"
        )
    try:
        return _remove(path, name, disk)
    finally:
        lock.release()


def _require_folder_of(root: Path, path: Path, name: str) -> None:
    """RunError unless `path` is itself, and not by a link, a run's folder directly in `root`."""
    if not name or name in (os.curdir, os.pardir) or os.sep in name or "\0" in name:
        raise RunError(f"'{plain_text(name)}' is not the name of a run in {str(root)!r}")
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        raise RunError(f"there is no run '{plain_text(name)}' in {str(root)!r} any more") from None
    except OSError as error:
        raise RunError(f"cannot delete the run '{plain_text(name)}': {reason(error)}") from error
    if stat.S_ISLNK(mode):
        raise RunError(f"'{plain_text(name)}' is a link and no run of {str(root)!r}: remove the link itself")
    if not is_run(path):
        raise RunError(f"'{plain_text(name)}' in {str(root)!r} is not a run folder")


def _remove(path: Path, name: str, disk: Disk) -> int:
    """Take the run out of the list in one step, then remove what it holds."""
    size = folder_bytes(path)
    # Of a fixed length: the name of the run itself may be as long as names can be.
    away = path.with_name(f"{TEMPORARY_PREFIX}deleted-{os.getpid()}-{path.lstat().st_ino}")
    try:
        disk.rename(path, away)
    except OSError as error:
        raise RunError(f"cannot delete the run '{plain_text(name)}': {reason(error)}") from error
    try:
        # Without this a power loss could bring the old name back over a folder that is half empty.
        disk.sync_folder(path.parent)
        disk.remove_tree(away)
    except OSError as error:
        where = f" ({plain_text(os.path.basename(error.filename))})" if isinstance(error.filename, str) else ""
        raise RunError(
            f"the run '{plain_text(name)}' is no longer listed, but not all of it could be removed: {reason(error)}"
            f"{where}; the rest is in {str(away)!r}"
        ) from error
    return size
