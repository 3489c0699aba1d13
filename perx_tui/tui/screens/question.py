"""A dialog that asks a question with a few answers, each with what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.geometry import Size
from textual.screen import ModalScreen

from perx_tui.tui.lines import EMPTY, Line, clean, wrap
from perx_tui.tui.panel import Lines
from perx_tui.tui.theme import Palette


@dataclass(frozen=True, slots=True)
class Option:
    """A way to answer: its key, its name and what follows from it."""

    key: str
    choice: str
    name: str
    consequence: str


CANCEL = Option("c", "cancel", "Cancel", "Stay here. Nothing changes. (esc)")


class _Choices(Lines):
    """What is asked about, then the options as lines; the marked one answers Enter."""

    DEFAULT_CSS = "_Choices { width: 100%; height: auto; }"
    marked = 0
    options: tuple[Option, ...] = ()
    about: Sequence[str] = ()

    def lines(self, width: int, height: int) -> list[Line]:
        """Name and consequence of every option. Where the height is short, without blank rows; then with the
        consequence of the marked one only; then what is around that one."""
        for rows, _ in (wordings := self._wordings(width)):
            if len(rows) <= height:
                return rows
        rows, end = wordings[-1]
        start = max(0, end - height)
        return rows[start : start + height]

    def _wordings(self, width: int) -> list[tuple[list[Line], int]]:
        """The rows, the fullest first, each with the row behind the marked option."""
        return [self._rows(width, *short) for short in ((False, False), (True, False), (True, True))]

    def _rows(self, width: int, dense: bool, brief: bool) -> tuple[list[Line], int]:
        blank: list[Line] = [] if dense else [EMPTY]
        rows, end = [*blank], 0
        for text in self.about:
            rows.extend((("  " + row, ""),) for row in wrap(clean(text), width - 4))
        if self.about:
            rows.extend(blank)
        for index, option in enumerate(self.options):
            marker = ("  ► ", "blue+") if index == self.marked else ("    ", "")
            rows.append((marker, (option.key, "blue+"), ("  " + option.name, "strong")))
            if index == self.marked or not brief:
                rows.extend(((" " * 7 + text, "dim"),) for text in wrap(option.consequence, width - 9))
            if index == self.marked:
                end = len(rows)
            rows.extend(blank)
        return rows, end

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many rows as the options take within a frame on this screen."""
        return len(self.lines(width, max(1, viewport.height - 2)))


class QuestionScreen(ModalScreen[str]):
    """Single keys answer; arrows and Enter do too. Escape, q and a click beside the box answer "cancel"."""

    DEFAULT_CSS = """
    QuestionScreen { align: center middle; background: $background 60%; }
    QuestionScreen > Container {
        width: 74; max-width: 100%; height: auto; max-height: 100%;
        background: $background; border: round $primary; border-title-color: $foreground; border-title-style: bold;
        border-subtitle-color: $foreground 60%;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "answer('cancel')", show=False),
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("enter", "confirm", show=False),
    ]

    def __init__(
        self, palette: Palette, question: str, options: tuple[Option, ...], about: Sequence[str] = (), marked: int = 0
    ) -> None:
        """`about` are lines on what is asked about, `marked` the option that Enter takes at first."""
        super().__init__()
        self._question = question
        self._choices = _Choices(palette, id="choices")
        self._choices.options, self._choices.about, self._choices.marked = options, about, marked

    def compose(self) -> ComposeResult:
        """A frame around the choices."""
        box = Container(self._choices)
        box.border_title = self._question
        box.border_subtitle = "press a letter, or ↑ ↓ enter"
        yield box

    def on_key(self, event: events.Key) -> None:
        """The letter of an option answers."""
        for option in self._choices.options:
            if event.key == option.key:
                event.stop()
                self.dismiss(option.choice)
                return

    def action_answer(self, choice: str) -> None:
        """Close with an answer."""
        self.dismiss(choice)

    def action_move(self, by: int) -> None:
        """Mark the next or the previous option."""
        self._choices.marked = (self._choices.marked + by) % len(self._choices.options)
        self._choices.refresh(layout=True)
        self._choices.redraw()

    def action_confirm(self) -> None:
        """Answer with the marked option."""
        self.dismiss(self._choices.options[self._choices.marked].choice)

    def on_click(self, event: events.Click) -> None:
        """A click beside the box cancels."""
        if event.widget is self:
            self.dismiss("cancel")
