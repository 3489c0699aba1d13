"""Whether what was sent has been shown.

A pseudo-terminal takes 64 kB and a network connection megabytes before a write has to wait, minutes of frames on a
slow line. So now and then a frame ends with the question where the cursor is. A terminal answers in turn: when the
answer has come, everything before the question has been shown.
"""

from __future__ import annotations

from collections.abc import Callable

from textual import events

QUESTION = "\x1b[6n"
_EVERY = 1.0
"""Seconds between two questions."""
_PATIENCE = 0.5
"""Seconds that an answer may take, over any distance, before frames are held back."""
_LOST = 10.0
"""Seconds after which an answer is not expected any more."""


class Link:
    """Holds nothing back from a terminal that never answers."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._asked: float | None = None
        self._last = -_EVERY
        self._answers = False

    def question(self) -> str:
        """What to put behind a frame: mostly nothing."""
        now = self._clock()
        if self._asked is not None and now - self._asked < _LOST:
            return ""
        if now - self._last < _EVERY:
            return ""
        self._asked = self._last = now
        return QUESTION

    def heard(self, event: object) -> bool:
        """Take an event of the terminal; whether it was an answer. Called from the thread that reads keys."""
        if not isinstance(event, events.CursorPosition):
            return False
        self._asked, self._answers = None, True
        return True

    @property
    def late(self) -> bool:
        """Whether frames are to wait."""
        asked = self._asked
        return self._answers and asked is not None and _PATIENCE < self._clock() - asked < _LOST
