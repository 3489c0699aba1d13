"""Writing so that a crash, a kill or a full disk leaves the old content or the new, never a part.

Every change that a run makes on disk goes through a `Disk`, whose methods are the only places where the kernel is asked
to change something. A test hands in a `Disk` that fails or stops at the Nth of them.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

TEMPORARY_PREFIX = ".tmp-"
"""Names that begin so are unfinished or half removed: readers ignore them, the next writer clears them."""

FOLDER_MODE = 0o700
FILE_MODE = 0o600


class Space(NamedTuple):
    """Bytes of a file system: those that this user may still write, and all."""

    free: int
    total: int


class Disk:
    """The operations on files and folders that a run needs, each one system call (or one removal)."""

    chunk_bytes = 1 << 20
    """Bytes handed to one write, so that a large file does not hold the kernel in a single call."""

    def create(self, path: Path) -> int:
        """Descriptor of a new file, 0600. FileExistsError where there is one."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)

    def open_append(self, path: Path) -> int:
        """Descriptor that writes at the end of `path`, made 0600 where there is none."""
        return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)

    def write(self, descriptor: int, data: memoryview) -> int:
        """Write a first part of `data`; returns its length."""
        return os.write(descriptor, data)

    def truncate(self, descriptor: int, size: int) -> None:
        os.ftruncate(descriptor, size)

    def sync(self, descriptor: int) -> None:
        """Return once the file's content is on the medium."""
        os.fsync(descriptor)

    def close(self, descriptor: int) -> None:
        os.close(descriptor)

    def make_folder(self, path: Path) -> None:
        os.mkdir(path, FOLDER_MODE)

    def sync_folder(self, path: Path) -> None:
        """Return once the names in the folder `path` are on the medium."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        except OSError as error:
            # Some network and user-space file systems cannot sync a folder and say so; their renames need no sync.
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):
                raise
        finally:
            os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        os.rename(source, target)

    def remove_file(self, path: Path) -> None:
        os.unlink(path)

    def remove_tree(self, path: Path) -> None:
        shutil.rmtree(path)

    def space(self, path: Path) -> Space:
        """The room on the file system of `path`."""
        usage = shutil.disk_usage(path)
        return Space(usage.free, usage.total)


DISK = Disk()


def reason(error: OSError) -> str:
    """The system's words for `error`, without the path and number that str() adds: "No space left on device"."""
    return error.strerror or type(error).__name__


def write_all(disk: Disk, descriptor: int, data: bytes) -> None:
    """Write the whole of `data`, in pieces of at most `disk.chunk_bytes`."""
    rest = memoryview(data)
    while rest:
        written = disk.write(descriptor, rest[: disk.chunk_bytes])
        if written <= 0:
            raise OSError(errno.EIO, "the file system took no bytes")
        rest = rest[written:]


def write_file(disk: Disk, path: Path, data: bytes) -> None:
    """Make the file `path` with `data` in it, synced. Its name is durable once its folder is synced."""
    descriptor = disk.create(path)
    try:
        write_all(disk, descriptor, data)
        disk.sync(descriptor)
    finally:
        disk.close(descriptor)


def replace_file(disk: Disk, path: Path, data: bytes) -> None:
    """Give the file `path` the content `data` in one step: a reader finds the old content or the new."""
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{path.name}")
    try:
        with contextlib.suppress(FileNotFoundError):
            disk.remove_file(temporary)
        write_file(disk, temporary, data)
        disk.rename(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            disk.remove_file(temporary)
        raise
    disk.sync_folder(path.parent)


@contextlib.contextmanager
def new_folder(disk: Disk, path: Path) -> Iterator[Path]:
    """Fill the folder that this yields with synced files; on leaving it appears as `path`, complete and durable.

    When the body or a step of this raises, the unfinished folder is removed and nothing has changed.
    """
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{path.name}")
    try:
        if temporary.exists():
            disk.remove_tree(temporary)
        disk.make_folder(temporary)
        yield temporary
        disk.sync_folder(temporary)
        disk.rename(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            disk.remove_tree(temporary)
        raise
    disk.sync_folder(path.parent)


def remove_folder(disk: Disk, path: Path) -> None:
    """Remove a folder so that a crash midway leaves no half of it under its name."""
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{path.name}")
    if temporary.exists():
        disk.remove_tree(temporary)
    disk.rename(path, temporary)
    # Without this a power loss could bring the old name back over a folder that is half empty.
    disk.sync_folder(path.parent)
    disk.remove_tree(temporary)


def clear_temporaries(disk: Disk, folder: Path) -> None:
    """Remove what a crash left unfinished in `folder`. What cannot be removed stays, for the next time."""
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            if entry.name.startswith(TEMPORARY_PREFIX):
                with contextlib.suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        disk.remove_tree(Path(entry.path))
                    else:
                        disk.remove_file(Path(entry.path))
