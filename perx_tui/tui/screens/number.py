"""The dialog that asks for the number of an environment."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.geometry import Size
from textual.screen import ModalScreen

from perx_tui.tui.lines import Line
from perx_tui.tui.panel import Lines
from perx_tui.tui.theme import Palette


class _Number(Lines):
    """What was typed, and what would do."""

    DEFAULT_CSS = "_Number { width: 100%; height: auto; }"
    typed, count = "", 1

    def lines(self, width: int, height: int) -> list[Line]:
        """One line; a number that is too large is told as it is typed."""
        wrong = bool(self.typed) and int(self.typed) >= self.count
        range_ = f"   0 to {self.count - 1:,}"
        return [((" environment ", "dim"), (self.typed + "█", "red+" if wrong else "strong"), (range_, "dim"))]

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """The one line."""
        return 1


class NumberScreen(ModalScreen[int | None]):
    """Digits and enter answer, escape takes the question back."""

    DEFAULT_CSS = """
    NumberScreen { align: center middle; background: $background 60%; }
    NumberScreen > Container {
        width: 44; max-width: 100%; height: auto;
        background: $background; border: round $primary; border-title-color: $foreground; border-title-style: bold;
        border-subtitle-color: $foreground 60%;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss", show=False)]

    def __init__(self, palette: Palette, count: int) -> None:
        """There are `count` environments."""
        super().__init__()
        self._number = _Number(palette, id="number")
        self._number.count = count

    def compose(self) -> ComposeResult:
        """A frame around the line."""
        box = Container(self._number)
        box.border_title = "watch which environment?"
        box.border_subtitle = "digits, enter"
        yield box

    def on_key(self, event: events.Key) -> None:
        """A binding waits for the app's turn, and digits typed fast would overtake enter."""
        number = self._number
        if event.character is not None and event.character in "0123456789" and len(number.typed) < 9:
            number.typed += event.character
        elif event.key == "backspace":
            number.typed = number.typed[:-1]
        elif event.key == "enter":
            if number.typed and int(number.typed) < number.count:
                self.dismiss(int(number.typed))
        elif event.key in ("escape", "ctrl+c"):
            return
        event.stop()
        event.prevent_default()
        number.redraw()
