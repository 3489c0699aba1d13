"""The runs of a folder, listed again and again: only what has changed since the last time is read."""

from __future__ import annotations

import dataclasses
import math
import os
import time
from collections.abc import Callable
from pathlib import Path

from engine.durable import DISK, Disk
from engine.run_listing import EVENTS, METRICS, RUN_JSON, RunInfo, folder_bytes, is_run, newest_first, run_info

_Stamp = tuple[tuple[int, int, int] | None, ...]
"""When files were changed, how large they are and which they are; None for one that is not there."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Known:
    """What was found of a run, and the stamps of what it was found in."""

    info: RunInfo
    files: _Stamp
    folders: _Stamp | None
    """None where the size has not been measured yet."""


class RunCatalogue:
    """Lists the runs under `root` as `RunFolder.list` does, for a reader that looks every few seconds.

    One thread at a time may use it. A thousand runs that rest cost some thousand calls of stat.
    """

    def __init__(self, root: Path, disk: Disk = DISK, clock: Callable[[], float] = time.monotonic) -> None:
        self.root = root
        self._disk = disk
        self._clock = clock
        self._known: dict[Path, _Known] = {}

    def list(self, seconds: float = math.inf) -> list[RunInfo]:
        """The runs, newest first; empty where `root` is not there.

        Sizes are measured for at most about `seconds`: what is not measured then has the size of the last time, or
        None, and later calls go on with it.
        """
        deadline = self._clock() + seconds
        try:
            with os.scandir(self.root) as entries:
                paths = [self.root / entry.name for entry in entries if not entry.name.startswith(".")]
        except OSError:
            paths = []
        known = {path: self._look(path) for path in paths if is_run(path)}
        for path in sorted(known, key=lambda path: known[path].info.bytes is not None):
            if self._clock() >= deadline:
                break
            known[path] = _measured(path, known[path])
        self._known = known
        return newest_first(run.info for run in known.values())

    def free_bytes(self) -> int | None:
        """What this user may still write on the disk of `root`; None where nobody can tell."""
        try:
            return self._disk.space(self.root).free
        except OSError:
            return None

    def _look(self, path: Path) -> _Known:
        """What is known of a run where its files are as they were and no process could end unseen, else a new look."""
        before = self._known.get(path)
        files = _stamp(path / RUN_JSON, path / METRICS)
        if before is not None and before.files == files and not before.info.live:
            return before
        info = run_info(path, measure=False)
        if before is None:
            return _Known(info, files, None)
        return _Known(dataclasses.replace(info, bytes=before.info.bytes), files, before.folders)


def _measured(path: Path, run: _Known) -> _Known:
    """`run` with its size, measured anew where a file came or went or the growing ones have grown."""
    folders = _stamp(path, path / "checkpoints", path / RUN_JSON, path / METRICS, path / EVENTS)
    if run.folders == folders:
        return run
    return _Known(dataclasses.replace(run.info, bytes=folder_bytes(path)), run.files, folders)


def _stamp(*paths: Path) -> _Stamp:
    return tuple(_stamp_of(path) for path in paths)


def _stamp_of(path: Path) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
