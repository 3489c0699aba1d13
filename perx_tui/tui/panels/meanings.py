"""Figures in words, one under the other: name, value, what it means and what is healthy."""

from __future__ import annotations

from textual import events

from perx_tui.tui.explaining import SUBJECTS, Figure, explained
from perx_tui.tui.lines import EMPTY, Line, Part, centered, clean, spread, wrap
from perx_tui.tui.panel import Panel


class Meanings(Panel, can_focus=False):
    """The figures of one panel, with a cursor on one of them. Scrolls so that the one at the cursor is seen whole."""

    subject = "throughput"
    cursor = 0
    _upper = 0

    def figures(self) -> list[Figure]:
        """What is explained."""
        return explained(self.subject, self.view)

    @property
    def chosen(self) -> Figure | None:
        """The figure at the cursor."""
        figures = self.figures()
        return figures[min(self.cursor, len(figures) - 1)] if figures else None

    def turn(self, subject: str) -> None:
        """Explain another panel, from its first figure."""
        self.subject, self.cursor, self._upper = subject, 0, 0
        self.redraw()

    def move(self, by: int) -> None:
        """Move the cursor."""
        self.cursor = max(0, min(self.cursor + by, len(self.figures()) - 1))
        self.redraw()

    def heading(self) -> str:
        """Whose figures they are."""
        return f"what the figures mean · {SUBJECTS[self.subject]}"

    def summary(self) -> list[Line]:
        """Which of the subjects it is."""
        place = list(SUBJECTS).index(self.subject) + 1
        return [((f"{place} of {len(SUBJECTS)}", "strong"), ("  tab", "blue+"), (" next", "dim"))]

    def caption(self) -> list[Line]:
        """What can be done with the one at the cursor."""
        chosen = self.chosen
        if chosen is None or self.view.history.series(chosen.key) is None:
            return []
        return [(("enter", "blue+"), (f" shows {chosen.key} as a chart", "dim"))]

    def body(self, width: int, height: int) -> list[Line]:
        """The window on all of them."""
        figures = self.figures()
        if not figures:
            return centered("no iteration has ended yet", width, height)
        self.cursor = min(self.cursor, len(figures) - 1)
        lines: list[Line] = []
        first = last = 0
        for place, figure in enumerate(figures):
            first = len(lines) if place == self.cursor else first
            lines.extend(_block(figure, width, place == self.cursor))
            last = len(lines) if place == self.cursor else last
            lines.append(EMPTY)
        self._upper = min(max(self._upper, last - height), first, max(0, len(lines) - 1 - height))
        return lines[self._upper : self._upper + height]

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel goes from figure to figure."""
        event.stop()
        self.move(-1)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel goes from figure to figure."""
        event.stop()
        self.move(1)


def _block(figure: Figure, width: int, at_cursor: bool) -> list[Line]:
    """One figure: a row for name and value, then sentences."""
    mark: Part = ("► ", "blue+") if at_cursor else ("  ", "")
    other = figure.key if figure.key != figure.label else ""
    name: Line = (mark, (clean(figure.label), "blue+" if at_cursor else "strong"), (f"  {clean(other)}", "dim"))
    lines = [spread(name, ((figure.value, "strong"),), width)]
    lines.extend((("    ", ""), (row, "")) for row in wrap(figure.meaning, max(8, width - 6)))
    if figure.healthy:
        lines.extend((("    ", ""), (row, "green")) for row in wrap("✓ " + figure.healthy, max(8, width - 6)))
    return lines
