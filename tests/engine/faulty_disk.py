"""Disks that stop the process, lose the power or run full at the Nth operation."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from engine.durable import Disk


class Killed(BaseException):
    """The process ends here: nothing may run after it."""


class HastyDisk(Disk):
    """Does not wait for the medium; small writes, so that a small file takes many."""

    chunk_bytes = 24

    def sync(self, descriptor: int) -> None: ...

    def sync_folder(self, path: Path) -> None: ...


class FaultyDisk(HastyDisk):
    """Calls `fault` in place of operation number `at`. `calls` counts the operations so far, `struck` is that one."""

    def __init__(self, at: int, fault: Callable[[], None], chunk_bytes: int = 24) -> None:
        self.chunk_bytes = chunk_bytes
        self.at = at
        self.calls = 0
        self.dead = False
        self.struck = "nothing"
        self._fault = fault

    def _operation(self, kind: str) -> None:
        if self.dead:
            raise Killed
        self.calls += 1
        if self.calls == self.at:
            self.struck = kind
            try:
                self._fault()
            except Killed:
                self.dead = True
                raise

    def create(self, path: Path) -> int:
        self._operation("create")
        return super().create(path)

    def open_append(self, path: Path) -> int:
        self._operation("open_append")
        return super().open_append(path)

    def write(self, descriptor: int, data: memoryview) -> int:
        dead = self.dead
        try:
            self._operation("write")
        except BaseException:
            if not dead:
                super().write(descriptor, data[: len(data) // 2])  # a torn write: the first half arrived
            raise
        return super().write(descriptor, data)

    def truncate(self, descriptor: int, size: int) -> None:
        self._operation("truncate")
        super().truncate(descriptor, size)

    def sync(self, descriptor: int) -> None:
        self._operation("sync")

    def sync_folder(self, path: Path) -> None:
        self._operation("sync_folder")

    def make_folder(self, path: Path) -> None:
        self._operation("make_folder")
        super().make_folder(path)

    def rename(self, source: Path, target: Path) -> None:
        self._operation("rename")
        super().rename(source, target)

    def remove_file(self, path: Path) -> None:
        self._operation("remove_file")
        super().remove_file(path)

    def remove_tree(self, path: Path) -> None:
        dead = self.dead
        try:
            self._operation("remove_tree")
        except BaseException:
            for victim in sorted(path.rglob("*"))[: not dead]:  # the first file is gone already
                victim.unlink()
            raise
        super().remove_tree(path)


class PowerLossDisk(FaultyDisk):
    """Remembers what is not synced yet, so that `lose` can take it away as a power loss may."""

    def __init__(self, at: int, fault: Callable[[], None], chunk_bytes: int = 24) -> None:
        super().__init__(at, fault, chunk_bytes)
        self._unsynced_content: set[int] = set()
        self._unsynced_names: list[tuple[int, Callable[[], None]]] = []
        """Inode of the folder that holds the name, and what takes the name back."""

    def create(self, path: Path) -> int:
        descriptor = super().create(path)
        inode, folder = os.fstat(descriptor).st_ino, path.parent.stat().st_ino
        self._unsynced_content.add(inode)

        def undo() -> None:
            for file in self._root.rglob(path.name):  # its folder may have another name by now
                if file.stat().st_ino == inode:
                    file.unlink()

        self._unsynced_names.append((folder, undo))
        return descriptor

    def sync(self, descriptor: int) -> None:
        super().sync(descriptor)
        self._unsynced_content.discard(os.fstat(descriptor).st_ino)

    def make_folder(self, path: Path) -> None:
        super().make_folder(path)
        self._unsynced_names.append((path.parent.stat().st_ino, lambda: shutil.rmtree(path, ignore_errors=True)))

    def rename(self, source: Path, target: Path) -> None:
        before = target.read_bytes() if target.is_file() else None
        super().rename(source, target)

        def undo() -> None:
            if target.exists():
                target.rename(source)
            if before is not None:
                target.write_bytes(before)

        self._unsynced_names.append((target.parent.stat().st_ino, undo))

    def sync_folder(self, path: Path) -> None:
        super().sync_folder(path)
        folder = path.stat().st_ino
        self._unsynced_names = [(parent, undo) for parent, undo in self._unsynced_names if parent != folder]

    def lose(self, root: Path) -> None:
        """Take away all that no sync has made durable: first the content of files, then names, the last one first."""
        self._root = root
        for file in [path for path in root.rglob("*") if path.is_file()]:
            if file.stat().st_ino in self._unsynced_content:
                os.truncate(file, 0)
        for _, undo in reversed(self._unsynced_names):
            undo()


def kill() -> None:
    raise Killed


def no_space() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
