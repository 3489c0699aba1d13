"""The learning curve: the episodes' mean score over steps."""

from __future__ import annotations

from perx_tui import format as fmt
from perx_tui.tui import chart
from perx_tui.tui.lines import Line, centered
from perx_tui.tui.panel import Panel

METRIC = "episode/score"


class Curve(Panel):
    """A braille chart that is drawn anew when a point has come, at most once a second, or the size has changed."""

    number = 3
    title = "learning curve"
    _key: tuple[int, int, int] | None = None
    _drawn = -chart.PERIOD
    _lines: list[Line]

    def summary(self) -> list[Line]:
        """The newest mean score and the best one."""
        series = self.view.history.series(METRIC)
        newest = fmt.score(series.last if series else None)
        best = fmt.score(series.best) if series and series.xs else fmt.UNKNOWN
        short: Line = (("score ", "dim"), (newest.rjust(5), "green+"))
        return [(*short, ("  best ", "dim"), (best.rjust(5), "strong")), short]

    def caption(self) -> list[Line]:
        """What the axes mean."""
        return [(("mean score of the episodes, over steps", "dim"),), (("score over steps", "dim"),)]

    def body(self, width: int, height: int) -> list[Line]:
        """The chart, or why there is none yet."""
        series = self.view.history.series(METRIC)
        if series is None or not series.xs:
            return centered("no episode has ended yet", width, height)
        key = (self.view.history.version, width, height)
        if key != self._key and (
            self._key is None or self._key[1:] != key[1:] or chart.due(self._drawn, self.view.now)
        ):
            self._key, self._drawn = key, self.view.now
            self._lines = chart.plot(
                series.xs, series.ys, width, height, style="green", fill="fill", x_label=step_tick, y_label=score_tick
            )
        return self._lines


def step_tick(value: float) -> str:
    """A tick of the step axis: "0", "500k", "2.5M"."""
    text = fmt.count(value)
    if text[-1:].isalpha() and "." in text:
        text = text[:-1].rstrip("0").rstrip(".") + text[-1]
    return text


def score_tick(value: float) -> str:
    """A tick of the score axis: "0", "0.5", "250"."""
    return f"{value:g}" if abs(value) < 10_000 else fmt.count(value)
