"""A program in a pseudo-terminal, with its screen read back through a terminal emulator."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pyte

OF_ANOTHER_TERMINAL = {"COLUMNS": "70", "LINES": "20"}
"""A size that was exported somewhere else: no screen may believe it."""


class PseudoTerminal:
    """Context that runs `command` on a terminal of `columns` x `lines`; at its end the program is gone."""

    def __init__(
        self, command: Sequence[str], folder: Path, environment: Mapping[str, str], columns: int, lines: int
    ) -> None:
        self._master, slave = pty.openpty()
        self._lock = threading.Lock()
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self.output = b""
        """Everything the program has written so far."""
        self.resize(columns, lines)
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env=_on_a_terminal(environment),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            error.add_note("the screen was:\n" + "\n".join(self.rows()))
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        self.hang_up()
        self._reader.join(10)

    def rows(self) -> list[str]:
        """The screen's lines now."""
        with self._lock:
            return [line.rstrip() for line in self._screen.display]

    def backgrounds(self) -> set[str]:
        """The background colours on the screen now: "f2785c", or a name."""
        with self._lock:
            return {cell.bg for line in self._screen.buffer.values() for cell in line.values()}

    def text(self) -> str:
        """The screen now, as one text."""
        return "\n".join(self.rows())

    def press(self, keys: str) -> None:
        """Type `keys`."""
        os.write(self._master, keys.encode())

    def modes(self) -> list[object]:
        """The terminal's settings now, as `termios.tcgetattr` tells them."""
        return list(termios.tcgetattr(self._master))

    def resize(self, columns: int, lines: int) -> None:
        """Give the terminal another size; the program is told by SIGWINCH."""
        with self._lock:
            self._screen.resize(lines, columns)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def hang_up(self) -> None:
        """Take the terminal away, as a closed window or a lost connection does."""
        if self._master >= 0:
            os.close(self._master)
            self._master = -1

    def send(self, signum: signal.Signals) -> None:
        """Send the program a signal."""
        self.process.send_signal(signum)

    def wait_for(self, what: str | Callable[[], object], seconds: float = 30) -> None:
        """Wait until `what` stands on the screen, or answers something true."""
        deadline = time.monotonic() + seconds
        while not (what in self.text() if isinstance(what, str) else what()):
            ended = self.process.poll()
            if time.monotonic() > deadline or (ended is not None and not self._reader.is_alive()):
                raise AssertionError(f"waited in vain for {what!r}; exit code {ended}")
            time.sleep(0.02)

    def wait(self, seconds: float = 30) -> int:
        """Wait for the program's end, and for its last output; returns its exit code."""
        code = self.process.wait(seconds)
        self._reader.join(5)
        return code

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._master, 65536)
            except (OSError, ValueError):
                return
            if not data:
                return
            with self._lock, contextlib.suppress(Exception):  # the emulator knows less than terminals do
                self.output += data
                self._stream.feed(data)


def _on_a_terminal(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment with a good terminal in it, whose size the terminal tells and not a variable."""
    return {**environment, "TERM": "xterm-256color", "COLORTERM": "truecolor", **OF_ANOTHER_TERMINAL}
