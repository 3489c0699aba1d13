"""A plain full-screen terminal for a program without Textual: alternate screen, single keys, always restored."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import sys
import termios
import tty
from types import FrameType, TracebackType
from typing import Any, Self

from perx_tui.errors import ForcedExit
from perx_tui.terminal import terminal_size

_ENTER = "\x1b[?1049h\x1b[?25l\x1b[?2004h\x1b[2J"
_LEAVE = "\x1b[0m\x1b[?2004l\x1b[?25h\x1b[?1049l"

_PASTED, _PASTED_END = b"\x1b[200~", b"\x1b[201~"
_SEQUENCE = re.compile(
    rb"\x1b\[200~.*?(?:\x1b\[201~|\Z)"  # pasted text
    rb"|\x1b\[[0-?]*[ -/]*[@-~]?"  # arrows and their like
    rb"|\x1bO.?|\x1b"  # function keys; escape by itself
    rb"|[\xc2-\xf4][\x80-\xbf]*",  # a letter beyond ASCII
    re.DOTALL,
)
"""What the terminal sends as several bytes, and escape: no keys of such a screen."""


class Screen:
    """Context that owns the terminal. SIGTERM and SIGHUP leave it by raising ForcedExit; ctrl+z suspends it.

    `paint` writes only the lines that differ from what stands there, which is what keeps a slow link usable.
    """

    def __init__(self) -> None:
        self._fd = sys.stdin.fileno()
        self._modes: list[Any] = termios.tcgetattr(self._fd)
        self._shown: list[str] = []
        self._size = (0, 0)
        self._typed = b""
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for signum, handler in (
            (signal.SIGTERM, self._end),
            (signal.SIGHUP, self._end),
            (signal.SIGTSTP, self._suspend),
        ):
            self._previous[signum] = signal.signal(signum, handler)
        self._take()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._give_back()
        for signum, previous in self._previous.items():
            signal.signal(signum, previous)

    def size(self) -> tuple[int, int]:
        """Columns and lines of the terminal now."""
        return terminal_size()

    def paint(self, lines: list[str]) -> None:
        """Show `lines` from the top, as many as fit. A line may hold colour sequences and must not exceed the width."""
        size = self.size()
        output = []
        if size != self._size:
            self._size = size
            self._shown = []
            output.append("\x1b[0m\x1b[2J")
        lines = lines[: size[1]]
        for row in range(max(len(lines), len(self._shown))):
            line = lines[row] if row < len(lines) else ""
            if row >= len(self._shown) or self._shown[row] != line:
                output.append(f"\x1b[{row + 1};1H{line}\x1b[0m\x1b[K")
        self._shown = lines
        if output:
            self._write("".join(output))

    def key(self, timeout: float) -> str | None:
        """The next key within `timeout` seconds, "" for a sequence (arrows, pasted text), which is no key of this
        screen, None when there is none, "q" when the terminal is gone. Keys that came together come one a call."""
        if not self._typed:
            if not self._is_ready(timeout):
                return None
            self._typed = self._read()
            if not self._typed:
                return "q"
        while self._typed.startswith(_PASTED) and _PASTED_END not in self._typed and self._is_ready(0.1):
            if not (more := self._read()):
                return "q"
            self._typed += more
        found = _SEQUENCE.match(self._typed)
        length = found.end() if found else 1
        key, self._typed = self._typed[:length], self._typed[length:]
        return "" if found else key.decode("utf-8", "replace")

    def _is_ready(self, timeout: float) -> bool:
        """Whether there is something to read, or the terminal is gone, within `timeout` seconds."""
        return bool(select.select([self._fd], [], [], max(0.0, timeout))[0])

    def _read(self) -> bytes:
        """What was typed, empty when the terminal is gone."""
        try:
            return os.read(self._fd, 1024)
        except OSError:
            return b""

    def _take(self) -> None:
        tty.setcbreak(self._fd, termios.TCSADRAIN)  # what was typed while the program loaded is not thrown away
        self._shown = []
        self._size = (0, 0)
        self._write(_ENTER)

    def _give_back(self) -> None:
        self._write(_LEAVE)
        with contextlib.suppress(termios.error):  # the terminal may be gone
            termios.tcsetattr(self._fd, termios.TCSADRAIN, self._modes)

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError):  # a terminal that is gone answers the next key()
            sys.stdout.write(text)
            sys.stdout.flush()

    def _end(self, signum: int, frame: FrameType | None) -> None:
        raise ForcedExit(signum)

    def _suspend(self, signum: int, frame: FrameType | None) -> None:
        self._give_back()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, self._suspend)
        self._take()
