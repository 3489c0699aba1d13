"""The checkpoints of a run: which there are, which is the newest good one and the best, which may go."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from pathlib import Path

from engine.checkpoint import Checkpoint, Manifest, checkpoint_bytes, read_checkpoint, read_manifest, write_checkpoint
from engine.disk_space import size_text
from engine.durable import DISK, Disk, clear_temporaries, reason, remove_folder
from engine.errors import CheckpointError, RunError

Found = tuple[Path, Checkpoint, list[str]]
"""A checkpoint's folder, what was read from it, and one line for each newer one that could not be read."""

_NAME = re.compile(r"step-(\d{12,18})(?:-(\d{1,9}))?")


def checkpoint_name(step: int, revision: int = 1) -> str:
    """Folder name of a checkpoint. A second one at the same step is a revision: "step-000000001000-2"."""
    return f"step-{step:012d}" + (f"-{revision}" if revision > 1 else "")


def _order(path: Path) -> tuple[int, int]:
    """(step, revision) by a checkpoint's folder name."""
    match = _NAME.fullmatch(path.name)
    assert match is not None, path
    return int(match[1]), int(match[2] or 1)


class CheckpointStore:
    """The folder `checkpoints/` of one run. Reading needs no lock; only the run's writer saves, prunes and clears."""

    def __init__(self, folder: Path, disk: Disk = DISK) -> None:
        self.folder = folder
        self._disk = disk
        self._damaged: set[str] = set()

    def paths(self) -> list[Path]:
        """Every checkpoint folder, oldest step first, unread. Empty when there is none or the folder is not there."""
        try:
            return sorted((path for path in self.folder.iterdir() if _NAME.fullmatch(path.name)), key=_order)
        except OSError:
            return []

    def newest_step(self) -> int | None:
        """The step of the newest checkpoint, unread; None where there is none."""
        paths = self.paths()
        return _order(paths[-1])[0] if paths else None

    def save(self, step: int, checkpoint: Checkpoint, score: float | None, keep: int) -> Path:
        """Write a checkpoint durably, then remove those beyond the newest `keep` (at least 2) and the best by score.

        RunError when the disk refuses: nothing is left of the new one and the others stay. CheckpointError when the
        content may not be saved (non-finite weights).
        """
        revisions = [_order(path)[1] for path in self.paths() if _order(path)[0] == step]
        path = self.folder / checkpoint_name(step, max(revisions, default=0) + 1)
        self._require_space(path.name, checkpoint_bytes(checkpoint))
        write_checkpoint(path, checkpoint, step, score, self._disk)
        self.prune(max(2, keep), newest=path)
        return path

    def newest_good(self, groups: Iterable[str] | None = None) -> Found:
        """The newest checkpoint that reads without a fault, and one line for each newer one that did not.

        `groups` as in `read_checkpoint`. CheckpointError when there is none.
        """
        wanted = None if groups is None else tuple(groups)
        skipped: list[str] = []
        for _ in range(3):
            skipped.clear()
            paths = self.paths()
            for path in reversed(paths):
                try:
                    checkpoint = read_checkpoint(path, wanted)
                except CheckpointError as error:
                    self._damaged.add(path.name)
                    skipped.append(str(error))
                else:
                    return path, checkpoint, skipped
            # A run that trains prunes while a reader walks the list; then the list has changed: look again.
            if self.paths() == paths:
                break
        if not skipped:
            raise CheckpointError(f"no checkpoint in {str(self.folder)!r} yet")
        raise CheckpointError(f"no checkpoint in {str(self.folder)!r} can be read: " + "; ".join(skipped))

    def best(self) -> Path | None:
        """The checkpoint with the highest score (of equals the newest); None where none has a score."""
        scored = [
            (manifest.score, _order(path), path) for path, manifest in self._manifests() if manifest.score is not None
        ]
        return max(scored)[2] if scored else None

    def prune(self, keep: int, newest: Path | None = None) -> None:
        """Remove all but the newest `keep`, the best by score and `newest`; of one step only the last revision stays.

        A checkpoint known to be damaged counts for nothing and goes once `keep` sound ones are there. What cannot be
        removed stays: a removal is never worth an error.
        """
        paths = self.paths()
        sound = [path for path in paths if path.name not in self._damaged]
        last_revision = {_order(path)[0]: path for path in sound}
        kept = set(list(last_revision.values())[-keep:])
        if len(kept) < keep:
            kept.update(path for path in paths if path.name in self._damaged)
        if newest is not None:
            kept.add(newest)
        best = self.best()
        if best is not None:
            kept.add(best)
        for path in paths:
            if path not in kept:
                with contextlib.suppress(OSError):
                    remove_folder(self._disk, path)

    def clear_temporaries(self) -> None:
        """Remove what a crash left half written or half removed."""
        clear_temporaries(self._disk, self.folder)

    def _manifests(self) -> list[tuple[Path, Manifest]]:
        found = []
        for path in self.paths():
            if path.name not in self._damaged:
                with contextlib.suppress(CheckpointError):
                    found.append((path, read_manifest(path)))
        return found

    def _require_space(self, name: str, size: int) -> None:
        """RunError when `size` bytes plainly do not fit, before the disk is filled with a part of them."""
        try:
            free = self._disk.space(self.folder).free
        except OSError as error:
            raise RunError(f"cannot save checkpoint {name} in {str(self.folder)!r}: {reason(error)}") from error
        if size > free:
            raise RunError(
                f"cannot save checkpoint {name} in {str(self.folder)!r}: it needs {size_text(size)}, "
                f"{size_text(free)} are free; make room, the checkpoints already there are untouched"
            )
