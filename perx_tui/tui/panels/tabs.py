"""The row of tabs over the panels that share one place."""

from __future__ import annotations

from perx_tui.tui.arrangement import PANELS
from perx_tui.tui.keys import TAB_NAMES
from perx_tui.tui.lines import Line, Part
from perx_tui.tui.panel import Bar


class Tabs(Bar):
    """Number and name of every tab; the one that is shown is marked by brackets as well as by colour."""

    tabs: tuple[str, ...] = ()
    chosen: str = ""

    def lines(self, width: int, height: int) -> list[Line]:
        """One line; on a narrow terminal the tabs that are not shown keep only their first letters."""
        for room in (99, 8, 6, 5, 3, 0):
            parts, spans = self._parts(room)
            if sum(len(text) for text, _ in parts) <= width:
                break
        self.spans = spans
        return [tuple(parts)]

    def _parts(self, room: int) -> tuple[list[Part], list[tuple[int, int, str]]]:
        parts: list[Part] = []
        spans: list[tuple[int, int, str]] = []
        for name in self.tabs:
            number, label = str(PANELS.index(name) + 1), TAB_NAMES[name]
            first = sum(len(text) for text, _ in parts)
            if name == self.chosen:
                parts.append((f"[{number} {label}]", "blue!"))
            else:
                parts.extend(((f" {number} ", "blue+"), (f"{label[:room]} ".lstrip(), "dim")))
            spans.append((first, sum(len(text) for text, _ in parts), f"panel('{name}')"))
        return parts, spans
