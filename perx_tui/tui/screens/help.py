"""The help screen: every key by group, from the key table."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.geometry import Size
from textual.screen import ModalScreen

from perx_tui.tui.keys import KEYS, PANEL, PROGRAM, SCREEN, TRAINING, WATCHING, Key
from perx_tui.tui.lines import EMPTY, Line, beside, cells, wrap
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
            return [row for line in (*left, EMPTY, *right) for row in _wrapped(line, width)]
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


def _wrapped(line: Line, width: int) -> list[Line]:
    """A key's line in as many rows as its text takes on a narrow screen."""
    if cells(line) <= width or len(line) < 2:
        return [line]
    (key, style), (text, plain) = line
    first, *more = wrap(text, max(8, width - len(key)))
    return [((key, style), (first, plain)), *(((" " * len(key) + row, plain),) for row in more)]


class HelpScreen(ModalScreen[None]):
    """Scrolls where the table is longer than the screen; its other keys close it again."""

    DEFAULT_CSS = """
    HelpScreen { align: center middle; background: $background; }
    HelpScreen > Container {
        width: 80; max-width: 100%; height: auto; max-height: 100%; padding: 0 2; overflow-y: auto;
        background: $background; border: round $primary; border-title-color: $foreground; border-title-style: bold;
        border-subtitle-color: $foreground 60%;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,f1,enter,space", "dismiss", show=False),
        Binding("up", "roll(-1)", show=False),
        Binding("down", "roll(1)", show=False),
        Binding("pageup", "turn(-1)", show=False),
        Binding("pagedown", "turn(1)", show=False),
        Binding("home", "roll(-1000000)", show=False),
        Binding("end", "roll(1000000)", show=False),
    ]

    def __init__(self, palette: Palette) -> None:
        super().__init__()
        self._keys = _Keys(palette, id="keys")
        self._box = Container(self._keys)

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
        self._box.border_title = "keys"
        yield self._box

    def on_screen_resume(self) -> None:
        """It begins at its top, whatever was read last."""
        self._box.scroll_home(animate=False)
        self.call_after_refresh(self._say_how)

    def on_resize(self) -> None:
        """In another size other keys matter."""
        self.call_after_refresh(self._say_how)

    def _say_how(self) -> None:
        more = "↑ ↓ pgup pgdn scroll, " if self._box.max_scroll_y else ""
        self._box.border_subtitle = f"{more}esc closes"

    def action_roll(self, by: int) -> None:
        """Scroll by rows."""
        self._box.scroll_to(y=self._box.scroll_y + by, animate=False)

    def action_turn(self, by: int) -> None:
        """Scroll by what is seen at once, less a row."""
        self.action_roll(by * max(1, self._box.scrollable_content_region.height - 1))
