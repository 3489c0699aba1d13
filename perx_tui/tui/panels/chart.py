"""The panel of the chart screen: curves under the mouse and the crosshair."""

from __future__ import annotations

from textual import events
from textual.message import Message

from perx_tui.tui.lines import Line
from perx_tui.tui.metric_chart import MetricChart, empty
from perx_tui.tui.panel import Panel
from perx_tui.tui.theme import Palette

ZOOM = 1.5
"""How much one press or one notch of the wheel shows less of the run."""


class ChartPanel(Panel, can_focus=False):
    """The pinned metrics in the window that was chosen. A click puts the crosshair, dragging pans, the wheel zooms."""

    title = "charts"

    class Changed(Message):
        """The mouse changed what is shown."""

    def __init__(self, palette: Palette, *, id: str) -> None:
        super().__init__(palette, id=id)
        self._chart = MetricChart(legend=True, spread=True)
        self._dragged: tuple[int, float, float] | None = None
        """Cell and window at the press of the button."""
        self._moved = False

    def heading(self) -> str:
        """The active metric, over what."""
        charts = self.view.charts
        return f"{charts.key} over {'time' if charts.time else 'steps'}"

    def summary(self) -> list[Line]:
        """Where the crosshair stands, and how the curves are drawn."""
        charts = self.view.charts
        place, manner = self._chart.place(self.view.history), charts.manner
        parts: list[Line] = [((place, "strong"),)] if place else []
        if manner:
            parts.append(((manner, "yellow"),))
        whole = tuple(part for index, line in enumerate(parts) for part in ((("   ", ""),) if index else ()) + line)
        return [whole, *parts]

    def caption(self) -> list[Line]:
        """How to read the chart."""
        if self._chart.hidden:
            return [
                (("values of zero and below are not on a logarithmic axis", "yellow"),),
                (("zero is hidden", "yellow"),),
            ]
        charts = self.view.charts
        if len(charts.pinned) > 1 and not self._chart.stacks and not self._chart.one_scale:
            return [((f"each on its own scale; the axis is that of {charts.key}", "dim"),), (("own scales", "dim"),)]
        if self._chart.shaded:
            return [(("line: mean; shaded: smallest to largest", "dim"),), (("shaded: range", "dim"),)]
        return [(("faint: as it came", "dim"),)] if charts.smoothing else []

    def body(self, width: int, height: int) -> list[Line]:
        """The picture, or why there is none."""
        self._chart.choice = self.view.charts
        lines = self._chart.lines(self.view.history, width, height, self.view.now)
        return lines or empty(width, height, self.view.charts.pinned)

    @property
    def columns(self) -> int:
        """Columns of dots in the plots."""
        return self._chart.columns

    # ---- the mouse ----

    def _cell(self, event: events.MouseEvent) -> int:
        return event.x - 1 - self.padding_across

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """The beginning of a click or of a drag."""
        if event.button != 1:
            return
        event.stop()
        self._dragged, self._moved = (event.x, *self.view.charts.window(self.view.history)), False
        self.capture_mouse()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """The chart follows the pointer while the button is held."""
        if self._dragged is None or (event.x == self._dragged[0] and not self._moved):
            return
        event.stop()
        charts, (first, start, end) = self.view.charts, self._dragged
        self._moved = True
        if not charts.viewport.whole and self.columns:
            shift = (event.x - first) * 2 * (end - start) / self.columns
            charts.viewport.show(start - shift, end - shift, charts.last(self.view.history))
            charts.changed()
            self.post_message(self.Changed())

    def on_mouse_up(self, event: events.MouseUp) -> None:
        """Without a drag it was a click: the crosshair comes here, and in a stack the curve becomes the active one."""
        if self._dragged is None:
            return
        event.stop()
        self._dragged = None
        self.release_mouse()
        x = self._chart.x_at(self._cell(event))
        if not self._moved and x is not None:
            charts = self.view.charts
            place = self._chart.place_at(event.y - 1)
            if place is not None:
                charts.active = place
            charts.point_at(self.view.history, x)
            self.post_message(self.Changed())

    def on_click(self, event: events.Click) -> None:
        """A double click shows the whole run again."""
        event.stop()
        if event.chain == 2:
            self.view.charts.viewport.reset()
            self.view.charts.changed()
            self.post_message(self.Changed())

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Closer, about the pointer."""
        self._zoom(event, ZOOM)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Farther."""
        self._zoom(event, 1 / ZOOM)

    def _zoom(self, event: events.MouseEvent, factor: float) -> None:
        event.stop()
        x = self._chart.x_at(self._cell(event))
        charts = self.view.charts
        if x is not None:
            charts.viewport.zoom(factor, x, charts.last(self.view.history))
            charts.changed()
            self.post_message(self.Changed())
