"""The base of the screens that stand in place of the panels: header, a body of their own, footer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.geometry import NULL_OFFSET, NULL_SPACING, Region, Size
from textual.layout import ArrangeResult, Layout, WidgetPlacement
from textual.screen import Screen
from textual.widget import Widget

from perx_tui.tui.arrangement import SMALLEST, Rect
from perx_tui.tui.keys import Key
from perx_tui.tui.panel import Lines
from perx_tui.tui.panels.footer import Footer
from perx_tui.tui.panels.header import Header
from perx_tui.tui.panels.notice import Notice
from perx_tui.tui.theme import Palette
from perx_tui.tui.view import View


class _Places(Layout):
    """Textual's side of `FullScreen.places`."""

    name = "places"

    def arrange(self, parent: Widget, children: list[Widget], size: Size, greedy: bool = True) -> ArrangeResult:
        """Place every child that has a place."""
        assert isinstance(parent, _Board)
        places = parent.screen_of.all_places(size.width, size.height)
        return [
            WidgetPlacement(Region(*places[child.id]), NULL_OFFSET, NULL_SPACING, child)
            for child in children
            if child.id is not None and child.id in places
        ]


class _Board(Widget):
    """The one container of such a screen."""

    DEFAULT_CSS = "_Board { width: 1fr; height: 1fr; background: $background; overflow: hidden; }"

    def __init__(self, screen_of: FullScreen) -> None:
        super().__init__()
        self.screen_of = screen_of
        self._places = _Places()

    @property
    def layout(self) -> Layout:
        """Our own layout instead of one by name."""
        return self._places

    def compose(self) -> ComposeResult:
        """Everything that is drawn."""
        yield from self.screen_of.lines()

    def on_resize(self, event: events.Resize) -> None:
        """Another size, other places."""
        self.screen_of.rearrange(event.size)


class FullScreen(Screen[None]):
    """Subclasses make the panels and say where they stand; those without a place are hidden and cost nothing."""

    DEFAULT_CSS = "FullScreen { background: $background; overflow: hidden; }"
    AUTO_FOCUS = None
    subject: ClassVar[str] = ""
    """Whose figures `explaining` has for this screen."""

    def __init__(
        self, palette: Palette, table: tuple[Key, ...], panels: Sequence[Lines], header: Lines | None = None
    ) -> None:
        """`header` stands in place of the first line on the run."""
        super().__init__()
        self.table = table
        self.view = View()
        self.header = header or Header(palette, id="header")
        self.footer = Footer(palette, id="footer")
        self.footer.table = table
        self.panels = tuple(panels)
        self._notice = Notice(palette, id="notice")
        self._board = _Board(self)
        for widget in self.lines():
            widget.display = False

    def places(self, body: Rect) -> Mapping[str, Rect]:
        """Where the panels stand between header and footer, by their ids."""
        raise NotImplementedError

    def all_places(self, width: int, height: int) -> Mapping[str, Rect]:
        """`places` with header and footer."""
        if width < SMALLEST[0] or height < SMALLEST[1]:
            return {"notice": Rect(0, 0, width, height)}
        ends = {"header": Rect(0, 0, width, 1), "footer": Rect(0, height - 1, width, 1)}
        return {**ends, **self.places(Rect(0, 1, width, height - 2))}

    def compose(self) -> ComposeResult:
        """One container; it knows the rest."""
        yield self._board

    def lines(self) -> Iterator[Lines]:
        """Everything that is drawn."""
        yield from (self.header, *self.panels, self.footer, self._notice)

    def rearrange(self, size: Size | None = None) -> None:
        """Work out who is seen where."""
        size = size or self._board.size
        places = self.all_places(size.width, size.height)
        for widget in self.lines():
            widget.display = widget.id in places
        # Textual keeps a container's last arrangements by size; only a child's request makes it forget them.
        self.header.refresh(layout=True)

    def show(self, view: View) -> None:
        """Hand a view to everything that is drawn."""
        self.view = view
        for widget in self.lines():
            widget.show(view)

    def play(self, now: float) -> None:
        """Called as often as the episode panel is drawn."""

    def recolor(self, palette: Palette) -> None:
        """Draw everything anew in another palette."""
        for widget in self.lines():
            widget.recolor(palette)

    def action_back(self) -> None:
        """To the screen below."""
        self.dismiss()
