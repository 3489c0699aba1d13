"""The learning curve, or whatever metrics were pinned instead of it."""

from __future__ import annotations

from perx_tui import metrics as names
from perx_tui.tui.chart_choice import FIRST, Choice
from perx_tui.tui.lines import Line
from perx_tui.tui.metric_chart import MetricChart, empty
from perx_tui.tui.panel import Panel
from perx_tui.tui.theme import Palette
from perx_tui.tui.trend import RISES


class Curve(Panel):
    """The pinned metrics over the whole run, drawn anew when a point has come, at most once a second, or when the
    choice or the size has changed."""

    number = 3
    title = "learning curve"

    def __init__(self, palette: Palette, *, id: str) -> None:
        super().__init__(palette, id=id)
        self._chart = MetricChart(legend=False, spread=False)

    @property
    def choice(self) -> Choice:
        """What is pinned."""
        return self.view.charts

    def heading(self) -> str:
        """The title, or the metric that stands in place of the score."""
        if len(self.choice.pinned) > 1:
            return "curves"
        return self.title if self.choice.key == FIRST else self.choice.key

    def summary(self) -> list[Line]:
        """The newest value of a single metric and, of a score, the best one."""
        if len(self.choice.pinned) > 1:
            return []
        key = self.choice.key
        series, spell = self.view.history.series(key), names.spelling(key)
        newest = spell(series.last if series else None)
        if not key.startswith("episode/"):
            return [((newest, "green+"),)]
        best = spell(series.best if series and series.xs else None)
        short: Line = (("score " if key == FIRST else "", "dim"), (newest.rjust(5), "green+"))
        return [(*short, ("  best ", "dim"), (best.rjust(5), "strong")), short]

    def caption(self) -> list[Line]:
        """Whether the score rises where it is the score that is shown, and what the axes mean."""
        axes = self._axes()
        if len(self.choice.pinned) > 1 or self.choice.key not in RISES:
            return axes
        trend = self.view.history.trend(self.choice.key)
        known: Line = (("trend -", "dim"),) if trend is None else ((trend.words, trend.hue),)
        return [*((*known, ("   ", ""), *line) for line in axes), known, *axes]

    def _axes(self) -> list[Line]:
        axis = "time" if self.choice.time else "steps"
        what = "mean score of the episodes" if self.choice.pinned == [FIRST] else names.info(self.choice.key).meaning
        manner = self.choice.plain().manner
        more = f", {manner}" if manner else ""
        short: Line = ((f"score over {axis}" if self.choice.pinned == [FIRST] else f"over {axis}{more}", "dim"),)
        if len(self.choice.pinned) > 1 and not self._chart.stacks and not self._chart.one_scale:
            own: Line = ((f"over {axis}{more}, each on its own scale; the axis is that of {self.choice.key}", "dim"),)
            return [own, short]
        if len(self.choice.pinned) > 1:
            return [short]
        if what.endswith("."):
            return [((what, "dim"),), short]
        return [((f"{what}, over {axis}{more}", "dim"),), short]

    def body(self, width: int, height: int) -> list[Line]:
        """The chart, or why there is none yet."""
        self._chart.choice = self.choice.plain()
        lines = self._chart.lines(self.view.history, width, height, self.view.now)
        return lines or empty(width, height, self.choice.pinned)
