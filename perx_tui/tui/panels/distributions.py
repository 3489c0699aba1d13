"""One quantity of prioritized replay as a histogram over its own past: newest iteration on top, older ones below."""

from __future__ import annotations

import math
from collections.abc import Sequence

from engine import Histogram, ReplayView
from perx_tui import format as fmt
from perx_tui.tui import waterfall
from perx_tui.tui.lines import Line, centered
from perx_tui.tui.panel import Panel


class Distribution(Panel):
    """Bars for the newest iteration, their axis, and a row of shades for every older iteration, on the same axis."""

    hue = "blue"
    logarithmic = False

    def histogram(self, replay: ReplayView) -> Histogram:
        """The quantity's histogram in a view."""
        raise NotImplementedError

    def unknown(self) -> str:
        """Why there is nothing to see."""
        return "no segment has been drawn yet"

    def caption(self) -> Sequence[Line]:
        """How to read the lower half."""
        if not self.histogram(self.view.snapshot.replay).counts:
            return ()
        return [(("below: older iterations", "dim"),)]

    def body(self, width: int, height: int) -> list[Line]:
        """Bars, axis, past."""
        newest = self.histogram(self.view.snapshot.replay)
        if not newest.counts or not any(newest.counts):
            return centered(self.unknown(), width, height)
        rows = max(2, (height - 1) * 3 // 5)
        older = max(0, height - 1 - rows)
        views = list(self.view.past.views)[-older - 1 :]
        past = [self.histogram(view) for view in views[:-1]][::-1][:older]
        columns, axis = self.columns([newest, *past], width)
        lines: list[Line] = [((text, self.hue),) for text in waterfall.bars(columns[0], rows, max(columns[0]))]
        lines.append(((axis, "dim"),))
        high = max((max(row) for row in columns), default=0.0)
        lines.extend(((waterfall.shades(row, high), self.hue),) for row in columns[1:])
        return lines

    def columns(self, histograms: Sequence[Histogram], width: int) -> tuple[list[list[float]], str]:
        """Every histogram in `width` columns of one axis, and the axis' labels."""
        low, high = waterfall.common_axis(histograms, self.logarithmic)
        rows = [waterfall.spread(histogram, low, high, width) for histogram in histograms]
        return rows, waterfall.scale(low, high, width, _label, log=self.logarithmic)


class Counted(Distribution):
    """A quantity of whole numbers: a bar of its own for each, with gaps between them where there is room."""

    def columns(self, histograms: Sequence[Histogram], width: int) -> tuple[list[list[float]], str]:
        """As many numbers as fit; the last bar holds all larger ones."""
        count = min(max(len(histogram.counts) for histogram in histograms), max(1, width // 2))
        pitch = max(1, min(6, width // count))
        solid = max(1, pitch - 1)
        rows = []
        for histogram in histograms:
            counts = [float(number) for number in histogram.counts]
            counts = [*counts[: count - 1], sum(counts[count - 1 :])]
            counts += [0.0] * (count - len(counts))
            rows.append([value for number in counts for value in ([number] * solid + [0.0] * (pitch - solid))])
        last = f"{count - 1}+"
        text, free = "", 0
        for k in range(count - 1):
            name = str(k)
            if k * pitch >= free and k * pitch + len(name) < (count - 1) * pitch:
                text = text.ljust(k * pitch) + name
                free = k * pitch + len(name) + 1
        return rows, text.ljust((count - 1) * pitch) + last


class Priorities(Distribution):
    """How many segments have which priority, on a logarithmic axis."""

    title = "priorities"
    hue = "purple"
    logarithmic = True

    def histogram(self, replay: ReplayView) -> Histogram:
        """Over log10 of the priority."""
        low, high = replay.priority_range
        if not replay.priority_histogram or not 0 < low <= high:
            return Histogram()
        return Histogram(replay.priority_histogram, math.log10(low), math.log10(high), log=True)

    def summary(self) -> list[Line]:
        """The largest, for the smallest stands on the axis."""
        low, high = self.view.snapshot.replay.priority_range
        if not 0 < low <= high:
            return []
        largest: Line = (("max ", "dim"), (_label(high), "strong"))
        return [((("min "), "dim"), (_label(low), "strong"), ("  ", ""), *largest), largest]


class Uses(Counted):
    """How many segments were drawn 0, 1, 2, ... times."""

    title = "uses"
    hue = "orange"

    def histogram(self, replay: ReplayView) -> Histogram:
        """A slice a count."""
        return Histogram(replay.uses_histogram, 0.0, float(len(replay.uses_histogram)))

    def summary(self) -> list[Line]:
        """Share that nothing was learned from."""
        unused = (fmt.percent(self.view.metric("replay/unused")), "strong")
        return [(("never ", "dim"), unused)]


class Weights(Distribution):
    """The importance weights of what was drawn."""

    title = "weights"
    hue = "green"

    @property
    def logarithmic(self) -> bool:  # type: ignore[override]
        """As the engine counted them."""
        return self.view.snapshot.replay.weights.log

    def histogram(self, replay: ReplayView) -> Histogram:
        """Of the draws."""
        weights = replay.weights
        return weights if weights.log == self.view.snapshot.replay.weights.log else Histogram()

    def summary(self) -> list[Line]:
        """The mean, which scales the whole update."""
        metric = self.view.metric
        if metric("replay/weight_mean") is None:
            return []
        mean: Line = (("mean ", "dim"), (_value(metric("replay/weight_mean")), "strong"))
        return [(*mean, ("  max ", "dim"), (_value(metric("replay/weight_max")), "strong")), mean]


class Ages(Counted):
    """The ages of what was drawn, in iterations."""

    title = "ages"
    hue = "blue"

    def histogram(self, replay: ReplayView) -> Histogram:
        """A slice an iteration."""
        return replay.ages

    def summary(self) -> list[Line]:
        """How much is not fresh."""
        share = self.view.metric("replay/old_share")
        if share is None:
            return []
        return [(("older ", "dim"), (fmt.percent(share), "strong"))]

    def unknown(self) -> str:
        """Without older segments there is nothing to tell apart."""
        profile = self.view.profile
        if profile is not None and not profile.replay.factor:
            return "every segment is fresh: replay.factor is 0"
        return super().unknown()


def _value(value: float | None) -> str:
    return fmt.UNKNOWN if value is None else f"{value:.2f}" if abs(value) < 1000 else fmt.count(value)


def _label(value: float) -> str:
    """A number on an axis: "0.002", "14.2", "1.2k"; at most 7 characters."""
    if not math.isfinite(value):
        return fmt.number(value)
    if abs(value) >= 999.5:
        return fmt.count(value)
    text = f"{value:.3g}"
    if "e" in text and abs(value) >= 1e-4:
        text = f"{value:.4f}"
    return text.replace("e-0", "e-")
