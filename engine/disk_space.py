"""Whether what a run saves fits on its disk: a check before it begins, and a warning while it trains."""

from __future__ import annotations

from pathlib import Path

from engine.durable import DISK, Disk, Space
from engine.errors import RunError

CHECKPOINTS_AT_START = 3
"""A run begins where so many checkpoints fit: two that stay, and the one that is being written."""
LOW_SHARE = 0.05
RECOVERED_SHARE = 0.06
"""A disk that was low counts as recovered from here on; the gap keeps one that hovers from warning at every look."""


def size_text(size: int) -> str:
    """A size for people and exactly: "70.3 MB (70,312,345 bytes)"; below a kilobyte only the bytes."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit} ({size:,} bytes)"
    return f"{size:,} bytes"


def require_room(folder: Path, checkpoint: int, present: int = 0, disk: Disk = DISK) -> None:
    """RunError unless checkpoints of `checkpoint` bytes fit on the disk of `folder`, which need not be there yet.

    `present` is how many the run has already: they make room for those to come, but for the one being written.
    """
    count = max(1, CHECKPOINTS_AT_START - present)
    space = _space(folder, disk)
    if space is None or count * checkpoint <= space.free:
        return
    what = (
        "the next checkpoint needs" if count == 1 else f"{count} checkpoints, the least a run must have room for, need"
    )
    raise RunError(
        f"not enough room in {str(folder)!r}: {what} {size_text(count * checkpoint)}, {size_text(space.free)} are "
        "free; free some space, name a folder on another disk with --runs, or make the run smaller (policy.hidden, "
        "env.agents, replay.factor)"
    )


class LowSpaceWarning:
    """Says once that a disk is nearly full, and again only after it had recovered."""

    def __init__(self, disk: Disk = DISK) -> None:
        self._disk = disk
        self._low = False

    def look(self, folder: Path) -> str | None:
        """What there is to say about the disk of `folder` now; mostly nothing."""
        space = _space(folder, self._disk)
        if space is None or not space.total:
            return None
        share = space.free / space.total
        if self._low:
            self._low = share < RECOVERED_SHARE
            return None
        self._low = share < LOW_SHARE
        if not self._low:
            return None
        return (
            f"the disk of {str(folder)!r} is nearly full: {size_text(space.free)} are free, {share:.1%} of it; "
            "make room, or checkpoints will fail"
        )


def _space(folder: Path, disk: Disk) -> Space | None:
    """The room on the disk that holds `folder` or will; None where the system does not tell."""
    for place in (folder, *folder.absolute().parents):
        try:
            return disk.space(place)
        except FileNotFoundError:
            continue
        except OSError:
            return None
    return None
