"""The help screen: every key by group, from the key table."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.geometry import Size
from textual.screen import ModalScreen

from perx_tui.tui.keys import KEYS, PANEL, PROGRAM, TRAINING
from perx_tui.tui.lines import EMPTY, Line, beside
from perx_tui.tui.panel import Lines
from perx_tui.tui.theme import Palette

_LEFT, _RIGHT = 36, 36
"""Widths of the columns."""


class _Keys(Lines):
    """Keys of the training and the program at the left, of the panels at the right; one column where it is narrow."""

    DEFAULT_CSS = "_Keys { width: 100%; height: auto; }"

    def lines(self, width: int, height: int) -> list[Line]:
        """Headings and keys."""
        left = [*_group(TRAINING), EMPTY, *_group(PROGRAM)]
        right = _group(PANEL)
        if width < _LEFT + _RIGHT + 2:
            return [*left, EMPTY, *right]
        return [EMPTY, *beside([(left, _LEFT), (right, _RIGHT)], max(len(left), len(right)), 2), EMPTY]

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many rows as the table takes."""
        return len(self.lines(width, 0))


def _group(name: str) -> list[Line]:
    rows: list[Line] = [((name, "strong"),)]
    rows.extend(((key.display.rjust(7) + "  ", "blue+"), (key.help, "")) for key in KEYS if key.group == name)
    return rows


class HelpScreen(ModalScreen[None]):
    """Any of its keys closes it again."""

    DEFAULT_CSS = """
    HelpScreen { align: center middle; background: $background 60%; }
    HelpScreen > Container {
        width: 80; max-width: 100%; height: auto; max-height: 100%; padding: 0 2; overflow-y: auto;
        background: $background; border: round $primary; border-title-color: $foreground; border-title-style: bold;
        border-subtitle-color: $foreground 60%;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark,f1,enter,space", "dismiss", show=False)]

    def __init__(self, palette: Palette) -> None:
        super().__init__()
        self._keys = _Keys(palette, id="keys")

    def compose(self) -> ComposeResult:
        """A frame around the table."""
        box = Container(self._keys)
        box.border_title = "keys"
        box.border_subtitle = "esc closes"
        yield box
