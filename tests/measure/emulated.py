"""A program on a pseudo-terminal that is read at once, as the fastest remote terminal would be, and its characters."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable
from pathlib import Path

import psutil

QUESTION, ANSWER = b"\x1b[6n", b"\x1b[1;1R"
_TOKEN = re.compile(r"\x1b\[([?>=<0-9;$]*)([A-Za-z~])|\x1b.|([^\x1b]+)", re.DOTALL)


class Grid:
    """The characters on the screen, from moves and text alone: cheap enough to be no part of what is measured."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns = columns
        self.rows = [[" "] * columns for _ in range(rows)]
        self.touched: set[tuple[int, int]] = set()
        self._x = self._y = 0
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._rest = ""

    def feed(self, data: bytes) -> None:
        """Take output of the program."""
        text = self._rest + self._decode(data)
        cut = text.rfind("\x1b")
        whole = cut < 0 or re.match(r"\x1b\[[?>=<0-9;$]*[A-Za-z~]|\x1b[^\[]", text[cut:]) is not None
        self._rest = "" if whole else text[cut:]
        for numbers, kind, plain in _TOKEN.findall(text if whole else text[:cut]):
            if kind == "H":
                y, _, x = numbers.partition(";")
                self._y, self._x = int(y or 1) - 1, int(x or 1) - 1
            elif kind == "G":
                self._x = int(numbers or 1) - 1
            for character in plain:
                if character == "\n":
                    self._y, self._x = self._y + 1, 0
                elif character >= " " and self._y < len(self.rows) and self._x < self.columns:
                    self.rows[self._y][self._x] = character
                    self.touched.add((self._y, self._x))
                    self._x += 1

    @property
    def text(self) -> str:
        """All rows."""
        return "\n".join("".join(row) for row in self.rows)

    def find(self, text: str) -> tuple[int, int]:
        """Row and column of a text. ValueError where it is not on the screen."""
        for y, row in enumerate(self.rows):
            if text in (line := "".join(row)):
                return y, line.index(text)
        raise ValueError(f"{text!r} is not on the screen:\n{self.text}")


class Terminal:
    """Runs `command` in `folder` with a controlling terminal of the given size, and counts what it writes."""

    def __init__(self, command: list[str], folder: Path, columns: int, rows: int) -> None:
        self.grid: Grid | None = None
        self.bytes = 0
        self._size = columns, rows
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)

    def watch(self) -> Grid:
        """From now on know what is on the screen."""
        self.grid = Grid(*self._size)
        return self.grid

    def send(self, keys: str) -> None:
        """Type."""
        os.write(self.master, keys.encode())

    def drain(self, seconds: float, until: Callable[[], bool] | None = None) -> float | None:
        """Reads for so long, or until `until` holds; returns the seconds it took, None when it never did."""
        began = time.perf_counter()
        while (left := began + seconds - time.perf_counter()) > 0:
            ready, _, _ = select.select([self.master], [], [], left)
            if not ready:
                break
            try:
                data = os.read(self.master, 65536)
            except OSError:
                return None
            self.bytes += len(data)
            if QUESTION in data:
                os.write(self.master, ANSWER)
            if self.grid is not None:
                self.grid.feed(data)
            if until is not None and until():
                return time.perf_counter() - began
        return None

    def screen_seconds(self) -> float:
        """Processor time of the thread that draws, the first of the process."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/schedstat")
        if path.exists():
            return int(path.read_text().split()[0]) / 1e9
        first = psutil.Process(self.process.pid).threads()[0]  # a kernel that keeps no such books: in hundredths
        return float(first.user_time + first.system_time)

    def end(self) -> None:
        """Stops the program as a signal would, and waits for it."""
        self.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 60
        while self.process.poll() is None and time.monotonic() < deadline:
            self.drain(0.1)
        self.process.kill()
        self.process.wait()
        os.close(self.master)
