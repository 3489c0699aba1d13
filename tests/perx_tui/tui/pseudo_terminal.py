"""A program in a pseudo-terminal, its screen read back through a terminal emulator."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from pathlib import Path

import pyte

from tests.perx_tui.pseudo_terminal import OF_ANOTHER_TERMINAL

ROOT = Path(__file__).resolve().parents[3]


class Terminal:
    """Runs `python argv` with a controlling terminal of the given size. Use as a context manager."""

    def __init__(self, argv: Sequence[str], columns: int, rows: int, **environment: str) -> None:
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.received = 0
        self.master, slave = pty.openpty()
        self._resize(slave, columns, rows)
        path = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
        self.process = subprocess.Popen(
            [sys.executable, *argv],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env={
                **os.environ,
                "TERM": "xterm-256color",
                "COLORTERM": "truecolor",
                "PYTHONPATH": path,
                **OF_ANOTHER_TERMINAL,
                **environment,
            },
        )
        os.close(slave)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        with contextlib.suppress(OSError):
            os.close(self.master)

    def resize(self, columns: int, rows: int) -> None:
        """Change the size as a window manager would."""
        self.screen.resize(rows, columns)
        self._resize(self.master, columns, rows)

    def hang_up(self) -> None:
        """Close the terminal, as a dropped connection does."""
        os.close(self.master)

    def send(self, keys: str) -> None:
        """Type."""
        os.write(self.master, keys.encode())

    def pump(self, seconds: float) -> None:
        """Feed what the program writes within `seconds` to the emulator."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if select.select([self.master], [], [], left)[0]:
                try:
                    data = os.read(self.master, 65_536)
                except OSError:
                    return
                self.received += len(data)
                self._stream.feed(data)

    @property
    def text(self) -> str:
        """The screen's rows."""
        return "\n".join(self.screen.display)

    def wait_for(self, text: str, seconds: float = 10.0) -> float:
        """Wait until `text` is on the screen; the seconds it took. Fails with the screen in the message."""
        start = time.monotonic()
        while text not in self.text:
            waited = time.monotonic() - start
            if waited > seconds:
                raise AssertionError(f"{text!r} did not appear within {seconds} s on this screen:\n{self.text}")
            self.pump(0.01)
        return time.monotonic() - start

    def wait_exit(self, seconds: float = 10.0) -> int:
        """Wait for the end of the program; its exit code."""
        end = time.monotonic() + seconds
        while self.process.poll() is None:
            if time.monotonic() > end:
                raise AssertionError(f"still running after {seconds} s with this screen:\n{self.text}")
            with contextlib.suppress(OSError, ValueError):
                self.pump(0.02)
        with contextlib.suppress(OSError, ValueError):
            self.pump(0.1)
        return int(self.process.returncode)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program."""
        self.process.send_signal(number)

    @staticmethod
    def _resize(descriptor: int, columns: int, rows: int) -> None:
        fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
