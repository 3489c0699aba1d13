"""Drawing past Textual's compositor.

For every partial update the compositor asks all widgets on the screen for all of their rows. Panels know themselves
which cells have changed, so where nothing lies over them those cells go straight to the terminal, at about a fifth of
the cost. Whatever Textual draws later (another layout, another screen) it draws from the same rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.color import ColorSystem
from rich.segment import Segment
from textual._ansi_sequences import SYNC_END, SYNC_START
from textual.app import App
from textual.geometry import Offset
from textual.widget import Widget

from perx_tui.tui.lines import Line
from perx_tui.tui.panel import Lines
from perx_tui.tui.pen import Look, Pen, changes, look
from perx_tui.tui.theme import Palette

_SYSTEMS = {
    "standard": ColorSystem.STANDARD,
    "256": ColorSystem.EIGHT_BIT,
    "truecolor": ColorSystem.TRUECOLOR,
}


class Painter:
    """Writes changed cells of an app's panels. Refuses where only Textual knows what is to be seen."""

    def __init__(self, app: App[Any]) -> None:
        self._app = app
        self._map: dict[Widget, Any] | None = None
        self._places: dict[Widget, Offset] = {}
        self._pen = Pen(self._look)
        self._palette: Palette | None = None
        self._looks: dict[str, Look] = {}
        self._depth = 0

    def paint(self, widget: Lines, old: Sequence[Line], new: Sequence[Line], rows: Sequence[int]) -> bool:
        """Draw what differs in `rows` between two states of a widget; False where it is not for us to draw."""
        place = self._place(widget)
        if place is None:
            return False
        # Textual remembers rows that it has drawn.
        widget._styles_cache._dirty_lines.update(rows)
        if widget.palette is not self._palette:
            self._palette, self._looks = widget.palette, {}
        with self.frame():
            for y in rows:
                for x, parts in changes(old[y], new[y]):
                    self._pen.write(place.x + x, place.y + y, parts)
        return True

    @contextmanager
    def frame(self) -> Iterator[None]:
        """What is painted meanwhile is written as one piece at the end."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if not self._depth:
                self._flush()

    def _flush(self) -> None:
        text = self._pen.take()
        driver = self._app._driver
        if text and driver is not None:
            driver.write(f"{SYNC_START}{text}{SYNC_END}" if self._app._sync_available else text)

    def _place(self, widget: Lines) -> Offset | None:
        """Where a widget begins on the screen; None where it is not wholly in sight."""
        app = self._app
        if app.is_headless or app._driver is None or app._batch_count or not app._running or app._closed:
            return None
        shown = app.screen._compositor.visible_widgets
        if shown is not self._map:
            self._map, self._places = shown, _uncovered(shown)
        place = self._places.get(widget)
        return place if place is not None and shown[widget][0].size == widget.size else None

    def _look(self, name: str) -> Look:
        known = self._looks.get(name)
        if known is None:
            assert self._palette is not None
            segments = [Segment("x", self._palette.style(name))]
            for line_filter in self._app.get_line_filters():
                segments = line_filter.apply(segments, self._app.background_colors[1])
            style = segments[0].style
            assert style is not None
            known = look(style, _SYSTEMS.get(self._app.console.color_system or "", ColorSystem.TRUECOLOR))
            self._looks[name] = known
        return known


def _uncovered(shown: dict[Widget, Any]) -> dict[Widget, Offset]:
    """Panels that are wholly in sight and under no other widget. `shown` has regions and clips from front to back."""
    places: dict[Widget, Offset] = {}
    above: list[Any] = []
    for widget, (region, clip) in shown.items():
        in_sight = isinstance(widget, Lines) and clip.contains_region(region)
        if in_sight and not any(region.overlaps(other) for other in above):
            places[widget] = region.offset
        above.append(region)
    return places
