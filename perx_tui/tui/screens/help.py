"""The help screen: every key by group, from the key table."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.geometry import Size
from textual.screen import ModalScreen

from perx_tui.tui.keys import KEYS, PANEL, PROGRAM, SCREEN, TRAINING, WATCHING, Key
from perx_tui.tui.lines import EMPTY, Line, beside
from perx_tui.tui.panel import Lines
from perx_tui.tui.theme import Palette

_LEFT, _RIGHT = 36, 36
"""Widths of the columns."""


class _Keys(Lines):
    """Keys of the training and the program at the left, of panels and screens at the right; one column where it is
    narrow. A full screen's own keys stand at the left, those of the program that it leaves in force at the right."""

    DEFAULT_CSS = "_Keys { width: 100%; height: auto; }"
    table: tuple[Key, ...] = KEYS

    def lines(self, width: int, height: int) -> list[Line]:
        """Headings and keys."""
        if self.table is KEYS:
            left = [*_group(TRAINING, KEYS), EMPTY, *_group(WATCHING, KEYS), EMPTY, *_group(PROGRAM, KEYS)]
            right = [*_group(PANEL, KEYS), EMPTY, *_group(SCREEN, KEYS)]
        else:
            groups = list(dict.fromkeys(key.group for key in self.table))
            own = [group for group in groups if group not in (TRAINING, PROGRAM)]
            left = [line for group in own for line in (*_group(group, self.table), EMPTY)]
            right = [line for group in groups if group not in own for line in (*_group(group, self.table), EMPTY)]
            over_training = any(key.label == "back" for key in self.table)
            right += _group(SCREEN, KEYS) if over_training and any("question" in key.keys for key in self.table) else []
        if width < _LEFT + _RIGHT + 2:
            return [*left, EMPTY, *right]
        return [EMPTY, *beside([(left, _LEFT), (right, _RIGHT)], max(len(left), len(right)), 2), EMPTY]

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many rows as the table takes."""
        return len(self.lines(width, 0))


def _group(name: str, table: tuple[Key, ...]) -> list[Line]:
    rows: list[Line] = [((name, "strong"),)]
    keys = [key for key in table if key.group == name and key.display]
    margin = max(7, *(len(key.display) for key in keys))
    rows.extend(((key.display.rjust(margin) + "  ", "blue+"), (key.help, "")) for key in keys)
    return rows


class HelpScreen(ModalScreen[None]):
    """Any of its keys closes it again."""

    DEFAULT_CSS = """
    HelpScreen { align: center middle; background: $background; }
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

    def list(self, table: tuple[Key, ...]) -> None:
        """Show the keys of the screen that it is called from."""
        if table is not self._keys.table:
            self._keys.table = table
            self._keys.refresh(layout=True)

    def recolor(self, palette: Palette) -> None:
        """Draw everything anew in another palette."""
        self._keys.recolor(palette)

    def compose(self) -> ComposeResult:
        """A frame around the table."""
        box = Container(self._keys)
        box.border_title = "keys"
        box.border_subtitle = "esc closes"
        yield box
