"""Programs on pseudo-terminals as a person has them: in the foreground of a session, resized, stopped, hung up, read or
left unread. The screen is kept by a terminal emulator."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyte

SHELL = Path(__file__).with_name("job_shell.py")
EMULATED = 240 * 70
"""Cells of the largest screen that is emulated: the emulator is slow, and a larger one is only drained."""
TRACEBACK = b"Traceback (most recent call last)"
EVIDENCE = 30_000
"""Bytes of a traceback that are kept."""
_CONTROL = re.compile(r"\x1b(?:\[[0-9;?<>=]*[ -/]*[@-~]|[@-_])|\r")
_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Let programs whose session leader has ended become children of this process, which then learns their exit
    codes."""
    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


class Screen:
    """A program on a terminal. `code` is its exit code once it has ended, negative for a signal."""

    def __init__(
        self, command: Sequence[str], folder: Path, environment: Mapping[str, str], columns: int = 120, lines: int = 36
    ) -> None:
        self._master, slave = pty.openpty()
        self._news, theirs = socket.socketpair()
        self._lock = threading.Lock()
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self._frozen = False
        self.emulated = True
        """Whether the screen is kept; it costs more than the program whose output it is."""
        self._tail = b""
        self._evidence = b""
        self.traceback = False
        """It has shown a traceback at some time."""
        self.pid = 0
        self.status = ""
        self.code: int | None = None
        self.hung_up = False
        self.size = columns, lines
        self.bytes = 0
        self._set_size(columns, lines)
        config = str(folder.resolve() / "config")
        self._shell = subprocess.Popen(
            [sys.executable, "-S", str(SHELL), str(theirs.fileno()), *command],
            cwd=folder,
            # Keys are pressed at random here: what they arrange is nobody's layout.
            env={**environment, "TERM": "xterm-256color", "COLORTERM": "truecolor", "XDG_CONFIG_HOME": config},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            pass_fds=(theirs.fileno(),),
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)
        theirs.close()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        wait_until(lambda: self.pid, 30)

    # ---- what a person does ----

    def press(self, keys: str) -> None:
        """Type; a terminal that has gone away takes nothing."""
        with contextlib.suppress(OSError):
            os.write(self._master, keys.encode())

    def go_home(self) -> None:
        """Leave dialogs and screens until the dashboard is there."""
        for _ in range(4):
            self.press("\x1b")
            time.sleep(0.2)
        # An escape that is followed by a letter before it is read is another key: alt and the letter.
        time.sleep(1.0)

    def resize(self, columns: int, lines: int) -> None:
        """Another size. The emulator begins anew: the program has to draw everything again. It is not told of the size
        that it has already."""
        if (columns, lines) == self.size:
            return
        with self._lock:
            self.size = columns, lines
            if columns * lines <= EMULATED:
                self._screen.resize(lines, columns)
                self._screen.reset()
        with contextlib.suppress(OSError):
            self._set_size(columns, lines)

    def freeze(self, frozen: bool) -> None:
        """Stop reading what the program writes, or go on."""
        self._frozen = frozen

    def hang_up(self) -> None:
        """Take the terminal away."""
        self.hung_up = True
        self._thread.join(5)
        os.close(self._master)

    def send(self, signum: signal.Signals) -> None:
        """A signal to the program, not to its shell."""
        os.kill(self.pid, signum)

    def to_foreground(self) -> None:
        """Continue a stopped program, as `fg` does."""
        self._news.sendall(b"fg")

    # ---- what a person sees ----

    def text(self) -> str:
        """The screen now."""
        with self._lock:
            return "\n".join(line.rstrip() for line in self._screen.display)

    def shows(self, *words: str, seconds: float = 60) -> bool:
        """Whether all the words come to stand on the screen in time, before the program ends."""

        def shown() -> bool:
            text = self.text()
            return all(word in text for word in words)

        return wait_until(lambda: shown() or not self.alive, seconds) and shown()

    # ---- its end ----

    @property
    def alive(self) -> bool:
        """The program has not ended."""
        if self.code is None and self.hung_up:
            with contextlib.suppress(ChildProcessError):
                found, status = os.waitpid(self.pid, os.WNOHANG)
                if found:
                    self.code = os.waitstatus_to_exitcode(status)
        return self.code is None

    def wait(self, seconds: float) -> int | None:
        """The exit code; None where the program goes on for longer."""
        wait_until(lambda: not self.alive, seconds)
        return self.code

    def close(self) -> None:
        """End the program at once and free the terminal."""
        if self.alive and self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        self._shell.kill()
        self._shell.wait(10)
        wait_until(lambda: not self.alive or self._shell_is_gone(), 5)
        if not self.hung_up:
            self.hang_up()
        self._news.close()

    def _shell_is_gone(self) -> bool:
        """Where the shell was killed before it could tell the code, the orphan is this process's child."""
        with contextlib.suppress(ChildProcessError):
            found, status = os.waitpid(self.pid, os.WNOHANG)
            if found:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code is not None

    # ---- the thread ----

    def _set_size(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def _read(self) -> None:
        known = b""
        sources = [self._master, self._news.fileno()]
        while not self.hung_up and sources:
            wanted = [each for each in sources if each != self._master or not self._frozen]
            for each in select.select(wanted, [], [], 0.1)[0]:
                try:
                    data = os.read(each, 65536)
                except OSError:
                    data = b""
                if not data:
                    sources.remove(each)
                elif each == self._master:
                    self._show(data)
                else:
                    *complete, known = (known + data).split(b"\n")
                    for line in complete:
                        self._learn(line.decode())

    def _show(self, data: bytes) -> None:
        self.bytes += len(data)
        self._tail += data
        if self.traceback:
            self._evidence = (self._evidence + data)[:EVIDENCE]
        elif TRACEBACK in self._tail:
            self.traceback = True
            self._evidence = self._tail[self._tail.index(TRACEBACK) :]
        self._tail = self._tail[-4096:]
        with self._lock, contextlib.suppress(Exception):  # the emulator knows less than terminals do
            if self.emulated and self.size[0] * self.size[1] <= EMULATED:
                self._stream.feed(data)

    def _learn(self, line: str) -> None:
        word, _, number = line.partition(" ")
        if word == "pid":
            self.pid = int(number)
        elif word in ("exited", "killed"):
            self.code = int(number) if word == "exited" else -int(number)
        else:
            self.status = word

    @property
    def last_output(self) -> str:
        """A traceback, or the end of what it wrote, for a report."""
        return _CONTROL.sub("", (self._evidence or self._tail).decode("utf-8", "replace"))


def wait_until(condition: Callable[[], object], seconds: float, pause: float = 0.05) -> bool:
    """Whether the condition comes true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True
