"""The screen that says what the figures mean: what is healthy, and what to do where it is not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from textual.binding import BindingType

from perx_tui.tui.arrangement import Rect
from perx_tui.tui.explaining import SUBJECTS
from perx_tui.tui.keys import EXPLAIN_KEYS, bindings
from perx_tui.tui.panels.meanings import Meanings
from perx_tui.tui.screens.full import FullScreen
from perx_tui.tui.theme import Palette

_PAGE = 5
"""Figures that a page up or down goes on."""


class ExplainScreen(FullScreen):
    """One panel's figures after the other."""

    BINDINGS: ClassVar[list[BindingType]] = list(bindings(EXPLAIN_KEYS))

    def __init__(self, palette: Palette, show_chart: Callable[[str], None]) -> None:
        """`show_chart` opens the chart screen on a metric."""
        self.meanings = Meanings(palette, id="meanings")
        self._show_chart = show_chart
        super().__init__(palette, EXPLAIN_KEYS, [self.meanings])

    def places(self, body: Rect) -> Mapping[str, Rect]:
        """The text fills the screen, but no line is longer than can be read well."""
        width = min(body.width, 110)
        return {"meanings": Rect(body.x + (body.width - width) // 2, body.y, width, body.height)}

    def action_subject(self, by: int) -> None:
        """The next panel, or the one before."""
        subjects = list(SUBJECTS)
        self.meanings.turn(subjects[(subjects.index(self.meanings.subject) + by) % len(subjects)])

    def action_turn(self, subject: str) -> None:
        """A panel by its number."""
        self.meanings.turn(subject)

    def action_move(self, by: int) -> None:
        """Another figure."""
        self.meanings.move(by)

    def action_page(self, by: int) -> None:
        """Some figures on."""
        self.meanings.move(by * _PAGE)

    def action_chart(self) -> None:
        """The figure at the cursor over the run, where it is a metric that has a value."""
        chosen = self.meanings.chosen
        if chosen is not None and self.view.history.series(chosen.key) is not None:
            self._show_chart(chosen.key)
