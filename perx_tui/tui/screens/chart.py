"""The chart screen: any metric of the run over steps or time, with zoom, crosshair, search and explanation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from textual import events, on
from textual.binding import BindingType

from perx_tui import metrics as names
from perx_tui.tui.arrangement import Rect
from perx_tui.tui.chart_choice import SMOOTHING, Choice
from perx_tui.tui.keys import CHART_KEYS, SEARCH_KEYS, bindings
from perx_tui.tui.panels.chart import ZOOM, ChartPanel
from perx_tui.tui.panels.metrics import About, MetricList
from perx_tui.tui.screens.full import FullScreen
from perx_tui.tui.theme import Palette
from perx_tui.tui.view import View

_LONGEST = 40
"""Characters of the filter."""
_PAGE = 20
"""Columns of dots that a page of the crosshair moves."""
_SIDE = 46
_ABOUT = 15


class ChartScreen(FullScreen):
    """The chart with, where the terminal is wide, all metrics and the active one explained beside it; where it is not,
    the list takes the chart's place while one searches, and the explanation a part of it when it is asked for."""

    BINDINGS: ClassVar[list[BindingType]] = list(bindings(CHART_KEYS))

    def __init__(
        self,
        palette: Palette,
        *,
        remember: Callable[[], None],
        tell: Callable[[str], None],
        save: Callable[[], None],
        copy: Callable[[str, str], None],
    ) -> None:
        """`remember` keeps the choice for the next time, `tell` answers in the first line, `save` writes the chart to
        files, `copy` takes a text and what it is called to the clipboard."""
        self.chart = ChartPanel(palette, id="chart")
        self.metrics = MetricList(palette, id="metrics")
        self.about = About(palette, id="about")
        self._remember, self._tell, self._save, self._copy = remember, tell, save, copy
        self._wide = False
        self._explaining = False
        super().__init__(palette, CHART_KEYS, [self.chart, self.metrics, self.about])

    @property
    def charts(self) -> Choice:
        """What is shown."""
        return self.view.charts

    @property
    def searching(self) -> bool:
        """Letters go into the filter."""
        return self.metrics.typing

    def places(self, body: Rect) -> Mapping[str, Rect]:
        """Chart, list and explanation side by side, or the one that is needed."""
        self._wide = body.width >= 116 and body.height >= 28
        self.footer.idle = frozenset({"explain"} if self._wide else ())
        if self._wide:
            left = body.width - _SIDE
            return {
                "chart": Rect(body.x, body.y, left, body.height),
                "metrics": Rect(body.x + left, body.y, _SIDE, body.height - _ABOUT),
                "about": Rect(body.x + left, body.y + body.height - _ABOUT, _SIDE, _ABOUT),
            }
        below = min(10, body.height // 2)
        upper = Rect(body.x, body.y, body.width, body.height - below)
        lower = Rect(body.x, body.y + body.height - below, body.width, below)
        if self.searching:
            return {"metrics": upper, "about": lower}
        return {"chart": upper, "about": lower} if self._explaining else {"chart": body}

    def show(self, view: View) -> None:
        """The explanation follows the list while one searches, otherwise the active curve."""
        for panel in self.panels:
            panel.view = view
        self.view = view
        self._follow()
        super().show(view)

    def _follow(self) -> None:
        self.about.key = (self.metrics.chosen or "") if self.searching else self.charts.key
        if not self.searching:
            self.metrics.go_to(self.charts.key)

    @on(ChartPanel.Changed)
    def _redraw(self) -> None:
        self._follow()
        for panel in self.panels:
            if panel.display:
                panel.redraw()

    def _changed(self) -> None:
        """What shall be the same the next time has changed."""
        self.charts.changed()
        self._remember()
        self._redraw()

    # ---- crosshair, window ----

    def action_move(self, by: int) -> None:
        """Move the crosshair by columns of dots, or to the next point."""
        self.charts.move_cursor(self.view.history, by, self.chart.columns)
        self._redraw()

    def action_page(self, by: int) -> None:
        """Move it farther."""
        self.action_move(by * _PAGE)

    def action_end(self, by: int) -> None:
        """To the first or the last point of the window."""
        start, end = self.charts.window(self.view.history)
        self.charts.point_at(self.view.history, start if by < 0 else end)
        self._redraw()

    def action_zoom(self, by: int) -> None:
        """Closer or farther, about the crosshair; without one about the newest point where it is in sight."""
        charts, last = self.charts, self.charts.last(self.view.history)
        start, end = charts.window(self.view.history)
        at = charts.cursor if charts.cursor is not None and start <= charts.cursor <= end else None
        if at is None:
            at = last if charts.viewport.tail else (start + end) / 2
        charts.viewport.zoom(ZOOM if by > 0 else 1 / ZOOM, at, last)
        charts.changed()
        self._redraw()

    def action_pan(self, by: int) -> None:
        """Earlier or later, by a quarter of the window."""
        charts = self.charts
        if charts.viewport.whole:
            self._tell("all of the run is in sight; + zooms in")
            return
        charts.viewport.pan(by / 4, charts.last(self.view.history))
        charts.changed()
        self._redraw()

    def action_whole(self) -> None:
        """The whole run."""
        self.charts.viewport.reset()
        self.charts.changed()
        self._redraw()

    # ---- manner ----

    def action_axis(self) -> None:
        """Over training time, or over steps."""
        self.charts.swap_axis(self.view.history)
        self._changed()

    def action_log(self) -> None:
        """Logarithmic, or linear."""
        self.charts.log = not self.charts.log
        self._changed()

    def action_smooth(self) -> None:
        """The next level of smoothing."""
        self.charts.smoothing = (self.charts.smoothing + 1) % len(SMOOTHING)
        self._changed()

    def action_stack(self) -> None:
        """Curves over one another, or a chart each."""
        if len(self.charts.pinned) == 1:
            self._tell("one metric is shown; / finds others to pin")
            return
        self.charts.stacked = not self.charts.stacked
        self._changed()

    # ---- metrics ----

    def action_curve(self, by: int) -> None:
        """Another of the pinned metrics becomes the active one; in the list, another row."""
        if self.searching:
            self.metrics.move(by)
        else:
            self.charts.step_active(by)
        self._redraw()

    def action_unpin(self) -> None:
        """Take the active metric away."""
        self._answer(self.charts.unpin(self.charts.key))

    def action_search(self) -> None:
        """Find a metric."""
        self.metrics.typing = True
        self.metrics.narrow("")
        self.metrics.go_to(self.charts.key)
        self._mode()

    def action_explain(self) -> None:
        """Say what the active metric means, where that is not always on the screen."""
        self._explaining = not self._explaining
        self._mode()

    def action_pick(self) -> None:
        """In the list: show the chosen metric. In the chart: find one."""
        if not self.searching:
            self.action_search()
            return
        key = self.metrics.chosen
        if key is not None:
            problem = "" if key in self.charts.pinned else self._only_or_more(key)
            if key in self.charts.pinned:
                self.charts.active = self.charts.pinned.index(key)
            self._leave()
            self._answer(problem)

    def _only_or_more(self, key: str) -> str:
        """A single metric is replaced; several that were pinned get another one."""
        if len(self.charts.pinned) == 1:
            self.charts.only(key)
            return ""
        return self.charts.toggle(key)

    @on(MetricList.Picked)
    def _clicked(self, message: MetricList.Picked) -> None:
        """A click pins, or takes away."""
        self._answer(self.charts.toggle(message.key))

    def _answer(self, problem: str) -> None:
        if problem:
            self._tell(problem)
        self._changed()

    # ---- typing ----

    def on_key(self, event: events.Key) -> None:
        """While one searches letters are text, never commands; space pins.

        Keys that begin and end the search are taken here, too: as bindings they would be acted on behind letters that
        a slow line brings together with them.
        """
        if not self.searching:
            if event.key not in ("slash", "enter"):
                return
            self.action_search()
        elif event.key in ("enter", "escape", "backspace"):
            {"enter": self.action_pick, "escape": self.action_back, "backspace": self.action_erase}[event.key]()
        elif event.character is None or not event.is_printable:
            return
        elif event.character == " ":
            key = self.metrics.chosen
            if key is not None:
                self._answer(self.charts.toggle(key))
        elif len(self.metrics.typed) < _LONGEST:
            self.metrics.narrow(self.metrics.typed + event.character)
        event.stop()
        event.prevent_default()
        self._redraw()

    def action_erase(self) -> None:
        """The last letter of the filter goes; in the chart, the active metric."""
        if self.searching:
            self.metrics.narrow(self.metrics.typed[:-1])
            self._redraw()
        else:
            self.action_unpin()

    def action_back(self) -> None:
        """Leave the search, then the explanation, then the crosshair, then the screen."""
        if self.searching:
            self._leave()
        elif self._explaining and not self._wide:
            self.action_explain()
        elif self.charts.cursor is not None:
            self.charts.cursor = None
            self.charts.changed()
            self._redraw()
        else:
            self.dismiss()

    def action_close(self) -> None:
        """Straight back to where one came from; crosshair and window stay."""
        self.dismiss()

    def _leave(self) -> None:
        self.metrics.typing = False
        self.metrics.narrow("")
        self._mode()

    def _mode(self) -> None:
        """Other panels, other keys."""
        self.table = self.footer.table = SEARCH_KEYS if self.searching else CHART_KEYS
        self.rearrange()
        self.footer.redraw()
        self._redraw()

    # ---- taking it along ----

    def action_save(self) -> None:
        """Write the chart to files of the run."""
        self._save()

    def action_copy(self) -> None:
        """Copy what the legend says: a line a metric."""
        charts, history = self.charts, self.view.history
        rows = []
        for key in charts.pinned:
            series = history.series(key)
            if series is None or not len(series.xs):
                continue
            place = len(series.xs) - 1 if charts.cursor is None else charts.point(history, key, charts.cursor) or 0
            value = names.spelling(key)(series.last if charts.cursor is None else series.ys[place])
            rows.append(f"{key}\t{value}\tstep {series.xs[place]:.0f}\t{series.times[place]:.1f} s")
        if rows:
            self._copy("\n".join(rows), "the values of the curves" if len(rows) > 1 else rows[0].replace("\t", " "))
