"""The last line: the keys that matter now."""

from __future__ import annotations

from perx_tui.tui.keys import KEYS, Key
from perx_tui.tui.lines import Line, Part, cells, clean, shorten, spread
from perx_tui.tui.panel import Bar


def _welcome(*answers: tuple[str, str]) -> Line:
    """Keys with whole sentences, for somebody who is here for the first time."""
    parts: list[Part] = [(" new here?", "yellow+")]
    for key, answer in answers:
        parts.extend((("  " + key, "blue+"), (" " + answer, "")))
    return tuple(parts)


_ALL, _FIGURES, _LEAVE = ("?", "shows all keys"), ("i", "says what the figures mean"), ("q", "leaves")
_WELCOME = (
    _welcome(_ALL, _FIGURES, ("space", "pauses"), ("^p", "finds a command by its name"), _LEAVE),
    _welcome(_ALL, _FIGURES, _LEAVE),
    _welcome(("?", "keys"), ("i", "meanings"), _LEAVE),
)
"""The fullest wording first."""


class Footer(Bar):
    """Keys from the key table by rank, as many as fit; labels follow the state of the run."""

    maximized = False
    table: tuple[Key, ...] = KEYS
    idle: frozenset[str] = frozenset()
    """Labels of keys that would do nothing now."""

    def lines(self, width: int, height: int) -> list[Line]:
        """The hint there is, or keys and labels."""
        self.spans = ()
        if self.view.hint:
            return [((" " + shorten(clean(self.view.hint), width - 2), ""),)]
        if self.view.newcomer:
            return [next((line for line in _WELCOME if cells(line) <= width), _WELCOME[-1])]
        return [self._keys(width)]

    def _keys(self, width: int) -> Line:
        parts: list[Part] = []
        spans: list[tuple[int, int, str]] = []
        cost = self.view.cost if width >= 100 else ""
        used, room = 0, width - (len(cost) + 2 if cost else 0)
        for key in sorted((key for key in self.table if key.rank), key=self._place):
            label = self._label(key.label)
            shown = key.display if key.display[0] in "←↑" else key.display.split()[0]
            gap = "   " if parts else " "
            size = len(gap) + len(shown) + 1 + len(label)
            if label and used + size <= room:
                parts.extend(((gap + shown, "blue+"), (" " + label, "dim")))
                spans.append((used + len(gap), used + size, key.action or ""))
                used += size
        self.spans = spans
        return spread(tuple(parts), ((cost + " ", "dim"),) if cost else (), width)

    def _place(self, key: Key) -> int:
        """A maximized panel's way back comes before what can be seen on the other screens, alarms before all."""
        if key.label == "alarms":
            return 0
        return 1 if self.maximized and key.label == "maximize" else key.rank

    def _label(self, label: str) -> str:
        """The label that is true now; empty for a key that would do nothing."""
        snapshot = self.view.snapshot
        if label in self.idle or (label == "alarms" and not snapshot.alarms):
            return ""
        if label == "maximize" and self.maximized:
            return "restore"
        if snapshot.ended or snapshot.state == "disconnected":
            return "" if label in ("pause", "step", "checkpoint", "next env") else label
        if snapshot.state == "paused":
            return "resume" if label == "pause" else label
        return "" if label == "step" else label
