"""A plain full-screen terminal for a program without Textual: alternate screen, single keys, always restored."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import termios
import tty
from types import FrameType, TracebackType
from typing import Any, Self

from perx_tui.errors import ForcedExit
from perx_tui.terminal import terminal_size

_ENTER = "\x1b[?1049h\x1b[?25l\x1b[2J"
_LEAVE = "\x1b[0m\x1b[?25h\x1b[?1049l"


class Screen:
    """Context that owns the terminal. SIGTERM and SIGHUP leave it by raising ForcedExit; ctrl+z suspends it.

    `paint` writes only the lines that differ from what stands there, which is what keeps a slow link usable.
    """

    def __init__(self) -> None:
        self._fd = sys.stdin.fileno()
        self._modes: list[Any] = termios.tcgetattr(self._fd)
        self._shown: list[str] = []
        self._size = (0, 0)
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
        """The next key within `timeout` seconds, None when there is none, "q" when the terminal is gone."""
        ready, _, _ = select.select([self._fd], [], [], max(0.0, timeout))
        if not ready:
            return None
        try:
            pressed = os.read(self._fd, 64)
        except OSError:
            return "q"
        if not pressed:
            return "q"
        # A sequence (arrows, pasted text) is no key of this screen.
        return pressed.decode("utf-8", "replace") if len(pressed) == 1 else ""

    def _take(self) -> None:
        tty.setcbreak(self._fd)
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
