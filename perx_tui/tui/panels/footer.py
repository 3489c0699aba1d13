"""The last line: the keys that matter now."""

from __future__ import annotations

from perx_tui.tui.keys import KEYS
from perx_tui.tui.lines import Line, Part
from perx_tui.tui.panel import Bar


class Footer(Bar):
    """Keys from the key table by rank, as many as fit; labels follow the state of the run."""

    maximized = False

    def lines(self, width: int, height: int) -> list[Line]:
        """One line of keys and labels."""
        parts: list[Part] = []
        spans: list[tuple[int, int, str]] = []
        left = width
        for key in sorted((key for key in KEYS if key.rank), key=lambda key: key.rank):
            label = self._label(key.label)
            shown = key.display.split()[0]
            gap = "   " if parts else " "
            size = len(gap) + len(shown) + 1 + len(label)
            if label and size <= left:
                parts.extend(((gap + shown, "blue+"), (" " + label, "dim")))
                spans.append((width - left + len(gap), width - left + size, key.action or ""))
                left -= size
        self.spans = spans
        return [tuple(parts)]

    def _label(self, label: str) -> str:
        """The label that is true now; empty for a key that would do nothing."""
        snapshot = self.view.snapshot
        if label == "maximize" and self.maximized:
            return "restore"
        if snapshot.ended:
            return "" if label in ("pause", "step", "checkpoint", "next env") else label
        if snapshot.state == "paused":
            return "resume" if label == "pause" else label
        return "" if label == "step" else label
