"""From panels and Textual's updates to the terminal.

For every partial update Textual's compositor asks all widgets on the screen for all of their rows. Panels know
themselves which rows have changed, so where nothing lies over them those go past the compositor, at about a fifth of
the cost. What the compositor draws (another layout, another screen) comes through here too, so that of both only the
cells are sent that the terminal does not show yet.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.color import ColorSystem
from rich.console import RenderableType
from rich.segment import Segment
from rich.style import Style
from textual._ansi_sequences import SYNC_END, SYNC_START
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.app import App
from textual.geometry import Offset
from textual.strip import Strip
from textual.widget import Widget

from perx_tui.tui.lines import Line
from perx_tui.tui.link import Link
from perx_tui.tui.panel import Lines
from perx_tui.tui.pen import Look, Sheet, cells_of, look
from perx_tui.tui.theme import Palette

_SYSTEMS = {"standard": ColorSystem.STANDARD, "256": ColorSystem.EIGHT_BIT, "truecolor": ColorSystem.TRUECOLOR}


class Painter:
    """Writes an app's screen. Refuses where only Textual knows what is to be seen."""

    def __init__(self, app: App[Any], clock: Callable[[], float] = time.monotonic) -> None:
        self.link = Link(clock)
        self._app = app
        self._sheet = Sheet()
        self._map: dict[Widget, Any] | None = None
        self._places: dict[Widget, Offset] = {}
        self._palette: Palette | None = None
        self._named: dict[str, Look] = {}
        self._looks: dict[Style | None, Look] = {}
        self._depth = 0

    def forget(self) -> None:
        """What the terminal shows is not known any more."""
        self._sheet.forget()

    def paint(self, widget: Lines, rows: Sequence[Line], changed: Sequence[int]) -> bool:
        """Draw the `changed` ones of a widget's rows; False where it is not for us to draw."""
        place = self._place(widget)
        if place is None:
            return False
        # Textual remembers rows that it has drawn.
        widget._styles_cache._dirty_lines.update(changed)
        if widget.palette is not self._palette:
            self._palette, self._named = widget.palette, {}
        with self.frame():
            for y in changed:
                parts = [(text, self._name(name)) for text, name in rows[y]]
                self._sheet.put(place.x, place.y + y, cells_of(parts))
        return True

    def display(self, update: RenderableType | None) -> bool:
        """Draw what the compositor made; False for what is none of its updates, or not for a terminal."""
        if not self._ready:
            return False
        with self.frame():
            if isinstance(update, LayoutUpdate):
                for y, strips in enumerate(update.strips, update.region.y):
                    x = update.region.x
                    for each in strips:
                        self._strip(x, y, each)
                        x += each.cell_length
            elif isinstance(update, ChopsUpdate):
                for y, first, end in update.spans:
                    for chop_end, (x, strip) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
                        if strip is not None and x < end and chop_end > first:
                            self._strip(x, y, strip)
            else:
                return False
        return True

    def _strip(self, x: int, y: int, strip: Strip) -> None:
        looks = self._looks
        self._sheet.put(x, y, cells_of([(s.text, looks.get(s.style) or self._look(s.style)) for s in strip]))

    @contextmanager
    def frame(self) -> Iterator[None]:
        """What is painted meanwhile is written as one piece at the end."""
        if not self._depth:
            self._sheet.fit(*self._app.size)
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if not self._depth:
                self._flush()

    def _flush(self) -> None:
        text = self._sheet.take()
        driver = self._app._driver
        if text and driver is not None:
            whole = f"{SYNC_START}{text}{SYNC_END}" if self._app._sync_available else text
            driver.write(whole + self.link.question())

    @property
    def _ready(self) -> bool:
        """Whether there is a terminal to write to."""
        app = self._app
        return not (app.is_headless or app._driver is None or app._batch_count or not app._running or app._closed)

    def _place(self, widget: Lines) -> Offset | None:
        """Where a widget begins on the screen; None where it is not wholly in sight."""
        if not self._ready:
            return None
        shown = self._app.screen._compositor.visible_widgets
        if shown is not self._map:
            self._map, self._places = shown, _uncovered(shown)
        place = self._places.get(widget)
        return place if place is not None and shown[widget][0].size == widget.size else None

    def _name(self, name: str) -> Look:
        known = self._named.get(name)
        if known is None:
            assert self._palette is not None
            segments = [Segment("x", self._palette.style(name))]
            for line_filter in self._app.get_line_filters():
                segments = line_filter.apply(segments, self._app.background_colors[1])
            known = self._named[name] = self._look(segments[0].style)
        return known

    def _look(self, style: Style | None) -> Look:
        known = self._looks.get(style)
        if known is None:
            system = _SYSTEMS.get(self._app.console.color_system or "", ColorSystem.TRUECOLOR)
            known = self._looks[style] = look(style, system)
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
