"""The terminal while the app runs: a private descriptor for Textual, and everybody else's output kept off the screen.

Libraries that write to descriptors 1 and 2 from C would draw over the panels. While `guarded` is open those two point
at a log, and Textual, which writes to `sys.__stderr__` and asks `sys.__stdout__` for the size, has a duplicate of the
terminal's.
"""

from __future__ import annotations

import io
import os
import select
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from perx_tui.ascii import ERRORS
from perx_tui.terminal import ascii_only as terminal_is_ascii


class TerminalFile(io.TextIOBase):
    """Text to a terminal. A terminal that has gone away swallows the text, where an exception would end Textual's
    writer thread and leave the app waiting for its queue. Counts what it wrote, so that the cost of the screen can be
    measured."""

    def __init__(self, descriptor: int, ascii_only: bool = False) -> None:
        """`ascii_only`: other characters are replaced by what comes near them."""
        super().__init__()
        self._encoding = ("ascii", ERRORS) if ascii_only else ("utf-8", "replace")
        self._descriptor = descriptor
        self._buffer: list[str] = []
        self.gone = False
        self.busy = False
        """There is text that the terminal has not taken yet."""
        self.bytes_written = 0

    def fileno(self) -> int:
        """The terminal's descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether it still is one."""
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, text: str, /) -> int:
        """Keep text until `flush`."""
        self.busy = True
        self._buffer.append(text)
        return len(text)

    def flush(self) -> None:
        """Write what was kept."""
        data = "".join(self._buffer).encode(*self._encoding)
        self._buffer.clear()
        while data and not self.gone:
            data = data[self._take(data) :]
        self.busy = False

    def _take(self, data: bytes) -> int:
        """How many bytes the terminal takes now."""
        try:
            written = os.write(self._descriptor, data)
        except BlockingIOError:
            select.select([], [self._descriptor], [], 1.0)
            return 0
        except OSError:
            self.gone = True
            return 0
        self.bytes_written += written
        return written


def hung_up(descriptor: int) -> bool:
    """Whether the terminal behind a descriptor has gone away. Reading such a terminal returns at once, forever."""
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(event & (select.POLLHUP | select.POLLERR | select.POLLNVAL) for _, event in poll.poll(0))


@contextmanager
def guarded(log: Path | None = None, ascii_only: bool = False) -> Iterator[TerminalFile]:
    """Lend the terminal to Textual, with ASCII characters only where that is wanted or all that it can show.

    Output that others write meanwhile goes to the end of `log`; without one it is kept in a temporary file and its end
    is written to standard error when the screen is closed.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    source = next((fd for fd in (1, 2, 0) if os.isatty(fd)), None)
    terminal = os.dup(source) if source is not None else os.open("/dev/tty", os.O_RDWR)
    saved = {1: os.dup(1), 2: os.dup(2)}
    streams = sys.__stdout__, sys.__stderr__
    sink = log.open("ab") if log is not None else cast("IO[bytes]", tempfile.TemporaryFile())  # noqa: SIM115
    file = TerminalFile(terminal, ascii_only or terminal_is_ascii())
    try:
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)
        # Textual declares these names as the place it writes to; there is no setting for another.
        sys.__stdout__ = file  # type: ignore[misc,assignment]
        sys.__stderr__ = file  # type: ignore[misc,assignment]
        yield file
    finally:
        sys.__stdout__, sys.__stderr__ = streams  # type: ignore[misc]
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        for number, copy in saved.items():
            os.dup2(copy, number)
            os.close(copy)
        if log is None:
            _hand_over(sink)
        sink.close()
        os.close(terminal)


def _hand_over(sink: IO[bytes], most: int = 8192) -> None:
    """Write the end of what was kept to standard error."""
    size = sink.seek(0, os.SEEK_END)
    sink.seek(max(0, size - most))
    data = sink.read()
    while data:
        try:
            data = data[os.write(2, data) :]
        except OSError:
            return
