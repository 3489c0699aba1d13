"""One writer for a run folder, and the truth about whether a run's process lives."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import time
from pathlib import Path

from engine.durable import FILE_MODE

LOCK_NAME = "lock"


class RunLock:
    """An advisory lock on the file `lock` of a run folder. The kernel drops it when the process ends in any way."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    @classmethod
    def acquire(cls, folder: Path, patience: float = 0.5) -> RunLock | None:
        """The lock of `folder`, or None where another holds it, in this process or any other.

        `patience` is in seconds: `is_locked` elsewhere may hold the lock for a moment. OSError when the folder cannot
        be written or its file system has no locks.
        """
        descriptor = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
        deadline = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno in (errno.EWOULDBLOCK, errno.EINTR) and time.monotonic() < deadline:
                    time.sleep(0.02)
                    continue
                os.close(descriptor)
                if error.errno in (errno.EWOULDBLOCK, errno.EINTR):
                    return None
                raise
            return cls(descriptor)

    def release(self) -> None:
        """Let the next writer in. The file stays: to remove it would let two writers hold two files of one name."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def is_locked(folder: Path) -> bool:
    """A process, on this host or (where the file system tells) on another, writes to the run in `folder`."""
    try:
        descriptor = os.open(folder / LOCK_NAME, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno == errno.EWOULDBLOCK
    finally:
        os.close(descriptor)
    return False


def host_name() -> str:
    return socket.gethostname()


def process_start(pid: int) -> str | None:
    """A text that tells the process `pid` from any other that had or will have the same number; None if it is dead.

    On Linux it is the boot's identity and the start in clock ticks since boot: unlike a time of day it does not move
    when the clock is set.
    """
    if pid <= 0:
        return None
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        try:
            status = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            return None
        # The second field, the command in brackets, may hold spaces and brackets itself.
        fields = status.rpartition(")")[2].split()
        return None if fields[0] in ("Z", "X") else f"{boot}:{fields[19]}"
    return _process_start_elsewhere(pid)


def _process_start_elsewhere(pid: int) -> str | None:
    """`process_start` on systems without Linux's /proc."""
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except psutil.Error:
        return None


def writer_lives(folder: Path, pid: object, start: object, host: object) -> bool:
    """The process that run.json names (`pid`, its `process_start`, its host) still runs, and writes this run.

    Of another host only the lock can tell. Here it tells a process that has gone on to other work since.
    """
    if host == host_name() and not (type(pid) is int and start is not None and process_start(pid) == start):
        return False
    return is_locked(folder)
