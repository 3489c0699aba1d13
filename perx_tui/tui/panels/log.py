"""The log: what happened, newest line last."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.cells import cell_len
from textual import events

from engine import LogLine
from perx_tui.tui.lines import Line, Part, cells, centered, clean, shorten, wrap
from perx_tui.tui.panel import Panel

_LEAST_TEXT = 24
"""A text with less room than this is cut: in rows of a word each nobody finds the lines."""
_LEAST_HEIGHT = 12
"""In a lower window every line has one row, so that some of them are seen; the maximized log has them whole."""

_LEVELS = {"info": ("·", "dim"), "warning": ("!", "yellow+"), "error": ("✗", "red+")}


def log_line(line: LogLine, width: int, clock: Callable[[float], time.struct_time] = time.localtime) -> Line:
    """Time of day, a mark for the level, the text in one line."""
    mark, style = _LEVELS[line.level]
    moment = time.strftime("%H:%M:%S" if width >= 60 else "%H:%M", clock(line.time))
    text = shorten(clean(" ".join(line.text.splitlines())), max(0, width - len(moment) - 3))
    return ((moment + " ", "dim"), (mark + " ", style), (text, "" if line.level == "info" else style.rstrip("+")))


def log_rows(line: LogLine, width: int, clock: Callable[[float], time.struct_time] = time.localtime) -> list[Line]:
    """`log_line` with the rest of its text in rows below it."""
    first = log_line(line, width, clock)
    room = width - cells(first[:2])
    text = clean(" ".join(line.text.split()))
    if room < _LEAST_TEXT or cell_len(text) <= room:
        return [first]
    head, *rest = wrap(text, room)
    indent: Part = (" " * (width - room), "")
    return [(*first[:2], (head, first[2][1])), *((indent, (row, first[2][1])) for row in rest)]


class Log(Panel):
    """Scrolls with the arrow keys and the wheel; at the end it follows what comes."""

    number = 8
    title = "log"
    clock: Callable[[float], time.struct_time] = staticmethod(time.localtime)
    _back = 0
    """Lines between the last one that is shown and the newest; 0 follows."""
    _length = 0

    def summary(self) -> list[Line]:
        """Says when newer lines are out of sight."""
        return [((f"{self._back} newer below", "yellow"),)] if self._back else []

    def body(self, width: int, height: int) -> list[Line]:
        """The lines of the window."""
        log = self.view.snapshot.log
        if not log:
            return centered("nothing has happened yet", width, height)
        if self._back and len(log) > self._length:
            self._back += len(log) - self._length
        self._length = len(log)
        rows = self._cut if height < _LEAST_HEIGHT else self._whole
        first = self._first_page(rows, width, height) if self._back else len(log)
        self._back = max(0, min(self._back, len(log) - first))
        if self._back and self._back == len(log) - first:
            return [row for line in log[:first] for row in rows(line, width)][:height]
        shown: list[Line] = []
        for line in reversed(log[: len(log) - self._back]):
            shown = [*rows(line, width), *shown]
            if len(shown) >= height:
                break
        return shown[-height:]

    def _cut(self, line: LogLine, width: int) -> list[Line]:
        return [log_line(line, width, self.clock)]

    def _whole(self, line: LogLine, width: int) -> list[Line]:
        return log_rows(line, width, self.clock)

    def _first_page(self, rows: Callable[[LogLine, int], list[Line]], width: int, height: int) -> int:
        """How many of the oldest lines fill the window."""
        count = 0
        for number, line in enumerate(self.view.snapshot.log, start=1):
            count += len(rows(line, width))
            if count >= height:
                return number
        return len(self.view.snapshot.log)

    def scroll_back(self, lines: int) -> None:
        """Move the window `lines` towards the past (negative: towards the newest)."""
        self._back = max(0, self._back + lines)
        self.redraw()

    def on_key(self, event: events.Key) -> None:
        """Scrolling keys, while the log has the focus."""
        page = max(1, self.size.height - 3)
        moves = {"up": 1, "down": -1, "pageup": page, "pagedown": -page, "home": 1_000_000, "end": -1_000_000}
        if event.key in moves:
            event.stop()
            self.scroll_back(moves[event.key])

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel scrolls three lines."""
        event.stop()
        self.scroll_back(3)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel scrolls three lines."""
        event.stop()
        self.scroll_back(-3)
