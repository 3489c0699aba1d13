"""The base of everything on the screen: a widget that describes itself in lines and redraws only those that changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from textual import events
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from perx_tui.tui.lines import EMPTY, Line, Part, cells, cleaned, difference, fit, shorten
from perx_tui.tui.view import View

if TYPE_CHECKING:
    from perx_tui.tui.painting import Painter
    from perx_tui.tui.theme import Palette


class Lines(Widget):
    """A widget drawn through the line API from what `lines` returns. Subclasses say what is shown, never when."""

    DEFAULT_CSS = "Lines { width: 1fr; height: 1fr; }"

    def __init__(self, palette: Palette, *, id: str) -> None:
        super().__init__(id=id)
        self.palette = palette
        self.view = View()
        self._shown: list[Line] = []

    def lines(self, width: int, height: int) -> Sequence[Line]:
        """The rows of this widget, each `width` cells wide; missing rows are blank."""
        raise NotImplementedError

    def show(self, view: View) -> None:
        """Take the newest view and redraw what it changes. Costs nothing while the widget is hidden."""
        self.view = view
        if self.display:
            self.redraw()

    def redraw(self, *, all_rows: bool = False) -> None:
        """Compare the rows with those on the screen and have Textual draw those that differ."""
        width, height = self.size
        if not width or not height:
            return
        blank: Line = ((" " * width, ""),)
        rows = [fit(cleaned(line), width) for line in self.lines(width, height)][:height]
        rows.extend([blank] * (height - len(rows)))
        old = self._shown
        self._shown = rows
        if all_rows or len(old) != len(rows):
            self.refresh()
            return
        changed = [y for y in range(height) if old[y] is not rows[y] and old[y] != rows[y]]
        if changed and not self._paint(rows, changed):
            spans = [(y, *difference(old[y], rows[y])) for y in changed]
            regions = [Region(first, y, end - first, 1) for y, first, end in spans if end > first]
            if regions:
                self.refresh(*regions)

    def _paint(self, rows: Sequence[Line], changed: Sequence[int]) -> bool:
        """Draw past Textual where the app can do that."""
        painter: Painter | None = getattr(self.app, "painter", None)
        return painter is not None and painter.paint(self, rows, changed)

    def recolor(self, palette: Palette) -> None:
        """Draw everything anew in another palette."""
        self.palette = palette
        self.redraw(all_rows=True)

    def render_line(self, y: int) -> Strip:
        """One row for Textual."""
        width = self.size.width
        style = self.palette.style
        line: Line = self._shown[y] if y < len(self._shown) else ((" " * width, ""),)
        return Strip([Segment(text, style(name)) for text, name in line if text], width)

    def on_resize(self, event: events.Resize) -> None:
        """A new size asks for new rows."""
        self.redraw(all_rows=True)

    def on_show(self, event: events.Show) -> None:
        """A panel that comes back shows the newest view, not the one it left with."""
        self.redraw(all_rows=True)


class Bar(Lines):
    """One line of which parts stand for actions of the app and can be clicked."""

    spans: Sequence[tuple[int, int, str]] = ()
    """First cell, the cell after the last, and the action of every part that is shown."""

    def on_click(self, event: events.Click) -> None:
        """Run the action under the pointer."""
        for first, end, action in self.spans:
            if first <= event.x < end:
                event.stop()
                self.app.call_later(self.app.run_action, action)


class Panel(Lines, can_focus=True):
    """A numbered panel in a thin rounded frame that carries the title and key figures."""

    ALLOW_SELECT = False
    number: ClassVar[int] = 0
    title: ClassVar[str] = ""
    padding_across: ClassVar[int] = 1
    _framed_key: tuple[int, Part, Part] | None = None
    _framed_body: Sequence[Line] = ()
    _framed_rows: Sequence[Line] = ()

    def body(self, width: int, height: int) -> Sequence[Line]:
        """The rows inside the frame."""
        raise NotImplementedError

    def summary(self) -> Sequence[Line]:
        """What may stand at the right end of the upper border, the fullest wording first; the first that fits does."""
        return ()

    def caption(self) -> Sequence[Line]:
        """What may stand at the left end of the lower border, the fullest wording first."""
        return ()

    def heading(self) -> str:
        """The title in the upper border."""
        return self.title

    def lines(self, width: int, height: int) -> list[Line]:
        """Frame and body."""
        if width < 8 or height < 3:
            return []
        frame = "blue" if self.has_focus else "frame"
        pad = self.padding_across
        inner = width - 2 - 2 * pad
        edge: Part = ("│" + " " * pad, frame)
        other: Part = (" " * pad + "│", frame)
        body = list(self.body(inner, height - 2))[: height - 2]
        body.extend([EMPTY] * (height - 2 - len(body)))
        return [self._top(width, frame), *self._framed(body, inner, edge, other), self._bottom(width, frame)]

    def _framed(self, body: Sequence[Line], inner: int, edge: Part, other: Part) -> Sequence[Line]:
        """Rows between the edges of the frame; those that were there before are not made again."""
        key = (inner, edge, other)
        before = self._framed_body if self._framed_key == key else []
        known = self._framed_rows if before else []
        self._framed_key, self._framed_body = key, body
        self._framed_rows = [
            known[y] if y < len(before) and before[y] == line else (edge, *fit(line, inner), other)
            for y, line in enumerate(body)
        ]
        return self._framed_rows

    def _top(self, width: int, frame: str) -> Line:
        heading = shorten(self.heading(), width - 8)
        number = f"{self.number} " if self.number else ""
        title: Line = (("╭─ ", frame), (number, "blue+"), (heading, "strong"), (" ", ""))
        for summary in self.summary():
            rule = width - cells(title) - cells(summary) - 4
            if summary and rule >= 1:
                return (*title, ("─" * rule + " ", frame), *summary, (" ─╮", frame))
        return (*title, ("─" * (width - cells(title) - 1) + "╮", frame))

    def _bottom(self, width: int, frame: str) -> Line:
        for caption in self.caption():
            rule = width - cells(caption) - 5
            if caption and rule >= 1:
                return (("╰─ ", frame), *caption, (" " + "─" * rule + "╯", frame))
        return (("╰" + "─" * (width - 2) + "╯", frame),)

    def watch_has_focus(self, has_focus: bool) -> None:
        """The frame shows the focus. Textual's focus event comes before the focus itself."""
        super().watch_has_focus(has_focus)
        self.redraw()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """What the figure under the pointer means, in the last line."""
        self._point(event.x, event.y)

    def on_leave(self, event: events.Leave) -> None:
        """Nothing is pointed at any more."""
        self._point(-1, -1)

    def _point(self, x: int, y: int) -> None:
        hover: Callable[[str, str, int], None] | None = getattr(self.app, "hover", None)
        if hover is not None and self.id is not None:
            row = "".join(text for text, _ in self._shown[y]) if 0 <= y < len(self._shown) else ""
            hover(self.id, row, x)

    def on_click(self, event: events.Click) -> None:
        """A double click maximizes and restores."""
        if event.chain == 2:
            event.stop()
            self.app.call_later(self.app.run_action, "maximize")
