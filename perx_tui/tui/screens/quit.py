"""The dialog that asks what becomes of the training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.geometry import Size
from textual.screen import ModalScreen

from perx_tui.tui.lines import EMPTY, Line, wrap
from perx_tui.tui.panel import Lines
from perx_tui.tui.theme import Palette

Choice = Literal["stop", "headless", "cancel"]


@dataclass(frozen=True, slots=True)
class Option:
    """A way to answer: its key, its name and what follows from it."""

    key: str
    choice: Choice
    name: str
    consequence: str


OPTIONS = (
    Option("s", "stop", "Stop with a checkpoint", "Saves everything and ends the training. --resume continues it."),
    Option("h", "headless", "Keep training headless", "Closes this screen only. The run goes on in this terminal."),
    Option("c", "cancel", "Cancel", "Stay here. Nothing changes. (esc)"),
)

ATTACHED = (
    Option("l", "headless", "Leave", "Closes this screen only. The run goes on in its own process."),
    *(option for option in OPTIONS if option.choice != "headless"),
)
"""The answers where the run trains in another process."""


class _Choices(Lines):
    """The options as lines; the marked one answers Enter."""

    DEFAULT_CSS = "_Choices { width: 100%; height: auto; }"
    marked = 0
    options: tuple[Option, ...] = OPTIONS

    def lines(self, width: int, height: int) -> list[Line]:
        """Name and consequence of every option."""
        rows: list[Line] = [EMPTY]
        for index, option in enumerate(self.options):
            marker = ("  ► ", "blue+") if index == self.marked else ("    ", "")
            rows.append((marker, (option.key, "blue+"), ("  " + option.name, "strong")))
            rows.extend(((" " * 7 + text, "dim"),) for text in wrap(option.consequence, width - 9))
            rows.append(EMPTY)
        return rows

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many rows as the options take."""
        return len(self.lines(width, 0))


class QuitScreen(ModalScreen[Choice]):
    """Single keys answer; arrows and Enter do too. Every way out spells out its consequence."""

    DEFAULT_CSS = """
    QuitScreen { align: center middle; background: $background 60%; }
    QuitScreen > Container {
        width: 74; max-width: 100%; height: auto; max-height: 100%;
        background: $background; border: round $primary; border-title-color: $foreground; border-title-style: bold;
        border-subtitle-color: $foreground 60%;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(option.key, f"answer('{option.choice}')", show=False) for option in {*OPTIONS, *ATTACHED}),
        Binding("escape,q", "answer('cancel')", show=False),
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("enter", "confirm", show=False),
    ]

    def __init__(self, palette: Palette, options: tuple[Option, ...] = OPTIONS) -> None:
        super().__init__()
        self._choices = _Choices(palette, id="choices")
        self._choices.options = options

    def compose(self) -> ComposeResult:
        """A frame around the choices."""
        box = Container(self._choices)
        box.border_title = "quit: what becomes of the training?"
        box.border_subtitle = "press a letter, or ↑ ↓ enter"
        yield box

    def action_answer(self, choice: Choice) -> None:
        """Close with an answer."""
        self.dismiss(choice)

    def action_move(self, by: int) -> None:
        """Mark the next or the previous option."""
        self._choices.marked = (self._choices.marked + by) % len(self._choices.options)
        self._choices.redraw()

    def action_confirm(self) -> None:
        """Answer with the marked option."""
        self.dismiss(self._choices.options[self._choices.marked].choice)

    def on_click(self, event: events.Click) -> None:
        """A click beside the box cancels."""
        if event.widget is self:
            self.dismiss("cancel")
