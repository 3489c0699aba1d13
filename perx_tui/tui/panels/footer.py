"""The last line: the keys that matter now."""

from __future__ import annotations

from perx_tui.tui.keys import KEYS, Key
from perx_tui.tui.lines import Line, Part, spread
from perx_tui.tui.panel import Bar


class Footer(Bar):
    """Keys from the key table by rank, as many as fit; labels follow the state of the run."""

    maximized = False
    table: tuple[Key, ...] = KEYS
    idle: frozenset[str] = frozenset()
    """Labels of keys that would do nothing now."""

    def lines(self, width: int, height: int) -> list[Line]:
        """One line of keys and labels."""
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
        return [spread(tuple(parts), ((cost + " ", "dim"),) if cost else (), width)]

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
        if snapshot.ended:
            return "" if label in ("pause", "step", "checkpoint", "next env") else label
        if snapshot.state == "paused":
            return "resume" if label == "pause" else label
        return "" if label == "step" else label
